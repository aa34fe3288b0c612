"""Idle models leave when their keep-alive is over."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping

from agentos.models.resident import Resident


class Expiry:
    """Looks at what is in memory, and takes out what is past its time."""

    def __init__(
        self, held: Mapping[str, Resident], leave: Callable[[str], Awaitable[bool]], clock: Callable[[], float]
    ) -> None:
        """Nothing has left.

        Args:
            held: What is in memory.
            leave: Takes an idle model out; False where somebody has come to use it.
            clock: Seconds; what `Resident.expires` goes by.
        """
        self._held, self._leave, self._clock = held, leave, clock
        self._changed = asyncio.Event()
        self._until = -math.inf

    def changed(self, expires: float = -math.inf) -> None:
        """Says that a model came, was used or went: the next time may be another.

        Args:
            expires: When that model expires: where that is later than what is waited for, nothing need be done now.
        """
        if expires < self._until or self._until == -math.inf:
            self._changed.set()

    async def expire(self) -> list[str]:
        """Takes out what is past its time and not in use; gives the names."""
        now = self._clock()
        due = [
            name for name, held in self._held.items()
            if held.expires is not None and held.expires <= now and held.idle
        ]
        return [name for name in due if await self._leave(name)]

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Expires models as their time comes, until cancelled."""
        while True:
            await self.expire()
            times = [held.expires for held in self._held.values() if held.expires is not None and held.idle]
            self._changed.clear()
            self._until = min(times, default=math.inf)
            if not times:
                await self._changed.wait()
                continue
            waiting = [asyncio.ensure_future(sleep(max(0.01, min(times) - self._clock()))),
                       asyncio.ensure_future(self._changed.wait())]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waiting:
                    task.cancel()
