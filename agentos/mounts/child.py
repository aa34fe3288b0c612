"""A server that is a command: a child process of ours, held by the leash, that we talk to a line at a time.

Nothing of it outlives this system, however either ends. What it says is read in bounds: a line that is too long, or
more than anybody could mean to say in so short a time, ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path

from agentos.engines import leash
from agentos.engines.leashed import Held
from agentos.engines.started import started
from agentos.errors import Failed
from agentos.mounts.cleaned import line
from agentos.mounts.spec import Spec
from agentos.types import Bytes

LINE: Bytes = 4 * 1024 * 1024
"""Longest message."""
WINDOW, MOST_LINES = 10.0, 2_000
"""In so many seconds a server may send so many messages,"""
MOST_BYTES: Bytes = 32 * 1024 * 1024
"""and so many bytes."""
MEMORY: Bytes = 4 * 1024**3
"""Most memory that a server's processes may hold together."""
MARK = "AGENTOS_MOUNTED"
"""A variable by which its processes are known: what they ask at the owner's socket is no person's word."""
_INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
"""Variables that a server gets without being given them: none of them is a secret of ours."""
_GRACE = 1.0
_TAIL = 2_000


class Child:
    """One server's process."""

    def __init__(
        self, process: Process, folder: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        output: asyncio.ReadTransport, *, spec: Spec,
    ) -> None:
        """Of a leash that has said that it started; the folder is the server's own."""
        self._output, self._spec = output, spec
        self._reader, self._writer = reader, writer
        self._said = b""
        self._held = Held(process, folder, _told)
        assert process.stderr is not None
        self._stderr = process.stderr
        self._errors = asyncio.create_task(self._overhear())
        self.heard = time.monotonic()
        """When it last sent a message."""

    @property
    def said(self) -> str:
        """The end of what it wrote to standard error."""
        return line(self._spec.veiled(self._said.decode("utf-8", "replace")), _TAIL)

    async def lines(self) -> AsyncIterator[bytes]:
        """Its messages, until it has ended or says too much; `ended` tells which."""
        since, lines, size = time.monotonic(), 0, 0
        while True:
            try:
                said = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                await self._held.kill(f"sent a message of more than {LINE >> 20} MiB and was ended")
                return
            except (asyncio.IncompleteReadError, OSError):
                return
            self.heard = now = time.monotonic()
            if now - since > WINDOW:
                since, lines, size = now, 0, 0
            lines, size = lines + 1, size + len(said)
            if lines > MOST_LINES or size > MOST_BYTES:
                await self._held.kill(f"sent {lines} messages ({size >> 10} KiB) within {WINDOW:.0f} s and was ended")
                return
            yield said

    async def send(self, message: bytes) -> None:
        """Sends one message.

        Raises:
            OSError: it does not listen any more.
        """
        self._writer.write(message + b"\n")
        await self._writer.drain()

    async def ended(self) -> str:
        """Waits until nothing of it is left; why it ended, as the end of a sentence."""
        why = await self._held.ended()
        self._writer.close()
        return why

    async def end(self, why: str) -> None:
        """Ends it: asks by closing its input, then kills all of it. Returns when nothing is left."""
        self._writer.close()
        if not await self._held.within(_GRACE, why):
            await self._held.kill(why)
        self._output.close()
        await asyncio.wait([self._errors])

    async def _overhear(self) -> None:
        """Keeps the end of standard error, and reads no faster than anybody could."""
        while heard := await self._stderr.read(64 * 1024):
            self._said = (self._said + heard)[-_TAIL:]
            await asyncio.sleep(0.05)


def _told(said: str) -> str:
    """What the leash says, as the end of a sentence about the server."""
    told = said.removeprefix("the server ")
    if told.startswith("(process "):
        told = told.partition(") ")[2]
    return told.replace("it took", "took", 1) or "ended, as the process that holds it was killed"


async def start(spec: Spec) -> Child:
    """Starts a server's command.

    Raises:
        Failed: it cannot be started; nothing of it is left.
    """
    environ = {name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(spec.env)
    environ[MARK] = "1"
    program = shutil.which(spec.command[0], path=environ.get("PATH"))
    if program is None:
        raise Failed(f"there is no program {spec.command[0]!r} on this machine, by the PATH that the system has")
    if spec.folder and not Path(spec.folder).is_dir():  # noqa: ASYNC240 (one look at a local folder)
        raise Failed(f"the folder {spec.folder!r}, where it is to run, is gone")
    folder = tempfile.mkdtemp(prefix="agentos-mcp-")
    (theirs, give), (take, their) = os.pipe(), os.pipe()
    given = {
        "command": [program, *spec.command[1:]], "folder": folder, "vital": "", "limit": MEMORY, "oom": 900,
        "wire": [theirs, their],
    }
    try:
        process = await started(
            sys.executable, "-I", "-S", leash.__file__, json.dumps(given), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environ, cwd=spec.folder or None,
            pass_fds=(theirs, their), start_new_session=True,
        )
    except BaseException:
        os.close(give)
        os.close(take)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(theirs)
        os.close(their)
    assert process.stdout is not None and process.stdin is not None
    try:
        first = await process.stdout.readline()
        streams = await _streams(give, take)
    except BaseException:
        process.stdin.close()  # the order to end: nobody else knows of it yet
        raise
    child = Child(process, folder, *streams, spec=spec)
    if b'"started"' not in first:
        why = await child.ended()
        await child.end("")
        raise Failed(f"{spec.command[0]!r} could not be started ({child.said or why})")
    return child


async def _streams(give: int, take: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncio.ReadTransport]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE)
    output, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(take, "rb", 0))
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop=loop), os.fdopen(give, "wb", 0)
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop), output
