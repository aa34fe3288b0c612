"""One connection to a server, read by RFC 9112: a response of a length, in chunks, or until the end.

Strictly: what is no response ends the connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

IDLE = 60
"""Connections that are kept while nobody asks, at most."""
_HEAD = 64 * 1024
"""Bytes of a response's head, at most."""
_SOON = 1.0
"""Seconds in which the end of a response has to follow the last of what it says."""


class Link(asyncio.Protocol):
    """A connection, and the response that is coming over it."""

    def __init__(self) -> None:
        """Not connected yet."""
        self.open = self.whole = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self._transport: Any = None
        self._read, self._body = bytearray(), bytearray()
        self._left: int | None = None
        """Bytes to come of the body, or of the chunk at hand; None: until the end of the connection."""
        self._chunked = self._gap = self._keep = self._headed = False
        self._later: deque[Link] | None = None
        self._lost: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps where requests go."""
        self._transport, self.open = transport, True

    def send(self, request: bytes) -> None:
        """Asks; what was answered before is forgotten."""
        self.whole = self._headed = self._chunked = self._gap = False
        self.status, self.headers, self._left, self._later = 0, {}, None, None
        self._body.clear()
        self._transport.write(request)

    async def answered(self) -> None:
        """Returns once the head of the response is there."""
        while not self._headed:
            await self._more()

    async def read(self) -> bytes:
        """What has come of the body; empty at its end."""
        while not self._body:
            if self.whole:
                return b""
            await self._more()
        data = bytes(self._body)
        self._body.clear()
        return data

    async def _more(self) -> None:
        if self._lost is not None:
            raise self._lost
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def data_received(self, data: bytes) -> None:
        """Reads on."""
        self._read += data
        try:
            if self._headed or self._take_head():
                self._take_body()
        except (ValueError, IndexError):
            self._lost = ConnectionError("the server sent what is no response")
            self.close()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of a response without a length, or of one that breaks off."""
        self.open = False
        if self._headed and self._left is None and not self._chunked:
            self.whole, self._keep = True, False
        elif not self.whole:
            self._lost = self._lost or ConnectionError("the server hung up")
        self._wake()

    def keep(self, idle: deque[Link]) -> None:
        """Goes to those that wait for a request once the response is all there; hangs up where it is not soon."""
        if self._later is None and not self.whole:
            self._later = idle
            asyncio.get_running_loop().call_later(_SOON, self._unless_kept, idle)
        elif self.whole and self.open and len(idle) < IDLE:
            self._later = None
            idle.append(self)
        else:
            self.close()

    def _unless_kept(self, idle: deque[Link]) -> None:
        if self._later is idle and not self.whole:
            self.close()

    def close(self) -> None:
        """Hangs up."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take_head(self) -> bool:
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            if len(self._read) > _HEAD:
                raise ValueError("its head is too long")
            return False
        first, *lines = bytes(self._read[:end]).decode("latin-1").split("\r\n")
        del self._read[: end + 4]
        version, status = first.split(" ", 2)[:2]
        if version not in ("HTTP/1.1", "HTTP/1.0") or len(status) != 3:
            raise ValueError("it is no response")
        self.status = int(status)
        if self.status < 200:  # it goes on
            return self._take_head()
        self.headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError("it is no header")
            self.headers[name.lower()] = value.strip()
        self._chunked = self.headers.get("transfer-encoding", "").lower().endswith("chunked")
        length = self.headers.get("content-length")
        self._left = 0 if self._chunked else None if length is None else int(length)
        self._keep = version == "HTTP/1.1" and self.headers.get("connection", "").lower() != "close"
        self._headed = True
        self.whole = self._left == 0 and not self._chunked
        return True

    def _take_body(self) -> None:
        if not self._chunked:
            part = self._read if self._left is None else self._read[: self._left]
            self._body += part
            if self._left is None:
                self._read.clear()
                return
            self._left -= len(part)
            del self._read[: len(part)]
            self.whole = self._left == 0
            self._ended()
            return
        at, read = 0, self._read
        while not self.whole:
            if self._left:
                part = read[at : at + self._left]
                self._body += part
                self._left -= len(part)
                at += len(part)
                if self._left:
                    break
                self._gap = True  # the line's end after a chunk
            if self._gap:
                if len(read) < at + 2:
                    break
                if read[at : at + 2] != b"\r\n":
                    raise ValueError("it is no chunk")
                at, self._gap = at + 2, False
            end = read.find(b"\r\n", at)
            if end < 0:
                break
            size = int(bytes(read[at:end]).partition(b";")[0], 16)
            if size < 0:
                raise ValueError("it is no chunk")
            if size:
                at, self._left = end + 2, size
                continue
            if len(read) < end + 4:
                break
            self._keep = self._keep and read[end : end + 4] == b"\r\n\r\n"  # else there are trailers
            at = end + 4
            self.whole = True
        del read[:at]
        self._ended()

    def _ended(self) -> None:
        if not self.whole:
            return
        if self._read or not self._keep:
            self.close()
        elif self._later is not None:
            self.keep(self._later)
