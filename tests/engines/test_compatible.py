"""Servers of one's own, asked over real sockets: every way that a response may come, and that it may be none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from agentos.engines.compatible import Answered, Server, plain
from agentos.engines.faults import Refused

BODY = {"model": "m", "messages": [], "stream": True}


def event(text: str) -> bytes:
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': text}}]})}\n\n".encode()


EVENTS = event("one") + event(" två") + b"data: [DONE]\n\n"


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(EVENTS)


class Upstream:
    """Answers each request with the next of `says`, in pieces of `step` bytes; None hangs up."""

    def __init__(self, says: list[bytes | None], step: int) -> None:
        self.says, self.step = says, step
        self.connections = 0
        self.asked: list[dict[str, object]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.says:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = int(next(line[16:] for line in head.split("\r\n") if line.startswith("content-length")))
                self.asked.append(json.loads(await reader.readexactly(length)))
                said = self.says.pop(0)
                for at in range(0, len(said or b""), self.step):
                    writer.write(said[at : at + self.step])  # type: ignore[index]
                    await writer.drain()
                if said is None or said.startswith(b"HTTP/1.0"):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


@asynccontextmanager
async def serving(*says: bytes | None, step: int = 1 << 20) -> AsyncIterator[tuple[Upstream, Server]]:
    upstream = Upstream([*says], step)
    async with await asyncio.start_server(upstream.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield upstream, Server(f"http://127.0.0.1:{port}/v1/", "key", 5)


async def text(server: Server) -> str:
    stream = await server.ask(BODY)
    try:
        return "".join([choice.delta.content async for chunk in stream for choice in chunk.choices])
    finally:
        await stream.aclose()


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("said", [
    LENGTH + EVENTS, CHUNKS + chunked(EVENTS, 1), CHUNKS + chunked(EVENTS, 5), CHUNKS + chunked(EVENTS, 1 << 20),
    b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH + EVENTS, b"HTTP/1.0 200 OK\r\n\r\n" + EVENTS,
])
async def test_an_answer_is_read_whichever_way_and_in_whichever_pieces_it_comes(said: bytes, step: int) -> None:
    async with serving(said, step=step) as (upstream, server):
        assert await text(server) == "one två"
    assert upstream.asked == [BODY]


@pytest.mark.parametrize("said", [LENGTH + EVENTS, CHUNKS + chunked(EVENTS, 9)])
async def test_requests_share_a_connection_and_one_that_was_closed_meanwhile_is_opened_again(said: bytes) -> None:
    async with serving(said, said, None, said) as (upstream, server):
        assert [await text(server), await text(server)] == ["one två"] * 2
        assert upstream.connections == 1
        assert await text(server) == "one två"
    assert upstream.connections == 2 and len(upstream.asked) == 4


@pytest.mark.parametrize("said", [
    b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
    CHUNKS + b"zz\r\n", CHUNKS + b"-5\r\nabc\r\n", CHUNKS + b"3\r\nabcX\r\n", b"x" * 70_000,
])
async def test_what_is_no_response_is_an_error_and_its_connection_is_not_used_again(said: bytes) -> None:
    async with serving(said, LENGTH + EVENTS) as (upstream, server):
        with pytest.raises(ConnectionError):
            await text(server)
        assert await text(server) == "one två"
    assert upstream.connections == 2


@pytest.mark.parametrize(("said", "told"), [
    (b"data: {no\n\n", Refused), (b'data: {"error": {"code": 429, "message": "slower"}}\n\n', Answered),
])
async def test_events_that_cannot_be_read_and_errors_in_a_stream_are_told(said: bytes, told: type) -> None:
    async with serving(CHUNKS + chunked(said, 99)) as (_, server):
        with pytest.raises(told):
            await text(server)


async def test_a_refusal_has_its_status_its_text_and_its_headers() -> None:
    said = b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\ncontent-length: 2\r\n\r\nno"
    async with serving(said, LENGTH + EVENTS) as (upstream, server):
        with pytest.raises(Answered) as caught:
            await server.ask(BODY)
        assert await text(server) == "one två"
    assert (caught.value.status_code, caught.value.message) == (429, "no")
    assert caught.value.litellm_response_headers["retry-after"] == "7"
    assert upstream.connections == 1


async def test_an_answer_that_is_given_up_ends_its_connection() -> None:
    async with serving(CHUNKS + b"%x\r\n%b\r\n" % (len(event("a")), event("a")), LENGTH + EVENTS) as (upstream, server):
        stream = await server.ask(BODY)
        assert (await anext(stream)).choices[0].delta.content == "a"
        await stream.aclose()
        assert await text(server) == "one två"
    assert upstream.connections == 2


def test_only_plain_addresses_without_a_proxy_are_asked_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert plain("http://10.0.0.7:8000/v1")
    refused: list[str] = ["https://x/v1", "http://user:pass@x/v1", "http://x/v1?key=1", "unix:/x"]
    found: Callable[[str], bool] = plain
    assert not any(map(found, refused))
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert not plain("http://10.0.0.7:8000/v1")
