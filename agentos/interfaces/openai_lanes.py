"""Who is answered now, who waits, and who is told to come back: one bounded queue for each model."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agentos.interfaces.openai_errors import Busy

_GUESS = 5.0
"""Seconds an answer is taken to need before one has been measured."""
_LOOK = 2.0
"""Seconds for which it is remembered how many a model answers at once."""


@dataclass(frozen=True)
class Place:
    """A place in a queue."""

    position: int
    """1 is next."""
    wait: float
    """Seconds it is expected to take until it is this one's turn."""

    def __str__(self) -> str:
        return f"place {self.position} in the queue, about {self.wait:.0f} s"


class Lane:
    """Requests to one model, in their order."""

    def __init__(
        self, slots: Callable[[], int], most: int, clock: Callable[[], float], counts: Callable[[int], None]
    ) -> None:
        """Nobody is there.

        Args:
            slots: How many are answered at once, as things are.
            most: How many may wait.
            clock: Seconds.
            counts: Told when one more waits, or one less.
        """
        self._slots, self._most, self._clock, self._counts = slots, most, clock, counts
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seconds: float | None = None
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(not turn.done() for turn in self._waiting)

    def place(self, ahead: int) -> Place:
        """The place of one who has so many before them in the queue."""
        seconds = _GUESS if self._seconds is None else self._seconds
        return Place(ahead + 1, seconds * math.ceil((ahead + 1) / max(1, self._slots())))

    @asynccontextmanager
    async def turn(self, told: Callable[[Place], Awaitable[None]]) -> AsyncIterator[None]:
        """A slot, once it is this one's turn; `told` hears of each place in the queue.

        Raises:
            Busy: as many wait already as may.
        """
        if self.running < self._slots() and not self.waiting:
            self.running += 1
        else:
            await self._wait(told)
        began = self._clock()
        try:
            yield
        finally:
            took = self._clock() - began
            self._seconds = took if self._seconds is None else 0.8 * self._seconds + 0.2 * took
            self.running -= 1
            self._next()

    async def _wait(self, told: Callable[[Place], Awaitable[None]]) -> None:
        ahead = self.waiting
        place = self.place(ahead)
        if ahead >= self._most:
            raise Busy(
                f"{ahead} requests to this model wait already and no more may; yours would have been number "
                f"{place.position}, in about {place.wait:.0f} s. Nothing was asked; try again then.",
                place.wait, "queue_full",
            )
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._counts(1)
        try:
            while not mine.done():
                before = sum(not turn.done() for turn in [*self._waiting][: self._waiting.index(mine)])
                await told(self.place(before))
                await asyncio.wait([mine], timeout=_LOOK)
                self._next()  # a model that has come with another engine answers more at once
        except BaseException:
            if mine.done() and not mine.cancelled():
                self.running -= 1  # it was given a slot in this moment
            mine.cancel()
            with contextlib.suppress(ValueError):
                self._waiting.remove(mine)
            self._next()
            raise
        finally:
            self._counts(-1)

    def _next(self) -> None:
        while self._waiting and self.running < self._slots():
            turn = self._waiting.popleft()
            if not turn.done():
                self.running += 1
                turn.set_result(None)


class Lanes:
    """A lane for each model that is asked."""

    def __init__(
        self, slots: Callable[[str], int], most: int, clock: Callable[[], float] = time.monotonic,
        counts: Callable[[int], None] = lambda more: None,
    ) -> None:
        """Nobody is there.

        Args:
            slots: How many a model answers at once.
            most: How many may wait for it.
            clock: Seconds.
            counts: Told when one more waits, or one less.
        """
        self._slots, self._most, self._clock, self._counts = slots, most, clock, counts
        self._lanes: dict[str, Lane] = {}
        self._seen: dict[str, tuple[float, int]] = {}

    def of(self, model: str) -> Lane:
        """A model's."""
        if model not in self._lanes:
            self._clear()
            self._lanes[model] = Lane(lambda: self._now(model), self._most, self._clock, self._counts)
        return self._lanes[model]

    def _now(self, model: str) -> int:
        at, slots = self._seen.get(model, (-math.inf, 1))
        now = self._clock()
        if now - at >= _LOOK:
            slots = self._slots(model)
            self._seen[model] = (now, slots)
        return slots

    def _clear(self) -> None:
        """Forgets lanes that nobody is in, once there are many: names are the askers'."""
        if len(self._lanes) >= 256:
            for name in [name for name, lane in self._lanes.items() if not lane.running and not lane.waiting]:
                del self._lanes[name]
                self._seen.pop(name, None)
