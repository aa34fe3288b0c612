"""Signs of life of a vLLM server, asked of a small server that answers as slowly as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from agentos.engines.vllm_http import Client
from agentos.engines.vllm_pulse import Beat
from agentos.errors import Failed


@dataclass
class Server:
    """Speaks as much of vLLM's HTTP as a pulse hears."""

    path: Path
    status: int = 200
    """What a request for a token is answered with."""
    writes: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the token is to come."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a token was asked for."""
    moving: bool = True
    """Whether the counters go on."""
    looks: int = 0

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers on one connection until it closes."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:"))
                await reader.readexactly(length)
                status, body = await self._answer(head.split()[1])
                writer.write(b"HTTP/1.1 %d it\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))

    async def _answer(self, path: str) -> tuple[int, bytes]:
        if path == "/v1/completions":
            self.asked.set()
            await self.writes.wait()
            return self.status, b"{}"
        if path == "/metrics":
            self.looks += self.moving
            return 200, b"# it\nvllm:generation_tokens_total{} %d\n" % self.looks
        assert path == "/health"
        return 200, b""


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path has to be short
        made = Server(Path(folder) / "socket")
        listening = await asyncio.start_unix_server(made.speak, made.path)
        yield made
        made.writes.set()
        listening.close()


@pytest.fixture
def beat(server: Server) -> Beat:
    """Of a server that nobody has asked anything for a long time."""
    made = Beat(Client(f"unix:{server.path}", "key"), 4.0)
    made._last -= 60
    return made


async def test_a_token_that_comes_is_progress_and_the_engine_is_at_rest(server, beat):
    server.writes.set()
    first, second = await beat.pulse([], "m"), await beat.pulse([], "m")
    assert not first.busy and not second.busy
    assert first.progress == second.progress == 1, "the second asks for none: one has just come"


async def test_a_slow_token_is_work_under_way_and_moves_while_the_servers_counters_do(server, beat):
    pulses = [await beat.pulse([], "m") for _ in range(3)]
    assert server.asked.is_set() and all(pulse.busy for pulse in pulses)
    assert pulses[0].progress < pulses[1].progress < pulses[2].progress
    server.writes.set()
    last = await beat.pulse([], "m")
    assert not last.busy and last.progress > pulses[2].progress
    assert not (await beat.pulse([], "m")).busy


async def test_a_token_that_never_comes_from_a_server_that_stands_still_is_no_progress(server, beat):
    server.moving = False
    await beat.pulse([], "m")
    pulses = [await beat.pulse([], "m") for _ in range(3)]
    assert all(pulse.busy for pulse in pulses)
    assert len({pulse.progress for pulse in pulses}) == 1


async def test_a_refused_token_is_no_sign_of_life(server, beat):
    server.status = 500
    server.writes.set()
    with pytest.raises(Failed, match="could not write a token"):
        await beat.pulse([], "m")


async def test_a_token_that_is_refused_late_is_none_either(server, beat):
    assert (await beat.pulse([], "m")).busy
    server.status = 500
    server.writes.set()
    with pytest.raises(Failed, match="could not write a token"):
        await beat.pulse([], "m")


async def test_a_server_that_cannot_be_reached_gives_none(beat, server):
    server.path.unlink()
    with pytest.raises(Failed, match="no sign of life"):
        await beat.pulse([], "m")
    beat._last += 60
    with pytest.raises(Failed, match="no sign of life"):
        await beat.pulse([], "m")


async def test_who_asks_while_a_slow_token_is_owed_is_told_of_work_until_it_is_answered(server, beat):
    assert (await beat.pulse([], "m")).busy
    beat.asked()
    server.writes.set()
    assert (await beat.pulse([], "m")).busy, "the token has come; the answer has not"
    beat.answered()
    assert not (await beat.pulse([], "m")).busy
