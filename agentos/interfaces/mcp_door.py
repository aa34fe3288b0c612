"""The way to the system for those who call tools through a thin client: it imports little, and is there at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from agentos.config import Settings
from agentos.interfaces.client import Client
from agentos.interfaces.mcp_calls import Event
from agentos.interfaces.words import speaker


class ClientDoor:
    """Over the socket, or over the network where `AGENTOS_URL` says so; the system is started where need be."""

    def __init__(self, settings: Settings, user: str = "") -> None:
        """For the owner, or for whom they speak."""
        self._client = Client(settings, door="mcp", user=user, session=f"mcp-{os.getpid()}")
        self.who, self.say = user, speaker(settings.language)

    async def table(self) -> list[Event]:
        """The syscalls."""
        said = await asyncio.to_thread(self._client.request, "GET", "/v1/syscalls?schema=true")
        return list(said["syscalls"])

    def call(self, name: str, args: Mapping[str, Any]) -> AsyncIterator[Event]:
        """The events of one call."""
        return _threaded(lambda: self._client.call(name, args))

    def ask(self, text: str) -> AsyncIterator[Event]:
        """The events of a sentence's run."""
        return _threaded(lambda: self._client.run(text))

    def answer(self, approval: str, answer: str) -> AsyncIterator[Event]:
        """The events of what follows an answer."""
        return _threaded(lambda: self._client.answer(approval, answer))

    async def cancel(self, run: str) -> None:
        """Ends a run."""
        await asyncio.to_thread(self._client.cancel, run)


async def _threaded(begin: Callable[[], Iterator[Event]]) -> AsyncIterator[Event]:
    """Events that a thread waits for; it holds nobody up where nobody listens any more."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Event | Exception | None] = asyncio.Queue()

    def put(item: Event | Exception | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def work() -> None:
        try:
            for event in begin():
                put(event)
        except Exception as error:
            put(error)
        put(None)

    threading.Thread(target=work, daemon=True).start()
    while (item := await queue.get()) is not None:
        if isinstance(item, Exception):
            raise item
        yield item
