"""As much of HTTP as asking a server nearby takes: kept connections, and events read with little work a token."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

_HEAD_END = b"\r\n\r\n"


class Gone(Exception):
    """The server hung up, or cannot be reached."""


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes


class _Connection(asyncio.Protocol):
    """One request at a time; its answer's body is in `body` as it comes."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.lost = False
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self.begin()

    def begin(self) -> None:
        """Forgets the last answer."""
        self.status, self.body, self.ended = 0, bytearray(), False
        self._raw, self._chunked, self._left = bytearray(), False, -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._wake()

    def data_received(self, data: bytes) -> None:
        self._raw += data
        if not self.status and not self._head():
            return
        self._take()
        if self.body or self.ended:
            self._wake()

    async def more(self) -> None:
        """Returns when there is more body than now, or the answer has ended. Gone: the server hung up before."""
        held = len(self.body)
        while len(self.body) == held and not self.ended:
            if self.lost:
                raise Gone("the server hung up in the middle of an answer")
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _head(self) -> bool:
        end = self._raw.find(_HEAD_END)
        if end < 0:
            return False
        first, *lines = bytes(self._raw[:end]).split(b"\r\n")
        del self._raw[: end + 4]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        self._chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        self._left = -1 if self._chunked else int(headers.get(b"content-length", b"0"))
        self.status = int(first.split()[1])
        return True

    def _take(self) -> None:
        if not self._chunked:
            self.body += self._raw[: self._left]
            self._left -= min(self._left, len(self._raw))
            self._raw.clear()
            self.ended = self._left == 0
            return
        at, raw = 0, self._raw
        while not self.ended:
            line = raw.find(b"\r\n", at)
            if line < 0:
                break
            size = int(raw[at:line].split(b";")[0], 16)
            if len(raw) < line + 4 + size:
                break
            self.body += raw[line + 2 : line + 2 + size]
            at, self.ended = line + 4 + size, size == 0
        del raw[:at]


class Client:
    """Asks one server."""

    def __init__(self, address: str, key: str) -> None:
        """Nothing is connected yet.

        Args:
            address: `unix:PATH` or `HOST:PORT`.
            key: The server's API key.
        """
        self._address = address
        self._idle: list[_Connection] = []
        self._common = f"host: localhost\r\nauthorization: Bearer {key}\r\n"

    async def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """A whole answer. Gone: there is none."""
        connection = await self._send(method, path, body)
        try:
            while not connection.ended:
                await connection.more()
            return Reply(connection.status, bytes(connection.body))
        finally:
            self._release(connection)

    async def events(self, path: str, body: Any) -> AsyncGenerator[list[Any], None]:
        """What the server sends, as many events at a time as have come; closing it hangs up, which cancels.

        An answer that is no stream comes as one `Reply`. Gone: the server hung up.
        """
        connection = await self._send("POST", path, body)
        rest = b""
        try:
            while True:
                if not connection.body:
                    await connection.more()
                if connection.status != 200:
                    while not connection.ended:
                        await connection.more()
                    yield [Reply(connection.status, bytes(connection.body))]
                    return
                *lines, rest = (rest + bytes(connection.body)).split(b"\n")
                connection.body.clear()
                ended = connection.ended
                events = [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]
                if events:
                    yield events
                if ended:
                    return
        finally:
            self._release(connection)

    def close(self) -> None:
        """Hangs up what is kept."""
        for connection in self._idle:
            if connection.transport is not None:
                connection.transport.close()
        self._idle.clear()

    async def _send(self, method: str, path: str, body: Any) -> _Connection:
        connection = await self._connection()
        data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        head = f"{method} {path} HTTP/1.1\r\n{self._common}content-length: {len(data)}\r\n"
        if data:
            head += "content-type: application/json\r\n"
        assert connection.transport is not None
        connection.transport.write(f"{head}\r\n".encode() + data)
        return connection

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.lost:
                connection.begin()
                return connection
        loop = asyncio.get_running_loop()
        try:
            if self._address.startswith("unix:"):
                _, connection = await loop.create_unix_connection(_Connection, self._address[5:])
            else:
                host, _, port = self._address.rpartition(":")
                _, connection = await loop.create_connection(_Connection, host, int(port))
        except OSError as error:
            raise Gone(f"the server cannot be reached: {error}") from error
        return connection

    def _release(self, connection: _Connection) -> None:
        if connection.ended and not connection.lost:
            self._idle.append(connection)
        elif connection.transport is not None:
            with contextlib.suppress(OSError):
                connection.transport.abort()
