"""Servers of models on the nodes of a cluster: placed by room, spread by model, and gone with the system.

A server is an attempt of an executor that is for servers alone: a job outlives the system on purpose, a server must
not. So each is held by a connection from the system (serving_node.py), and ends when that does.

What is not covered: requests go to the node in plain HTTP with a key, so the cluster's network must be trusted; the
environment and the model's folder must be on the node at the paths that they have here; the scheduler of jobs does
not know what servers hold of a node. A system that sleeps for longer than about 20 seconds loses its servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentos.engines import leash
from agentos.engines.vllm_server import Launch
from agentos.errors import Failed
from agentos.jobs import serving_node
from agentos.jobs.executor import Ended, Executor, Order, Started
from agentos.jobs.scheduling import Node

_PATIENCE = 60.0
"""Seconds in which a node must have said where its server is."""
_SURE = 75.0
"""Seconds after which nothing runs of a server that nobody holds, whether or not its node can still say so."""
_GRACE = 2.0
_NOWHERE = "192.0.2.1"
"""An address that is nobody's: the way to it is the way to everywhere."""
_MODULE = "vllm.entrypoints.openai.api_server"


@dataclass
class _Held:
    """What a server takes of a node until its end is told."""

    node: str
    memory: int
    gpus: tuple[int, ...]
    model: tuple[str, ...]
    """Its arguments: replicas of a model have the same."""
    end: asyncio.Future[Ended]


