"""Who asks: the owner over the Unix socket, the holder of a key over TCP."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from agentos.errors import AgentosError, DeniedError, Retry, UserError
from agentos.interfaces.app import People, System
from agentos.interfaces.http_errors import failure
from agentos.interfaces.http_scope import person, within
from agentos.types import Caller

_DOORS = {"repl", "cli", "eval", "python", "mcp"}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class OwnerOnly(H11Protocol):
    """HTTP for peers of this account (or root) alone; anyone else is cut off before a byte is read.

    The socket stands for the owner: whoever comes through it is the machine account, with all that an administrator
    may, and may speak for others. An account of another uid is another person, who comes with a key of their own over
    `agentos serve --http`: a key can be narrowed, expires, and is told apart in the trail, and a uid is none of that.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Looks at who is on the other side."""
        uid = peer(transport.get_extra_info("socket"))
        if uid is not None and uid not in (os.getuid(), 0):
            transport.abort()
            return
        self.app = _From(self.app, process(transport.get_extra_info("socket")))
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets a connection that was accepted."""
        if self.transport is not None:
            super().connection_lost(exc)


class _From:
    """An application that is told which process a request comes from."""

    def __init__(self, app: Any, pid: int | None) -> None:
        self._app, self._pid = app, pid

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["agentos.pid"] = self._pid
        await self._app(scope, receive, send)


class Prompt(H11Protocol):
    """HTTP for other machines: a connection on which no request comes is cut off, and so are those over many."""

    patience = 10.0
    """Seconds, from the connection or the last answer on, until one without a key is over, or one with a key has begun.

    Without it a request that never ends, or an answer that is never read, would keep a place for ever.
    """
    most = 256
    _open: ClassVar[set[Prompt]] = set()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts to wait, where there is room."""
        if len(self._open) >= self.most:
            transport.abort()
            return
        super().connection_made(transport)
        self._open.add(self)
        self._since = self.loop.time()
        self._waits = self.loop.call_later(self.patience, self._look)

    def data_received(self, data: bytes) -> None:
        """Reads on, where the connection was accepted."""
        if self.transport is not None:
            super().data_received(data)

    def on_response_complete(self) -> None:
        """Starts to wait anew."""
        self._since = self.loop.time()
        super().on_response_complete()

    def _look(self) -> None:
        """Cuts the connection off once its time is over; of a request with a key its handler keeps the time."""
        if self.cycle is not None and not self.cycle.response_complete and "agentos.caller" in self.scope:
            self._since = self.loop.time()
        left = self._since + self.patience - self.loop.time()
        if left <= 0:
            self.transport.abort()
        else:
            self._waits = self.loop.call_later(left, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets a connection that was accepted."""
        if self.transport is not None:
            self._waits.cancel()
            self._open.discard(self)
            super().connection_lost(exc)


def peer(connection: socket.socket) -> int | None:
    """The account on the other side of a Unix socket; None where the platform does not say."""
    said = _credentials(connection)
    return None if said is None else said[1]


def process(connection: socket.socket) -> int | None:
    """The process on the other side of a Unix socket; None where the platform does not say."""
    said = _credentials(connection)
    return None if said is None else said[0]


def _credentials(connection: socket.socket) -> tuple[int, int] | None:
    if sys.platform == "linux" and connection.family == socket.AF_UNIX:
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", packed)
        return int(pid), int(uid)
    return None


class Unauthorized(AgentosError):
    """No key, or one that nobody holds."""

    exit_code = 3
    http_status = 401


