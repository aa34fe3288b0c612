"""What a run tells whoever listens to it, kept in bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from agentos.types import Event, Json

UNHEARD = 16 * 1024 * 1024
"""Characters that a listener may be behind; one who reads no faster is told no more."""
_BEHIND = "this was read so slowly that it is told no more; the run goes on. Ask for what it gave, or cancel it."


class Heard:
    """What a run tells its listener. What nobody reads is not kept: a job's output has no end."""

    def __init__(self) -> None:
        """Nothing is told yet."""
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._behind = 0
        self.gone = False
        """Whether nobody listens any more."""

    @property
    def kept(self) -> int:
        """Events that were not heard yet."""
        return self._events.qsize()

    def tell(self, event: Event | None) -> None:
        """Keeps an event until it is heard; None is the end."""
        if self.gone:
            return
        waits, self._behind = self._behind, self._behind + _size(event)
        if event is not None and waits and self._behind > UNHEARD:
            self.gone, run = True, event.data.get("run", "")
            self._events.put_nowait(Event("error", {"run": run, "message": _BEHIND, "kind": "failed"}))
            end: dict[str, Json] = {"ok": False, "exit_code": 1, "results": {}, "waiting": []}
            self._events.put_nowait(Event("end", {"run": run, **end}))
            event = None
        self._events.put_nowait(event)

    async def hear(self) -> AsyncGenerator[Event, None]:
        """Each event as it comes, to the end."""
        try:
            while (event := await self._events.get()) is not None:
                self._behind -= _size(event)
                yield event
        finally:
            self.gone = True
            self._events = asyncio.Queue()


def _size(event: Event | None) -> int:
    return 256 + len(str(event.data.get("text") or "")) if event is not None else 0