class ClusterServer:
    """A server on a node. Implements `Server`."""

    local = False

    def __init__(self, start: ClusterStart, attempt: str, held: _Held, launch: Launch) -> None:
        """Of an attempt that is about to begin; `begin` makes it a server."""
        self.address = ""
        self.pid = 0
        self.node = held.node
        self._start, self._attempt, self._held, self._launch = start, attempt, held, launch
        self._writer: asyncio.StreamWriter | None = None
        self._lost = False
        self._why = ""
        self._read = 0
        self._over: asyncio.Task[str] | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs and is held."""
        return not self._lost and not self._held.end.done()

    def processes(self) -> list[int]:
        """None: they are another machine's."""
        return []

    async def ended(self) -> str:
        """Waits until nothing of it is left; why it ended."""
        assert self._over is not None
        return await asyncio.shield(self._over)

    async def kill(self, why: str) -> None:
        """Ends it at once and returns when nothing of it is left."""
        self._why = self._why or why
        if self._writer is not None:
            self._writer.close()
        await self.ended()

    async def begin(self, order: Order, word: str) -> None:
        """Starts it and takes hold of it. Failed: it could not be started; nothing of it is left."""
        begun = False
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._start.executor.start(order)
                begun = True
                said = await self._told()
                reader, self._writer = await asyncio.open_connection(said["host"], said["line"])
                serving_node.watched(self._writer.get_extra_info("socket"))
                self._writer.write(word.encode() + b"\n")
                line = await reader.readline()
            if not line:
                raise Failed(f"the server could not be started on node {self.node}. See {self._launch.log}.")
            self.pid, self.address = int(json.loads(line)["started"]), f"{said['host']}:{said['port']}"
        except BaseException as error:
            if self._writer is not None:
                self._writer.close()
            if begun or not isinstance(error, Failed):
                await asyncio.shield(self._start.clear(self._attempt))
            else:  # nothing ran, and no end will be told
                self._start.forget(self._attempt)
            if isinstance(error, OSError):  # a time-out is one
                raise Failed(
                    f"node {self.node} cannot be reached from here ({error or 'it did not answer in time'}); nothing "
                    "runs there. A server is reached directly: let this machine connect to the node's ports."
                ) from error
            raise
        self._over = asyncio.create_task(self._follow(reader))

    async def _told(self) -> dict[str, Any]:
        """Where it is, from the first line of its output."""
        while True:
            text = await self._start.executor.read(self._attempt, 0, 4096)
            if b"\n" in text:
                with contextlib.suppress(ValueError):
                    return dict(json.loads(text.partition(b"\n")[0]))
            if self._held.end.done() or b"\n" in text:
                end = self._held.end.result() if self._held.end.done() else None
                words = text.decode(errors="replace").strip() or (end and (end.detail or end.reason)) or ""
                raise Failed(f"the server could not be started on node {self.node}: {words}; nothing was loaded.")
            await asyncio.wait([self._held.end], timeout=0.1)

    async def _follow(self, reader: asyncio.StreamReader) -> str:
        """Until nothing of it is left."""
        hearing: asyncio.Future[str] = asyncio.create_task(_listen(reader))
        over: asyncio.Future[Any] = self._held.end
        pause = 0.25
        while not hearing.done() and not self._held.end.done():
            new = await self._copy()
            pause = 0.25 if new else min(2.0, pause * 1.5)
            await asyncio.wait({hearing, over}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        self._lost = True
        assert self._writer is not None
        self._writer.close()
        said = await hearing
        end = await self._start.clear(self._attempt, self._copy)
        if self._why or said:
            return self._why or said
        if end is None:
            return f"node {self.node} is out of reach; what ran there has ended by itself"
        return end.detail or f"was lost with its line to node {self.node} ({end.reason})"

    async def _copy(self) -> int:
        """What it wrote since the last time goes to the log here."""
        data = await self._start.executor.read(self._attempt, self._read, 1 << 20)
        self._read += len(data)
        with contextlib.suppress(OSError):  # a disk that is full loses output, as everywhere
            if data:
                await asyncio.to_thread(_append, self._launch.log, data)
        return len(data)


class ClusterStart:
    """Starts servers where the executor's nodes have room. Implements `Start`."""

    def __init__(
        self, executor: Executor, folder: Path, cluster: str = "",
        spare: Callable[[Iterable[Node]], Iterable[Node]] = lambda nodes: nodes,
    ) -> None:
        """Nothing is opened before the first server.

        Args:
            executor: For servers alone; opened and closed by this.
            folder: The executor's.
            cluster: Its address, `HOST:PORT` or `auto`; by default the nodes are this machine.
            spare: What the jobs of the system leave of nodes.
        """
        self.executor = executor
        self._folder, self._spare = folder, spare
        host = cluster.rpartition(":")[0].strip("[]") or _NOWHERE
        self._toward = serving_node.toward(host) if cluster and cluster != "local" else "127.0.0.1"
        self._servers: dict[str, _Held] = {}
        self._running: dict[str, ClusterServer] = {}
        self._hearing: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Makes it ready, and ends what an earlier system left. Failed, UserError: the executor cannot be used."""
        async with self._opening:
            if self._hearing is not None:
                return
            await self.executor.open()
            self._hearing = asyncio.create_task(self._hear())
            before = [f"{path.parent.name}.{path.name}" for path in self._folder.glob("serve-*/*")]
            for attempt, what in (await self.executor.adopt(before)).items() if before else ():
                if isinstance(what, Started):
                    await self.executor.cancel(attempt)
                else:
                    await asyncio.to_thread(shutil.rmtree, self._place(attempt).parent, ignore_errors=True)

    async def close(self) -> None:
        """Ends every server, and returns when nothing of them is left."""
        await asyncio.gather(*(server.kill("the system ends") for server in list(self._running.values())))
        if self._hearing is not None:
            await self.executor.close()
            await self._hearing
            self._hearing = None

    async def __call__(self, launch: Launch) -> ClusterServer:
        """Starts a server on the node with fewest replicas of its model and, of those, with most room.

        Raises:
            Failed: no node has room, or the server could not be started; nothing of it is left.
        """
        await self.open()
        job, word = f"serve-{secrets.token_hex(4)}", secrets.token_urlsafe(32)
        attempt = f"{job}.1"
        node = self._choose(launch)
        gpus = node.gpus[: launch.gpus]
        end: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        held = self._servers[attempt] = _Held(node.name, launch.limit or 0, gpus, launch.arguments, end)
        hidden = {**launch.environ, serving_node.LINE: word}
        order = Order(
            attempt, job, self._place(attempt), _command(launch, self._toward), "/", {}, hidden, launch.limit,
            None, gpus, max(1, node.cpus), _GRACE, node.name,
        )
        server = ClusterServer(self, attempt, held, launch)
        await server.begin(order, word)
        self._running[attempt] = server
        return server

    async def clear(self, attempt: str, last: Any = None) -> Ended | None:
        """Ends an attempt, waits until nothing of it is left and forgets it; None: its node could not say so."""
        held = self._servers[attempt]
        if not held.end.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SURE):
                    with contextlib.suppress(Failed):  # it ends by itself, since nobody holds it
                        await self.executor.cancel(attempt)
                    await asyncio.shield(held.end)
        if last is not None:
            while await last():
                pass
        self.forget(attempt)
        if not held.end.done():
            return None
        await asyncio.to_thread(shutil.rmtree, self._place(attempt).parent, ignore_errors=True)
        return held.end.result()

    def forget(self, attempt: str) -> None:
        """Nothing of an attempt runs any more."""
        self._running.pop(attempt, None)
        self._servers.pop(attempt, None)

    def rooms(self) -> list[Node]:
        """What servers and jobs leave of the nodes that answer."""
        return self.left(self._spare(self.executor.available()))

    def left(self, nodes: Iterable[Node]) -> list[Node]:
        """What servers leave of nodes."""
        left = []
        for node in nodes:
            mine = [held for held in self._servers.values() if held.node == node.name]
            taken = {gpu for held in mine for gpu in held.gpus}
            left.append(replace(
                node, memory=node.memory - sum(held.memory for held in mine),
                gpus=tuple(gpu for gpu in node.gpus if gpu not in taken),
            ))
        return left

    def _choose(self, launch: Launch) -> Node:
        rooms = self.rooms()
        fit = [room for room in rooms if room.memory >= (launch.limit or 0) and len(room.gpus) >= launch.gpus]
        if not fit:
            there = "; ".join(f"{r.name}: {max(0, r.memory) >> 20} MiB, {len(r.gpus)} GPUs" for r in rooms)
            raise Failed(
                f"no node has {(launch.limit or 0) >> 20} MiB and {launch.gpus} GPUs free for a server "
                f"({there or 'no node answers'}); nothing was started. Unload a model, or add a node."
            )
        same = Counter(held.node for held in self._servers.values() if held.model == launch.arguments)
        return min(fit, key=lambda r: (same[r.name], -len(r.gpus) if launch.gpus else 0, -r.memory, r.name))

    def _place(self, attempt: str) -> Path:
        job, _, number = attempt.rpartition(".")
        return self._folder / job / number

    async def _hear(self) -> None:
        async for ended in self.executor.ended():
            held = self._servers.get(ended.attempt)
            if held is not None:
                held.end.set_result(ended)
            else:
                await asyncio.to_thread(shutil.rmtree, self._place(ended.attempt).parent, ignore_errors=True)


def _command(launch: Launch, toward: str) -> str:
    """The shell's command on the node, with the texts of the programs that it runs."""
    python = str(launch.python)
    given = {
        "toward": toward, "leash": Path(leash.__file__).read_text("utf-8"),
        "command": [python, "-m", _MODULE, *launch.arguments],
    }
    text = Path(serving_node.__file__).read_text("utf-8")
    return "exec " + shlex.join([python, "-I", "-S", "-c", text, json.dumps(given)])


async def _listen(reader: asyncio.StreamReader) -> str:
    """What the leash says last; empty where it could say nothing."""
    said = ""
    with contextlib.suppress(OSError, ValueError):
        while line := await reader.readline():
            said = str(json.loads(line).get("ended", said))
    return said


def _append(log: Path, data: bytes) -> None:
    with log.open("ab") as file:
        file.write(data)