class KeyGate:
    """Lets a TCP request through with a key that somebody holds; reading an open path takes none."""

    def __init__(
        self, app: ASGIApp, system: System, hosts: set[str], open_paths: frozenset[str] = frozenset(),
        refused: Callable[[Caller, str, str, DeniedError], None] = lambda caller, method, path, error: None,
    ) -> None:
        """Keeps the gate.

        Args:
            app: What is behind it.
            system: Knows who holds which key.
            hosts: The names under which this address may be asked, against DNS rebinding.
            open_paths: What can be read without a key.
            refused: Told of what a key's scope did not reach to: who, method, path, why.
        """
        self.app, self.system, self.hosts, self.open_paths = app, system, hosts | _LOOPBACK, open_paths
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Checks the host, then the key."""
        if scope["type"] == "http":
            try:
                self._named(HTTPConnection(scope))
                if scope["method"] not in ("GET", "HEAD") or scope["path"] not in self.open_paths:
                    scope["agentos.caller"] = caller = self._holder(HTTPConnection(scope))
                    self._within(caller, scope["method"], scope["path"])
            except AgentosError as error:
                await failure(error, scope["path"])(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _within(self, caller: Caller, method: str, path: str) -> None:
        try:
            within(caller, method, path)
        except DeniedError as error:
            self._refused(caller, method, path, error)
            raise

    def _named(self, request: HTTPConnection) -> None:
        host = request.headers.get("host", "")
        name = host[1:].split("]", 1)[0] if host.startswith("[") else host.rsplit(":", 1)[0]
        if not {name.lower(), f"*.{name.lower().partition('.')[2]}"} & self.hosts:
            raise DeniedError(f"this address is not called {name!r}; ask it by the name it listens on")

    def _holder(self, request: HTTPConnection) -> Caller:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthorized("a key is needed: send `Authorization: Bearer KEY`; `agentos keys create` makes one")
        people: People | None = getattr(self.system, "people", None)
        if people is None:
            raise Retry("the system is starting and cannot check keys yet; ask again in a second")
        caller = people.caller_for_key(key.strip())
        if caller is None:
            ended = people.ended(key.strip())
            raise Unauthorized(
                f"{ended}; an administrator makes another: `agentos keys create`" if ended
                else "nobody holds this key; `agentos keys list` shows those that exist"
            )
        if caller.service and request.headers.get("x-agentos-door") == "repl":
            raise DeniedError(f"{caller.user!r} is a service account, which has no prompt; it calls, with its key")
        return dataclasses.replace(caller, door="http")


def who(request: HTTPConnection, system: System, session: str = "") -> Caller:
    """The caller of a request.

    Raises:
        DeniedError: it speaks for another user through a door where that cannot be.
        UserError: the user it speaks for is not one.
    """
    other = request.headers.get("x-agentos-as", "")
    known: Caller | None = request.scope.get("agentos.caller")
    if known is not None:
        if other:
            raise DeniedError("speaking for another user takes the owner's own socket; use that user's key here")
        return dataclasses.replace(known, session=session and f"{known.user}:{session}")
    caller = system.people.owner()
    if other:
        if other != other.strip() or len(other) > 64:
            raise UserError(f"{other!r} is not a user's name")
        caller = system.people.caller_as(caller, other)
    said = request.headers.get("x-agentos-door", "")
    folder = os.fsdecode(unquote_to_bytes(request.headers.get("x-agentos-folder", "")))
    return dataclasses.replace(
        caller, session=session, door=said if said in _DOORS else "http",
        folder=folder if os.path.isabs(folder) and "\0" not in folder else "",
    )


def known(request: HTTPConnection, system: System, session: str = "") -> Caller:
    """The caller, once the system has come far enough to tell.

    Raises:
        Retry: it has not.
    """
    if getattr(system, "people", None) is None:
        raise Retry(f"the system is starting ({system.boot}); ask again in a second")
    return who(request, system, session)


def admin(request: HTTPConnection, system: System) -> Caller:
    """The caller, who is an administrator.

    Raises:
        DeniedError: who is not, or a job's command in the owner's name.
    """
    caller = known(request, system)
    person(request)
    if caller.role != "admin":
        raise DeniedError(f"this takes an administrator, and {caller.user!r} is {caller.role}; nothing was changed")
    return caller
