"""One piece of work that several callers wait for: they join it, and the last one to give up ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Joined(Generic[T]):
    """Work under way, by name."""

    def __init__(self) -> None:
        """Nothing under way."""
        self._tasks: dict[str, asyncio.Task[T]] = {}
        self._waiting: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        """Whether work of that name is under way."""
        return name in self._tasks

    async def run(self, name: str, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the work of that name, begun now where none is under way."""
        while (task := self._tasks.get(name)) is not None and not self._waiting[name]:
            await asyncio.wait([task])  # nobody waits for it any more: it is being ended
        if task is None:
            task = self._tasks[name] = asyncio.create_task(start())
            task.add_done_callback(lambda _: self._forget(name))
            self._waiting[name] = 0
        self._waiting[name] += 1
        try:
            return await asyncio.shield(task)
        finally:
            if not task.done():
                self._waiting[name] -= 1
                if not self._waiting[name]:
                    await _end(task)

    def _forget(self, name: str) -> None:
        self._tasks.pop(name, None)
        self._waiting.pop(name, None)

    async def close(self) -> None:
        """Ends all work under way."""
        for task in list(self._tasks.values()):
            await _end(task)


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])  # its callers were told, or are gone
