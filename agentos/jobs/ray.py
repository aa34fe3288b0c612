"""Jobs on the nodes of a Ray cluster. Ray itself is in a process of its own (ray_driver.py), and is imported there."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import logging
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentos.errors import Failed, UserError
from agentos.jobs import logs
from agentos.jobs.executor import Ended, Order, Started, Tail, Usage
from agentos.jobs.pump import COUNT, SIZE
from agentos.jobs.ray_bridge import Away, Bridge
from agentos.jobs.scheduling import Node
from agentos.jobs.wire import Terms

log = logging.getLogger(__name__)

LEASE = 20.0
"""Seconds that a node's attempts go on after it has lost touch with the cluster; then they are ended."""
_GOODBYE = 10.0
"""Seconds that the driver gets to end idle agents."""
_ADDRESS = re.compile(r"auto|local|[^\s:/]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}")


@dataclass
class _Run:
    """An attempt whose end has not been told."""

    begun: asyncio.Future[Started]
    returned: bool = False
    end: Ended | None = None
    cancelled: bool = False


class RayExecutor:
    """Runs attempts on the nodes of a Ray cluster, through one agent on each; they outlive the system.

    What is guaranteed: an attempt is reported as lost only when nothing of it can run any more, however its node was
    lost. A node is dead when the cluster says so; its attempts are reported a lease later, and by then their shims,
    which look at the lease themselves, have ended them.
    """

    def __init__(
        self, folder: Path, address: str, *, lease: float = LEASE, log_size: int = SIZE, log_count: int = COUNT
    ) -> None:
        """Nothing is connected yet.

        Args:
            folder: Holds a folder for every job, on this machine; logs and results come back to it.
            address: `auto` (the cluster that this machine is a node of), HOST:PORT, or `local`: one of its own.
            lease: Seconds after which a node that the cluster cannot reach ends its attempts.
            log_size: Bytes after which a log is rotated.
            log_count: How many files of a log are kept.

        Raises:
            UserError: that is no address.
        """
        if not _ADDRESS.fullmatch(address):
            raise UserError(f"{address!r} is no address of a cluster; write auto or HOST:PORT. Nothing was started.")
        self.folder = folder
        home = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:12]
        terms = Terms(folder, home, lease, log_size, log_count)
        self._bridge = Bridge(address, terms, folder / "ray.log", self._heard)
        self._runs: dict[str, _Run] = {}
        self._ends: asyncio.Queue[Ended | None] = asyncio.Queue()
        self._all: tuple[Node, ...] = ()
        self._free: tuple[Node, ...] = ()
        self._changed: Callable[[], object] = lambda: None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Connects to the cluster and brings up its nodes.

        Raises:
            UserError: Ray is not installed.
            Failed: the cluster cannot be used.
        """
        if importlib.util.find_spec("ray") is None:
            raise UserError("a cluster needs Ray: `pip install 'llm-agentos[ray]'`, here and on every node.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.folder / "ray.log").write_bytes(b"")
        except OSError as error:
            raise Failed(f"{self.folder} cannot be written ({error}); no job can run. Mend the disk.") from error
        await self._bridge.open()
        self._tasks = [asyncio.create_task(self._live())]

    async def close(self) -> None:
        """Lets go of the cluster; running attempts go on and can be adopted."""
        if self._tasks:
            with contextlib.suppress(Away, Failed, TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await self._bridge.ask("close")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._bridge.close()
        for run in self._runs.values():
            if not run.begun.done():
                run.begun.set_exception(Failed("the system ends; what became of the job is told when it is back."))
                run.begun.exception()
        self._runs.clear()
        self._ends.put_nowait(None)

    def nodes(self) -> tuple[Node, ...]:
        """All that each node has; while the cluster cannot be reached, what it had."""
        return self._all

    def available(self) -> tuple[Node, ...]:
        """What is not held by Ray's other users, of the nodes that answer."""
        return self._free

    def watch(self, changed: Callable[[], object]) -> None:
        """Has it called when nodes join, die or are held by others."""
        self._changed = changed

    @property
    def driver(self) -> int | None:
        """Number of the process that is connected to the cluster; None: none is now."""
        return self._bridge.pid

    async def start(self, order: Order) -> Started:
        """Runs the command; from now on its end will be told. Failed: nothing ran and this attempt never will."""
        run = self._runs[order.attempt] = self._run()
        try:
            plain = replace(order, env=dict(order.env), secrets=dict(order.secrets))
            return await self._bridge.ask("start", plain)  # type: ignore[no-any-return]
        except Away:
            # Whether it has begun is known once the cluster is reached again.
            return await asyncio.shield(run.begun)
        except Failed:
            self._runs.pop(order.attempt, None)
            raise
        finally:
            asyncio.get_running_loop().call_soon(self._release, order.attempt, run)

    async def adopt(self, attempts: Sequence[str]) -> dict[str, Started | Ended]:
        """After a restart: what runs or may still run, whose end will be told, and what became of the others.

        Raises:
            Failed: that cannot be made sure now.
        """
        runs = {name: self._runs.setdefault(name, self._run()) for name in attempts}
        folders = {name: self._folder(name) for name in attempts}
        try:
            told: dict[str, Started | Ended] = await self._bridge.ask("adopt", folders)
        except Away as error:
            raise Failed("the cluster was lost while running jobs were looked for; nothing was changed.") from error
        for name, what in told.items():
            if isinstance(what, Ended):
                self._runs.pop(name, None)
            else:
                asyncio.get_running_loop().call_soon(self._release, name, runs[name])
        return told

    async def cancel(self, attempt: str) -> None:
        """Ends all its processes, gently, then not; its end is told as `cancelled`. One that has ended stays so."""
        run = self._runs.get(attempt)
        if run is not None:
            run.cancelled = True
            # One that cannot be reached is told when it can be.
            with contextlib.suppress(Away):
                await self._bridge.ask("cancel", attempt)

    async def ended(self) -> AsyncIterator[Ended]:
        """Every end once, as it happens, until this is closed."""
        while (end := await self._ends.get()) is not None:
            yield end

    async def read(self, attempt: str, offset: int, limit: int) -> bytes:
        """Output from that absolute offset on, or from the oldest byte kept where that one is gone; empty: no more."""
        with contextlib.suppress(Away, Failed):
            if attempt in self._runs:
                return await self._bridge.ask("read", attempt, offset, limit)  # type: ignore[no-any-return]
        return await asyncio.to_thread(logs.read, self._folder(attempt), offset, limit)

    async def tail(self, attempt: str, lines: int) -> Tail:
        """The last lines of output, and where they are."""
        with contextlib.suppress(Away, Failed):
            if attempt in self._runs:
                return await self._bridge.ask("tail", attempt, lines)  # type: ignore[no-any-return]
        return await asyncio.to_thread(logs.tail, self._folder(attempt), lines)

    async def usage(self, attempt: str) -> Usage | None:
        """What it uses now; None when it has ended, or its node does not answer."""
        with contextlib.suppress(Away, Failed):
            if attempt in self._runs:
                return await self._bridge.ask("usage", attempt)  # type: ignore[no-any-return]
        return None

    def _run(self) -> _Run:
        return _Run(asyncio.get_running_loop().create_future())

    def _folder(self, attempt: str) -> Path:
        job, _, number = attempt.rpartition(".")
        return self.folder / job / number

    async def _live(self) -> None:
        """Hears the driver, and makes another when it dies."""
        while True:
            await self._bridge.hear()
            log.warning("the driver of the cluster died; another one is made")
            self._free = ()
            await self._bridge.close()
            pause = 0.5
            while True:
                try:
                    await self._bridge.open()
                    break
                except Failed as error:
                    log.warning("%s", error)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 30.0)
            again = asyncio.create_task(self._again())
            again.add_done_callback(_seen)
            self._tasks[1:] = [again]

    async def _again(self) -> None:
        """What ran under the driver before this one is taken up by it."""
        folders = {name: self._folder(name) for name, run in self._runs.items() if run.end is None}
        with contextlib.suppress(Away):
            told: dict[str, Started | Ended] = await self._bridge.ask("adopt", folders) if folders else {}
            for name, what in told.items():
                run = self._runs.get(name)
                if run is None:
                    continue
                if isinstance(what, Ended):
                    self._over(what)
                elif not run.begun.done():
                    run.begun.set_result(what)
                if run.cancelled:
                    await self._bridge.ask("cancel", name)

    def _heard(self, kind: str, value: Any) -> None:
        if kind == "ended":
            self._over(value)
        elif kind == "nodes":
            self._all, self._free = value.all, value.free
            self._changed()

    def _over(self, ended: Ended) -> None:
        run = self._runs.get(ended.attempt)
        if run is not None and run.end is None:
            run.end = ended
            if not run.begun.done():
                run.begun.set_result(Started(ended.attempt, 0, ended.started))
            if run.returned:
                self._tell(ended.attempt, run)

    def _release(self, attempt: str, run: _Run) -> None:
        run.returned = True
        if run.end is not None:
            self._tell(attempt, run)

    def _tell(self, attempt: str, run: _Run) -> None:
        if self._runs.get(attempt) is run:
            del self._runs[attempt]
            assert run.end is not None
            self._ends.put_nowait(run.end)


def _seen(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("running jobs could not be taken up", exc_info=task.exception())

