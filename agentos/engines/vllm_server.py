"""Where a server runs: on this machine by the leash, or elsewhere by whoever implements `Start`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agentos.engines import leash
from agentos.engines.leashed import Held
from agentos.engines.started import started
from agentos.errors import Failed
from agentos.types import Bytes


@dataclass(frozen=True)
class Launch:
    """A server to start: everything but where."""

    python: Path
    """Of the environment that vLLM is installed in."""
    arguments: tuple[str, ...]
    """The server's, without its address."""
    environ: Mapping[str, str]
    """On top of the starter's own; holds `VLLM_API_KEY`, which no argument ever does."""
    log: Path
    """Where it writes; read to say how far a load is and why one failed."""
    limit: Bytes | None = None
    """Most that its processes may hold together."""
    gpus: int = 0
    """How many it needs, where the starter deals them out."""


class Server(Protocol):
    """A server that was started, wherever it runs."""

    address: str
    """`unix:PATH` or `HOST:PORT`."""
    pid: int
    """Of the server on its own machine."""
    local: bool
    """Whether its processes are this machine's, so that they can be looked at."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        ...

    def processes(self) -> list[int]:
        """All of its processes; empty where it is not local."""
        ...

    async def ended(self) -> str:
        """Waits until nothing of it is left; why it ended."""
        ...

    async def kill(self, why: str) -> None:
        """Ends it at once and returns when nothing of it is left; `ended` then says why."""
        ...


Start = Callable[[Launch], Awaitable[Server]]
"""Starts a server somewhere. Failed: it could not even be started."""


class Leashed:
    """A server on this machine, reached by a socket in a folder that only its owner can enter."""

    local = True

    def __init__(self, process: asyncio.subprocess.Process, folder: str, pid: int) -> None:
        """Of a leash that has said that it started; the folder is the server's own."""
        self.address = f"unix:{folder}/socket"
        self.pid = pid
        self._held = Held(process, folder, lambda said: said or "the process that holds it was killed")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._held.alive

    def processes(self) -> list[int]:
        """The server and all below it."""
        return leash.below(self._held.pid) if self.alive else []

    async def ended(self) -> str:
        """Waits until nothing of it is left; why it ended."""
        return await self._held.ended()

    async def kill(self, why: str) -> None:
        """Ends it at once."""
        await self._held.kill(why)


async def start(launch: Launch) -> Leashed:
    """Starts a server on this machine, so that nothing of it outlives this process, however this process ends."""
    folder = tempfile.mkdtemp(prefix="agentos-vllm-")
    program = [str(launch.python), "-m", "vllm.entrypoints.openai.api_server"]
    given = {
        "command": [*program, *launch.arguments, "--uds", f"{folder}/socket"],
        "folder": folder, "vital": "VLLM::", "limit": launch.limit, "oom": 500,
    }
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    with launch.log.open("ab") as log:
        process = await started(
            sys.executable, "-I", "-S", leash.__file__, json.dumps(given),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
            env={**own, **launch.environ, "TMPDIR": folder, "VLLM_RPC_BASE_PATH": folder}, start_new_session=True,
        )
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
    except BaseException:
        assert process.stdin is not None
        process.stdin.close()  # the order to end: nobody else knows of it yet
        raise
    if not line or "started" not in (said := json.loads(line)):
        await process.wait()
        raise Failed(f"the server could not be started; nothing was loaded. See {launch.log}.")
    return Leashed(process, folder, int(said["started"]))
