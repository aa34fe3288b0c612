"""Jobs as processes of this machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentos.errors import Failed
from agentos.jobs import cgroup, logs, settle, tree
from agentos.jobs.environment import environment
from agentos.jobs.executor import Ended, Order, Started, Tail, Usage
from agentos.jobs.identity import Claim, mark, read_claim
from agentos.jobs.nursery import Nursery
from agentos.jobs.pump import COUNT, SIZE
from agentos.jobs.scheduling import Node
from agentos.jobs.watch import Watch

_PATIENCE = 30.0
"""Seconds in which a shim must have been made."""


@dataclass
class _Run:
    """An attempt whose end has not been told."""

    folder: Path
    running: asyncio.Future[Started]
    shim: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    returned: bool = False
    end: Ended | None = None
    cpu: float = 0.0
    asked: float = 0.0


class LocalExecutor:
    """Runs attempts on this machine, each under a shim that outlives the system."""

    def __init__(
        self, folder: Path, *, cpus: int, memory: int, gpus: tuple[int, ...] = (), name: str = "local",
        log_size: int = SIZE, log_count: int = COUNT, lease: Path | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
            folder: Holds a folder for every job.
            cpus: How many this machine gives to jobs.
            memory: Bytes that it gives.
            gpus: Indices of its GPUs.
            name: Of this node.
            log_size: Bytes after which a log is rotated.
            log_count: How many files of a log are kept.
            lease: A file as of lease.py; when it runs out, so do the attempts. None: they run as long as they like.
        """
        self.folder = folder
        self._node = Node(name, cpus, memory, gpus)
        self._rules = {"log_size": log_size, "log_count": log_count, "lease": None if lease is None else str(lease)}
        self._runs: dict[str, _Run] = {}
        self._ends: asyncio.Queue[Ended | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._nursery = Nursery(folder / "shims.log", self._said, self._orphaned)
        self._watch = Watch(self._gone)
        self._groups: str | None = None

    async def open(self) -> None:
        """Makes it ready. Failed: this machine cannot run jobs."""
        if os.name != "posix":
            raise Failed("jobs need Linux or macOS; nothing was started. Run the system there, or in WSL 2.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Failed(f"{self.folder} cannot be made ({error}); no job can run. Free or mend the disk.") from error
        self._groups = cgroup.parent()
        self._nursery.open()

    async def close(self) -> None:
        """Lets go of it; running attempts go on and can be adopted."""
        self._watch.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for run in self._runs.values():
            if not run.running.done():
                run.running.set_exception(Failed("the system ends; what became of the job is told when it is back."))
                run.running.exception()
        self._runs.clear()
        await self._nursery.close()
        self._ends.put_nowait(None)

    @property
    def zygote(self) -> int | None:
        """Number of the process that makes shims; None: there is none until the next start."""
        return self._nursery.pid

    def nodes(self) -> tuple[Node, ...]:
        """The one: this machine."""
        return (self._node,)

    def available(self) -> tuple[Node, ...]:
        """All of it: nobody else's is known."""
        return (self._node,)

    def watch(self, changed: Callable[[], object]) -> None:
        """It never changes."""

    async def start(self, order: Order) -> Started:
        """Runs the command; from now on its end will be told. Failed: nothing ran and this attempt never will."""
        request = self._prepare(order)
        run = self._runs[order.attempt] = _Run(order.folder, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._nursery.ask(request)
                await run.begun.wait()
        except (Failed, TimeoutError):
            # Whether a shim has begun is decided by the claim, which nobody can make once it is void.
            self._nursery.kill()
            self._conclude_soon(order.attempt)
        try:
            return await asyncio.shield(run.running)
        finally:
            asyncio.get_running_loop().call_soon(self._release, order.attempt, run)

    def _prepare(self, order: Order) -> dict[str, object]:
        plain: dict[str, object] = {
            "attempt": order.attempt, "job": order.job, "folder": str(order.folder), "command": order.command,
            "cwd": order.cwd, "memory": order.memory, "time_limit": order.time_limit, "gpus": list(order.gpus),
            "cpus": order.cpus, "grace": order.grace, **self._rules,
        }
        try:
            order.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            told = {name: value for name, value in plain.items() if name != "command"}  # what a person wrote is sealed
            (order.folder / "order.json").write_text(json.dumps(told), "utf-8")
            sign = mark(str(order.folder))
        except OSError as error:
            raise Failed(f"{order.folder} cannot be written ({error}); the job has not begun.") from error
        group = f"{self._groups}/agentos-{sign}" if self._groups else None
        return {**plain, "cgroup": group, "env": environment(order, sign)}

    async def adopt(self, attempts: Sequence[str]) -> dict[str, Started | Ended]:
        """After a restart: what runs, whose end will be told, and what became of the others.

        Raises:
            Failed: that cannot be made sure now, for the disk is full.
        """
        folders = {attempt: self._folder(attempt) for attempt in attempts if attempt not in self._runs}
        fates = await asyncio.to_thread(lambda: {name: settle.fate(name, folder) for name, folder in folders.items()})
        dead = {attempt: folders[attempt] for attempt, found in fates.items() if found is None}
        if dead:
            await self._sweep(dead)
        result: dict[str, Started | Ended] = {}
        for attempt, found in fates.items():
            if found is None:
                result[attempt] = settle.lost(attempt, folders[attempt])
            elif isinstance(found, Ended):
                result[attempt] = found
            else:
                run = self._runs[attempt] = _Run(folders[attempt], asyncio.get_running_loop().create_future())
                result[attempt] = self._follow(attempt, run, found)
                asyncio.get_running_loop().call_soon(self._release, attempt, run)
        for attempt in set(attempts) & (set(self._runs) - set(folders)):
            result[attempt] = await asyncio.shield(self._runs[attempt].running)
        return result

    def _follow(self, attempt: str, run: _Run, claim: Claim) -> Started:
        started = Started(attempt, claim.command or claim.shim, claim.started)
        run.shim = claim.shim
        run.begun.set()
        if not run.running.done():
            run.running.set_result(started)
        self._watch.add(attempt, claim.shim, claim.shim_start)
        return started

    def _folder(self, attempt: str) -> Path:
        job, _, number = attempt.rpartition(".")
        return self.folder / job / number

    async def cancel(self, attempt: str) -> None:
        """Ends all its processes, gently, then not; its end is told as `cancelled`. One that has ended stays so."""
        run = self._runs.get(attempt)
        if run is None:
            return
        try:
            (run.folder / "cancel").touch(mode=0o600)
        except OSError as error:
            raise Failed(f"attempt {attempt} could not be cancelled ({error}); it runs on. Free the disk.") from error
        await run.begun.wait()
        self._watch.signal(attempt, run.shim, signal.SIGTERM)

    async def ended(self) -> AsyncIterator[Ended]:
        """Every end once, as it happens, until this is closed."""
        while (end := await self._ends.get()) is not None:
            yield end

    async def read(self, attempt: str, offset: int, limit: int) -> bytes:
        """Output from that absolute offset on, or from the oldest byte kept where that one is gone; empty: no more."""
        return await asyncio.to_thread(logs.read, self._folder(attempt), offset, limit)

    async def tail(self, attempt: str, lines: int) -> Tail:
        """The last lines of output, and where they are."""
        return await asyncio.to_thread(logs.tail, self._folder(attempt), lines)

    async def usage(self, attempt: str) -> Usage | None:
        """What it uses now; None when it has ended."""
        run = self._runs.get(attempt)
        if run is None or not run.shim or not run.running.done():
            return None
        use = tree.use(tree.descendants(run.shim))
        now = time.monotonic()
        since = now - run.asked if run.asked else max(0.01, time.time() - run.running.result().started)
        cpu = max(0.0, use.cpu - run.cpu) / max(since, 0.01) * 100
        run.cpu, run.asked = use.cpu, now
        return Usage(cpu, use.memory, use.processes)

    def _said(self, answer: dict[str, Any]) -> None:
        run = self._runs.get(answer["attempt"])
        if run is None:
            return
        if "refused" in answer:
            self._fail(answer["attempt"], run, answer["refused"])
        elif "shim" in answer:
            run.shim = answer["shim"]
            self._watch.add(answer["attempt"], run.shim, answer["start"])
            run.begun.set()
        elif not run.running.done():
            run.running.set_result(Started(answer["attempt"], answer["pid"], answer["started"]))

    def _fail(self, attempt: str, run: _Run, why: str) -> None:
        self._runs.pop(attempt, None)
        run.begun.set()
        if not run.running.done():
            run.running.set_exception(Failed(f"attempt {attempt} has not begun: {why}."))
            run.running.exception()

    def _orphaned(self) -> None:
        """The zygote died: of whom it had not told us, we see for ourselves."""
        for attempt, run in list(self._runs.items()):
            if not run.shim:
                self._conclude_soon(attempt)

    def _gone(self, attempt: str) -> None:
        self._conclude_soon(attempt)

    def _conclude_soon(self, attempt: str) -> None:
        task = asyncio.get_running_loop().create_task(self._conclude(attempt))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _conclude(self, attempt: str) -> None:
        """Finds out what became of an attempt whose shim, or the zygote before it made one, is gone."""
        run = self._runs.get(attempt)
        if run is None:
            return
        ended = settle.recorded(attempt, run.folder)
        if ended is None:
            found = await self._fate(attempt, run.folder)
            if isinstance(found, Claim):
                self._follow(attempt, run, found)
                return
            if found is None:
                await self._sweep({attempt: run.folder})
                if read_claim(str(run.folder)) is None:
                    self._fail(attempt, run, "what starts it was killed")
                    return
            ended = found or settle.lost(attempt, run.folder)
        if self._runs.get(attempt) is not run:
            return
        run.begun.set()
        if not run.running.done():
            run.running.set_result(Started(attempt, run.shim, ended.started))
        run.end = ended
        if run.returned:
            self._tell(attempt, run)

    async def _fate(self, attempt: str, folder: Path) -> Claim | Ended | None:
        while True:
            try:
                return await asyncio.to_thread(settle.fate, attempt, folder)
            except Failed:
                # The disk is full. Until it is not, whether it may run again cannot be said.
                await asyncio.sleep(1)

    async def _sweep(self, folders: dict[str, Path]) -> None:
        if self._groups:
            for folder in folders.values():
                group = cgroup.Group(f"{self._groups}/agentos-{mark(str(folder))}")
                group.kill()
                group.remove()
        await self._nursery.sweep()
        await settle.sweep(folders)

    def _release(self, attempt: str, run: _Run) -> None:
        run.returned = True
        if run.end is not None:
            self._tell(attempt, run)

    def _tell(self, attempt: str, run: _Run) -> None:
        if self._runs.get(attempt) is run:
            del self._runs[attempt]
            assert run.end is not None
            self._ends.put_nowait(run.end)
