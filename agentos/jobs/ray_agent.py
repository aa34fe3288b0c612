"""What runs attempts on one node of a Ray cluster: an actor around a `LocalExecutor`, which outlives the system.

Its attempts run while its lease does (lease.py), and it renews that only while the cluster holds its node for alive:
who has seen the node dead for longer than a lease knows that nothing of it runs any more. The actor itself may die and
be made again: the attempts go on meanwhile, and it adopts them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ray

import agentos
from agentos.errors import Failed
from agentos.jobs import lease
from agentos.jobs.executor import Ended, Order, Started, Tail, Usage
from agentos.jobs.local import LocalExecutor

log = logging.getLogger(__name__)

SMALL = 1 << 16
"""Bytes of a log that come with the end itself."""
_POLL = 20.0
"""Seconds that who asks for ends is kept waiting at most."""
_ALONE = 60.0
"""Seconds without a word from the system after which an actor that runs nothing ends."""
_STALE = 24 * 3600.0
"""Seconds after which the folder of a node that died is deleted."""


@dataclass(frozen=True)
class Hello:
    """What an agent is and has."""

    version: str
    gpus: tuple[int, ...]


@dataclass(frozen=True)
class Report:
    """An end, and what the attempt's log is made of."""

    ended: Ended
    files: tuple[tuple[str, int], ...]
    """Names and sizes, the oldest first."""
    data: bytes | None
    """All of it; None: it is too much for one message."""


class Agent:
    """The actor."""

    def __init__(self, home: str, node: str, period: float, log_size: int, log_count: int) -> None:
        """Nothing runs yet.

        Args:
            home: Whose jobs these are.
            node: The node's id.
            period: Seconds of a lease.
            log_size: Bytes after which a log is rotated.
            log_count: How many files of a log are kept.
        """
        self._node, self._period = node, period
        self._folder = _own(home, node)
        self._lease = self._folder / "lease"
        self._executor = LocalExecutor(
            self._folder, cpus=0, memory=0, log_size=log_size, log_count=log_count, lease=self._lease
        )
        self._running: set[str] = set()
        self._ended: dict[str, Ended] = {}
        self._news = asyncio.Event()
        self._heard = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    async def hello(self) -> Hello:
        """Makes it ready.

        Raises:
            Failed: this node cannot run jobs.
        """
        self._heard = time.monotonic()
        if not self._tasks:
            await self._renew()
            await self._executor.open()
            self._tasks = [asyncio.create_task(self._keep()), asyncio.create_task(self._hear())]
        rows = await asyncio.to_thread(ray.nodes)
        mine = next(row for row in rows if row["NodeID"] == self._node)
        return Hello(agentos.__version__, _gpus(int(mine["Resources"].get("GPU", 0))))

    async def start(self, order: Order, secrets: dict[str, str]) -> Started | str:
        """Runs the command; why nothing ran nor ever will, where that is so."""
        self._heard = time.monotonic()
        if lease.left(str(self._lease)) <= 0:
            return "its node has lost touch with the cluster"
        self._running.add(order.attempt)
        try:
            return await self._executor.start(replace(order, folder=self._place(order.attempt), secrets=secrets))
        except Failed as error:
            self._running.discard(order.attempt)
            return str(error)

    async def adopt(self, attempts: Sequence[str]) -> dict[str, Started | Ended]:
        """What runs and what became of the others, as an executor's.

        Raises:
            Failed: that cannot be made sure now.
        """
        told = await self._executor.adopt(attempts)
        self._running.update(name for name, what in told.items() if isinstance(what, Started))
        return told

    async def ends(self, known: Sequence[str]) -> list[Report]:
        """Ends that the caller does not know of, as they happen, or none after a while."""
        self._heard = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_POLL):
                while not (new := self._ended.keys() - set(known)):
                    self._news.clear()
                    await self._news.wait()
                return [await self.report(self._ended[name]) for name in new]
        self._heard = time.monotonic()
        return []

    async def report(self, ended: Ended) -> Report:
        """An end with its log."""
        return await asyncio.to_thread(_report, ended, self._place(ended.attempt))

    async def piece(self, attempt: str, name: str, offset: int, limit: int) -> bytes:
        """A part of a log's file."""
        self._heard = time.monotonic()
        return await asyncio.to_thread(_piece, self._place(attempt) / name, offset, limit)

    async def forget(self, attempt: str) -> None:
        """The system has all of it on disk."""
        self._ended.pop(attempt, None)
        await asyncio.to_thread(shutil.rmtree, self._place(attempt), ignore_errors=True)
        with contextlib.suppress(OSError):
            self._place(attempt).parent.rmdir()

    async def cancel(self, attempt: str) -> None:
        """Ends all its processes.

        Raises:
            Failed: it could not be told.
        """
        await self._executor.cancel(attempt)

    async def read(self, attempt: str, offset: int, limit: int) -> bytes:
        """Output from there on."""
        return await self._executor.read(attempt, offset, limit)

    async def tail(self, attempt: str, lines: int) -> Tail:
        """The last lines of output."""
        return await self._executor.tail(attempt, lines)

    async def usage(self, attempt: str) -> Usage | None:
        """What it uses now."""
        return await self._executor.usage(attempt)

    async def retire(self) -> bool:
        """Closes what is idle, which can be killed then; False: it has attempts, and goes on."""
        if self._running or self._ended:
            return False
        for task in self._tasks:
            task.cancel()
        await self._leave()
        return True

    def _place(self, attempt: str) -> Path:
        job, _, number = attempt.rpartition(".")
        return self._folder / job / number

    async def _leave(self) -> None:
        await self._executor.close()
        # What ended while no system was there waits for one.
        if not any(entry.is_dir() for entry in self._folder.iterdir()):
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _hear(self) -> None:
        async for ended in self._executor.ended():
            self._running.discard(ended.attempt)
            self._ended[ended.attempt] = ended
            self._news.set()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._period / 6)
            try:
                await self._renew()
            except Exception:
                # Whatever keeps the cluster or the file from us: unless it passes, the lease runs out.
                log.exception("the lease could not be renewed")
            if not self._running and time.monotonic() - self._heard > _ALONE:
                await self._leave()
                ray.kill(ray.get_runtime_context().current_actor)

    async def _renew(self) -> None:
        # From before the question: the answer may have been true at no later time.
        asked = lease.clock()
        rows = await asyncio.to_thread(ray.nodes)
        if any(row["NodeID"] == self._node and row["Alive"] for row in rows):
            lease.extend(str(self._lease), asked + self._period)


