"""How the threads that read and write rows talk to the call that wants them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from agentos.types import Progress

T = TypeVar("T")


class Stopped(Exception):
    """Nobody waits for the work any more."""


class Teller:
    """Tells a call how far the work in a thread is, and tells that work when the call was given up."""

    def __init__(self, progress: Progress, loop: asyncio.AbstractEventLoop) -> None:
        self._progress = progress
        self._loop = loop
        self._next = 0.0
        self._over = threading.Event()

    def __call__(self, message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
        """Says how far it is, at most five times a second.

        Raises:
            Stopped: the call was given up.
        """
        if self._over.is_set():
            raise Stopped
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 0.2
            asyncio.run_coroutine_threadsafe(self._said(message, done, total, unit), self._loop)

    async def _said(self, message: str, done: float | None, total: float | None, unit: str) -> None:
        await self._progress(message, done, total, unit)

    def stop(self) -> None:
        """Ends the work at its next word."""
        self._over.set()


async def aside(progress: Progress, work: Callable[[Teller], T]) -> T:
    """What `work` gives, done in a thread; a call that is given up ends it first."""
    tell = Teller(progress, asyncio.get_running_loop())
    task = asyncio.ensure_future(asyncio.to_thread(work, tell))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        tell.stop()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
