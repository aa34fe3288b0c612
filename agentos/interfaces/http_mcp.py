"""`/mcp` on the HTTP door: the same tools for programs elsewhere, behind the same gate, in the key holder's role."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agentos.errors import AgentosError, DeniedError, Retry, UserError
from agentos.interfaces.app import System
from agentos.interfaces.http_auth import known
from agentos.interfaces.http_errors import failure
from agentos.interfaces.http_stream import after_boot, told
from agentos.interfaces.mcp_calls import Event
from agentos.interfaces.words import Say, speaker
from agentos.types import Caller
from agentos.types import Event as Told


class Mcp:
    """The route. The protocol's library is imported with the first request, and not in the event loop's time."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system
        self._inner: Any = None
        self._importing = asyncio.Lock()
        self._closed = False

    def routes(self) -> list[Route]:
        """Where it is found."""
        return [Route("/mcp", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes one request of the protocol.

        A browser says which page asks: one of another origin than this address does not get in, whatever it knows.
        """
        try:
            origin, host = (HTTPConnection(scope).headers.get(name) for name in ("origin", "host"))
            if origin is not None and urlsplit(origin).netloc.lower() != (host or "").lower():
                raise DeniedError("pages of other addresses may not ask here")
            self._door(scope)
            if self._closed:
                raise Retry("the system is ending; ask again in a second")
        except AgentosError as error:
            await failure(error)(scope, receive, send)
            return
        async with self._importing:
            if self._inner is None:
                module = await asyncio.to_thread(importlib.import_module, "agentos.interfaces.mcp_server")
                self._inner = module.OverHttp(self._door)
        await self._inner(scope, receive, send)

    def close(self) -> None:
        """Ends what is open."""
        self._closed = True
        if self._inner is not None:
            self._inner.close()

    def _door(self, scope: Scope) -> SystemDoor:
        caller = dataclasses.replace(known(HTTPConnection(scope), self._system, "mcp"), door="mcp")
        return SystemDoor(self._system, caller, speaker(self._system.settings.language))


class SystemDoor:
    """Within the system itself, for one caller."""

    def __init__(self, system: System, caller: Caller, say: Say) -> None:
        """For who asks."""
        self._system, self._caller = system, caller
        self.who, self.say = f"{caller.user}/{caller.role}", say

    async def table(self) -> list[Event]:
        """The syscalls."""
        return [described(entry) for entry in self._system.registry]

    def call(self, name: str, args: Mapping[str, Any]) -> AsyncIterator[Event]:
        """The events of one call.

        Raises:
            NotFound: there is no such syscall.
        """
        self._system.registry[name]
        return self._events(lambda: self._system.run_call(name, args, self._caller))

    def ask(self, text: str) -> AsyncIterator[Event]:
        """The events of a sentence's run."""
        if not text.strip():
            raise UserError("'text' is empty")
        return self._events(lambda: self._system.run_sentence(text, self._caller))

    def answer(self, approval: str, answer: str) -> AsyncIterator[Event]:
        """The events of what follows an answer."""
        return self._events(lambda: self._system.answer(approval, answer, self._caller))

    async def cancel(self, run: str) -> None:
        """Ends a run."""
        with contextlib.suppress(AgentosError):
            await self._system.cancel(run, self._caller)

    async def _events(self, begin: Callable[[], AsyncIterator[Told]]) -> AsyncIterator[Event]:
        async for event in told(lambda: after_boot(self._system, begin)):
            yield event.to_json()


def described(entry: Any) -> Event:
    """A syscall as a tool is made of it."""
    return {
        "name": entry.name, "doc": entry.doc, "effect": entry.effect, "mount": entry.mount, "schema": entry.schema,
    }