def _own(home: str, node: str) -> Path:
    """A folder on this node, under its temporary folder, that only this user can open.

    Raises:
        Failed: another user has put something in its place.
    """
    above = Path(tempfile.gettempdir()) / f"agentos-jobs-{os.getuid()}"
    above.mkdir(mode=0o700, exist_ok=True)
    found = above.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Failed(f"{above} is not a folder of this user alone; no job can run on this node. Remove it.")
    folder = above / f"{home}-{node[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for other in above.glob(f"{home}-*"):
        with contextlib.suppress(OSError):
            if other != folder and time.time() - (other / "lease").stat().st_mtime > _STALE:
                shutil.rmtree(other)
    return folder


def _gpus(count: int) -> tuple[int, ...]:
    """Indices of the node's GPUs: those that its Ray was started with, where it was told of some only."""
    visible: list[str] = []
    with contextlib.suppress(OSError):
        variables = Path(f"/proc/{os.getppid()}/environ").read_bytes().split(b"\0")
        said = next((item for item in variables if item.startswith(b"CUDA_VISIBLE_DEVICES=")), b"=")
        visible = said.partition(b"=")[2].decode().split(",")
    if len(visible) >= count and all(index.strip().isdigit() for index in visible[:count]):
        return tuple(int(index) for index in visible[:count])
    return tuple(range(count))


def _piece(file: Path, offset: int, limit: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(offset)
        return opened.read(limit)


def _report(ended: Ended, folder: Path) -> Report:
    # `log` is the newest, and comes after `log.9` and `log.10`.
    names = sorted(
        (name for name in os.listdir(folder) if name.startswith("log")),
        key=lambda name: int(name[4:]) if name[4:].isdigit() else 1 << 62,
    )
    files = tuple((name, os.stat(folder / name).st_size) for name in names)
    whole = sum(size for _, size in files) <= SMALL
    return Report(ended, files, b"".join((folder / name).read_bytes() for name in names) if whole else None)
