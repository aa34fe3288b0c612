"""The system's end of one node of a Ray cluster: its agent, what runs there, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import agentos
from agentos.errors import Failed
from agentos.jobs import placed
from agentos.jobs.executor import Ended, Order, Reason, Started
from agentos.jobs.ray_agent import SMALL, Agent, Report
from agentos.jobs.scheduling import Node
from agentos.jobs.wire import Terms

log = logging.getLogger(__name__)

PIECE = 1 << 20
"""Bytes of a log that are asked for at a time."""
PATIENCE = 15.0
"""Seconds that an agent gets to come up, or back."""
MARGIN = 3.0
"""Seconds after a lease in which what ran under it is killed."""


@dataclass
class Run:
    """An attempt whose end has not been told."""

    folder: Path
    """On the system's own disk."""
    since: float
    """Seconds since the epoch, when it was sent there."""
    begun: asyncio.Future[Started] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    cancelled: bool = False
    ending: bool = False


class Link:
    """One node."""

    def __init__(self, id: str, node: Node, terms: Terms, tell: Callable[[Ended], None]) -> None:
        """Nothing is asked of the node yet.

        Args:
            id: Ray's.
            node: What it has; its GPUs are learned from its agent.
            terms: For its agent.
            tell: Told of every end, once all of it is on the system's disk.
        """
        self.id, self.node = id, node
        self.up = asyncio.Event()
        """Its agent answers, and has adopted what ran."""
        self.tried = asyncio.Event()
        """It was up, or could not be brought up, or has died."""
        self.dead = False
        self.trouble = ""
        """Why there is no agent."""
        self.runs: dict[str, Run] = {}
        self._terms, self._tell = terms, tell
        self._agent: Any = None
        self._strange: list[str] = []
        self._serving: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Brings its agent up, and up again whenever it dies, as long as the node lives."""
        self._serving = self._spawn(self._serve())

    def die(self) -> None:
        """The cluster holds the node for dead: once its attempts cannot run any more, they are lost."""
        if self.dead:
            return
        self.dead = True
        self.up.clear()
        self.tried.set()
        if self._serving is not None:
            self._serving.cancel()
        self._spawn(self._bury())

    async def start(self, order: Order) -> Started:
        """Runs an attempt there. Failed: nothing ran and it never will."""
        secrets = dict(order.secrets)
        if sum(map(len, secrets.values())) > SMALL:
            raise Failed(f"attempt {order.attempt} has not begun: its secrets are too long to be sent to a node.")
        await asyncio.to_thread(placed.place, order.folder, self.id, self.node.name)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.up.wait()
        if not self.up.is_set():
            raise Failed(f"attempt {order.attempt} has not begun: node {self.node.name} does not answer.")
        run = self.runs[order.attempt] = Run(order.folder, time.time())
        try:
            said: Started | str = await self._agent.start.remote(replace(order, secrets={}), secrets)
        except RayError:
            # Whether it has begun is found out when its agent is back.
            self._again()
        else:
            if isinstance(said, str):
                self.runs.pop(order.attempt, None)
                raise Failed(said)
            if not run.begun.done():
                run.begun.set_result(said)
            return said
        return await asyncio.shield(run.begun)

    async def adopt(self, sent: Mapping[str, Run]) -> dict[str, Started]:
        """What was sent here by an earlier system, whose ends will be told."""
        runs = {name: self.runs.setdefault(name, run) for name, run in sent.items()}
        if self.up.is_set():
            self._spawn(self._take_up(list(runs)))
        if not self.dead:
            await asyncio.wait([run.begun for run in runs.values()], timeout=PATIENCE)
        return {name: _started(name, run) for name, run in runs.items()}

    async def cancel(self, attempt: str) -> None:
        """Ends an attempt, now or when the node can be reached."""
        run = self.runs.get(attempt)
        if run is None:
            return
        run.cancelled = True
        if self.up.is_set():
            try:
                await self._agent.cancel.remote(attempt)
            except RayError as error:
                if isinstance(error, Failed):
                    raise Failed(_why(error)) from error
                self._again()

    async def ask(self, method: str, *args: object) -> Any:
        """What the agent answers. Failed: it cannot be asked now."""
        try:
            if self.up.is_set():
                return await getattr(self._agent, method).remote(*args)
        except RayError as error:
            log.warning("node %s: %s", self.node.name, _why(error))
        raise Failed(f"node {self.node.name} cannot be asked now.")

    async def close(self) -> None:
        """Lets go of it; an agent that runs nothing ends."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.up.is_set():
            try:
                if await self._agent.retire.remote():
                    ray.kill(self._agent)
            except RayError as error:
                log.warning("node %s: %s", self.node.name, _why(error))

    async def _serve(self) -> None:
        pause = 0.2
        while True:
            try:
                await self._bring_up()
                pause = 0.2
                while True:
                    known = [name for name, run in self.runs.items() if run.ending]
                    for report in await self._agent.ends.remote([*known, *self._strange]):
                        self._heard(report)
            except (RayError, Failed, ValueError) as error:
                self.up.clear()
                self.trouble = _why(error)
                self.tried.set()
                log.warning("node %s has no agent now: %s", self.node.name, self.trouble)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 30.0)

    async def _bring_up(self) -> None:
        self._agent = self._make()
        hello = await self._agent.hello.remote()
        if hello.version != agentos.__version__:
            # It is of an earlier installation. What it runs goes on under the next one.
            ray.kill(self._agent)
            raise Failed(f"it has agentos {hello.version}, and {agentos.__version__} is needed: install that there")
        self.node = replace(self.node, gpus=hello.gpus)
        taken: set[str] = set()
        while new := [name for name, run in self.runs.items() if name not in taken and not run.ending]:
            await self._take_up(new)
            taken.update(new)
        self.trouble = ""
        self.up.set()
        self.tried.set()

    def _make(self) -> Any:
        terms = self._terms
        return ray.remote(Agent).options(
            name=f"node-{self.id}", lifetime="detached", get_if_exists=True, num_cpus=0,
            max_restarts=0, scheduling_strategy=NodeAffinitySchedulingStrategy(self.id, soft=False),
        ).remote(terms.home, self.id, terms.lease, terms.log_size, terms.log_count)

    async def _take_up(self, attempts: list[str]) -> None:
        try:
            told = await self._agent.adopt.remote(attempts)
            for name, what in told.items():
                run = self.runs.get(name)
                if run is None:
                    continue
                if isinstance(what, Ended):
                    self._spawn(self._finish(Report(what, (), None)))
                    continue
                if not run.begun.done():
                    run.begun.set_result(what)
                if run.cancelled:
                    await self._agent.cancel.remote(name)
        except RayError as error:
            if self.up.is_set():
                log.warning("node %s: %s", self.node.name, _why(error))
                self._again()
            else:
                raise

    def _again(self) -> None:
        """The agent did not answer: it is asked, or made, anew, and what it runs adopted."""
        if not self.dead and self.up.is_set():
            self.up.clear()
            if self._serving is not None:
                self._serving.cancel()
            self.open()

    def _heard(self, report: Report) -> None:
        name = report.ended.attempt
        run = self.runs.get(name)
        if run is not None:
            self._spawn(self._finish(report))
        elif (self._terms.folder / name.replace(".", "/") / "result.json").exists():
            self._agent.forget.remote(name)
        else:
            # An earlier system's, which this one has not asked for yet.
            self._strange.append(name)

    async def _finish(self, report: Report) -> None:
        """Brings an end and its log home, tells it, and lets the node forget it."""
        run = self.runs.get(report.ended.attempt)
        if run is None or run.ending:
            return
        run.ending = True
        ended = replace(report.ended, dropped=report.ended.dropped + await self._fetch(report, run.folder))
        kept = await asyncio.to_thread(placed.record, run.folder, ended)
        self._end(ended)
        if kept:
            self._agent.forget.remote(ended.attempt)

    async def _fetch(self, report: Report, folder: Path) -> int:
        """Brings the log home; bytes of it that could not be."""
        attempt, lost, at = report.ended.attempt, 0, 0
        try:
            if report.data is None:
                report = await self._agent.report.remote(report.ended)
        except RayError as error:
            log.warning("the log of attempt %s did not come home: %s", attempt, _why(error))
        for name, size in report.files:
            try:
                with placed.Incoming(folder, name) as file:
                    if report.data is not None:
                        await asyncio.to_thread(file.write, report.data[at : at + size])
                    else:
                        for offset in range(0, size, PIECE):
                            data = await self._agent.piece.remote(attempt, name, offset, PIECE)
                            await asyncio.to_thread(file.write, data)
            except (OSError, RayError) as error:
                log.warning("the log of attempt %s is not whole: %s", attempt, _why(error))
                lost += size
            at += size
        return lost

    def _end(self, ended: Ended) -> None:
        run = self.runs.pop(ended.attempt)
        if not run.begun.done():
            run.begun.set_result(Started(ended.attempt, 0, ended.started))
        self._tell(ended)

    async def _bury(self) -> None:
        await asyncio.sleep(self._terms.lease + MARGIN)
        for name, run in list(self.runs.items()):
            if run.ending:
                continue
            run.ending = True
            reason: Reason = "cancelled" if run.cancelled else "lost"
            detail = "" if run.cancelled else f"node {self.node.name} died"
            ended = Ended(name, reason, None, None, None, _started(name, run).started, time.time(), detail)
            await asyncio.to_thread(placed.record, run.folder, ended)
            self._end(ended)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("node %s", self.node.name, exc_info=task.exception())


def _started(attempt: str, run: Run) -> Started:
    return run.begun.result() if run.begun.done() else Started(attempt, 0, run.since)


def _why(error: BaseException) -> str:
    """The last line of it: the rest is where it happened."""
    cause = getattr(error, "cause", None)
    said = f"{cause or error}".strip()
    return said.splitlines()[-1] if said else type(error).__name__
