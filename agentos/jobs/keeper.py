"""The loop that keeps the machine busy: takes in submissions and ends, decides, claims, starts; a turn is one write."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agentos.errors import AgentosError, Failed, NotFound, UserError
from agentos.jobs.aside import Aside
from agentos.jobs.executor import Ended, Executor, Order, Started
from agentos.jobs.faults import fault
from agentos.jobs.ledger import Ledger, request, wants
from agentos.jobs.prediction import History
from agentos.jobs.queue import Queue
from agentos.jobs.records import ENDED, Job, Spec
from agentos.jobs.scheduling import Policy, Start, fits
from agentos.jobs.waiting import Waiting
from agentos.types import Seconds

log = logging.getLogger(__name__)

LEASE: Seconds = 60.0
"""How long a claim holds unless it is renewed, which happens three times as often."""
PAUSE: Seconds = 0.25
"""Until a job that could not be started twice is tried again; twice as long each time."""
AGAIN: Seconds = 1.0
"""Until a turn that the disk refused is tried again."""


class Keeper:
    """Runs the queue's jobs on an executor.

    A turn takes in all that has happened since the last one, in one transaction: a hundred submissions at
    once, or an end and the start that it makes room for, wait for the disk once. Points for `faults`:
    `service:submitting`, `service:finishing` and `service:claiming` within the transaction, `service:submitted`,
    `service:finished` and `service:claimed` just after it, `service:ended` (told, not yet in a turn) and
    `service:started`.
    """

    def __init__(
        self, queue: Queue, executor: Executor, policy: Policy, folder: Path,
        environment: Callable[[Sequence[str], str], Mapping[str, str]], *,
        clock: Callable[[], float] = time.time, ended: Callable[[Job], None] = lambda job: None,
    ) -> None:
        """A loop that does not run yet.

        Args:
            queue: What is on disk.
            executor: What runs attempts.
            policy: Who goes first.
            folder: Attempts have their folders `JOB/N` in it.
            environment: The variables that a user's secrets of those names come to.
            clock: Seconds since the epoch.
            ended: Told of each job that has ended, once that is on disk.
        """
        self.queue, self.executor, self._told = queue, executor, ended
        self._policy, self._folder, self._environment, self._clock = policy, folder, environment, clock
        self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.waiting = Waiting(History())
        self.ledger = Ledger()
        self._aside = Aside(policy, self.ledger)
        self._submitted: list[tuple[Spec, asyncio.Future[Job]]] = []
        self._ended: list[Ended] = []
        self._watched: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._turning = False
        self._closed = False

    async def open(self) -> None:
        """Takes up what an earlier system left: what runs is adopted, what was lost runs again.

        Raises:
            Failed: this machine cannot run jobs.
        """
        await self.executor.open()
        for job in self.queue.find.history():
            if job.runtime is not None:
                self.waiting.learn(request(job), job.attained + job.runtime)
        left = self.queue.find.running()
        told = await self.executor.adopt([attempt.id for _, attempt in left])
        with self.queue.transaction():
            for _, attempt in left:
                self.queue.take(attempt.id, self._owner, self._clock() + LEASE)
        for job, attempt in left:
            self.ledger.enter(job, attempt.id, Start(job.id, attempt.node, attempt.gpus), attempt.claimed)
            what = told[attempt.id]
            if isinstance(what, Started):
                self.ledger.started[job.id] = what
                if job.cancelled_by is not None:
                    await self.executor.cancel(attempt.id)
            else:
                self._ended.append(what)
        for job in self.queue.find.queued():
            self.waiting.add(request(job))
        self.executor.watch(self.wake)
        self._spawn(self._hear())
        self._spawn(self._renew())
        self._turn()

    async def close(self) -> None:
        """Stops deciding; what runs goes on, and the next system adopts it."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in (tasks := list(self._tasks)):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.executor.close()

    async def submit(self, spec: Spec) -> Job:
        """Puts a job on disk; submissions that come together share one write.

        Raises:
            UserError: it is not in order, or could never run here.
            Failed: the disk refuses; nothing was submitted.
        """
        nodes = self.executor.nodes()
        # A cluster may be without nodes for a while: then nothing can be said yet.
        why = fits(wants(spec), nodes) if nodes else None
        if why is not None:
            raise UserError(f"this job could never run here: {why}. Nothing was submitted; ask for less.")
        future: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._submitted.append((spec, future))
        self.wake()
        return await future

    async def cancel(self, job: str, user: str) -> Job:
        """Ends a job; one that runs is `running` until all its processes are gone.

        Raises:
            NotFound: there is no such job.
            UserError: it has ended by itself.
        """
        change = self.queue.cancel(job, user, self._clock())
        name = change.job.id
        if change.job.state == "running":
            if name in self.ledger.started:
                await self.executor.cancel(self.ledger.attempts[name])
        elif name in self.waiting:
            self.waiting.remove(name)
        self._tell([change.job, *change.failed])
        self.wake()
        return change.job

    def retry(self, job: str) -> Job:
        """Runs an ended job again.

        Raises:
            NotFound: there is no such job.
            UserError: it has not ended, or what it waits for has failed.
        """
        change = self.queue.retry(job, self._clock())
        for again in change.queued:
            self.waiting.add(request(again))
        self.wake()
        return change.job

    async def wait(self, job: str) -> Job:
        """The job once it has ended."""
        while (now := self.queue.find.by_id(int(job))).state not in ENDED:
            await self._watched.setdefault(job, asyncio.Event()).wait()
        return now

    def expected(self, job: Job) -> Seconds:
        """How long it is thought to run, the median of jobs like it."""
        return self.waiting.outlook.estimate(request(job)).quantile(0.5)

    def wake(self) -> None:
        """A turn follows, once those who are ready to say something have said it."""
        if not self._turning and not self._closed:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        if self._closed:
            return
        now = self._clock()
        submitted, self._submitted, ended, self._ended = self._submitted, [], self._ended, []
        try:
            with self.queue.transaction():
                changed = [job for end in ended for job in self._finish(end, now)]
                answers = self._take([spec for spec, _ in submitted], now)
                for job in self.queue.due(now):
                    self.waiting.add(request(job))
                claimed = self._claim(now)
                _fault("ing", submitted, ended, claimed)
        except Exception as error:
            # A bug in a policy, say, must not lose what was told: it is kept, and tried again as if the disk refused.
            if not isinstance(error, Failed):
                log.exception("a turn of the job loop broke")
            self._refused(error, ended, submitted)
            return
        _fault("ed", submitted, ended, claimed)
        starts = {job.id: job for job, _, _ in claimed}
        for (_, future), answer in zip(submitted, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, AgentosError):
                future.set_exception(answer)
            else:
                future.set_result(starts.get(answer.id, answer))
        for job, attempt, start in claimed:
            self._spawn(self._launch(job, attempt, start))
        self._tell(changed)
        for attempt in self._aside.choose(now, self.waiting, self.executor.available()):
            self._spawn(self.executor.cancel(attempt))
        self._later(now)

    def _take(self, specs: Sequence[Spec], now: float) -> list[Job | UserError]:
        answers = [
            answer if isinstance(answer, UserError) else answer[0]
            for answer in self.queue.submit_each([[spec] for spec in specs], now)
        ]
        for job in answers:
            if isinstance(job, Job) and job.state == "queued" and job.id not in self.waiting:
                self.waiting.add(request(job))
        return answers

    def _finish(self, end: Ended, now: float) -> list[Job]:
        name = end.attempt.partition(".")[0]
        try:
            change = self.queue.finish(self._aside.told(end), now)
        except NotFound as error:  # an executor that was used by another queue
            log.warning("an end was left alone: %s", error)
            return []
        if not change.recorded:
            return []
        running = self.ledger.leave(name)
        if running is not None and change.job.state == "succeeded":
            self.waiting.learn(running.request, running.request.attained + max(0.0, end.finished - end.started))
        for job in change.queued:
            self.waiting.add(request(job))
        return [change.job, *change.failed]

    def _claim(self, now: float) -> list[tuple[Job, str, Start]]:
        """Claims what the policy starts."""
        if not len(self.waiting):
            return []
        claimed = []
        running, free = list(self.ledger.running.values()), self.ledger.free(self.executor.available())
        for start in self._policy.decide(now, self.waiting, running, free):
            self.waiting.remove(start.job)
            attempt = self.queue.claim(
                start.job, node=start.node, gpus=start.gpus, owner=self._owner, until=now + LEASE, now=now
            )
            if attempt is None:
                continue
            job = self.queue.find.by_id(int(start.job))
            self.ledger.enter(job, attempt, start, now)
            claimed.append((job, attempt, start))
        return claimed

    async def _launch(self, job: Job, attempt: str, start: Start) -> None:
        spec, now = job.spec, self._clock()
        try:
            order = Order(
                attempt, job.id, self._folder / job.id / attempt.partition(".")[2], spec.command, spec.cwd, spec.env,
                self._environment(spec.secrets, spec.user), spec.memory, spec.time_limit, start.gpus, spec.cpus,
                node=start.node,
            )
            self.ledger.started[job.id] = await self.executor.start(order)
        except UserError as error:  # a secret that is gone: trying again would not help
            self._end(Ended(attempt, "unstartable", None, None, None, now, now, str(error)))
            return
        except AgentosError as error:
            # A machine that has no room for a process now has none a moment later: it must not cost all the tries.
            await asyncio.sleep(min(30.0, PAUSE * 2.0 ** (job.losses - 1)) if job.losses else 0.0)
            now = self._clock()
            self._end(Ended(attempt, "lost", None, None, None, now, now, str(error)))
            return
        fault("service:started")
        if self.queue.find.by_id(int(job.id)).cancelled_by is not None:
            await self.executor.cancel(attempt)

    def _end(self, end: Ended) -> None:
        self._ended.append(end)
        self.wake()

    async def _hear(self) -> None:
        async for end in self.executor.ended():
            fault("service:ended")
            self._end(end)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE / 3)
            try:
                if self.ledger.running:
                    self.queue.renew(self._owner, self._clock() + LEASE)
            except Failed:
                log.warning("leases could not be renewed; the disk refuses")

    def _refused(
        self, error: Exception, ended: list[Ended], submitted: list[tuple[Spec, asyncio.Future[Job]]]
    ) -> None:
        """The disk has nothing of the turn: memory is made what the disk says, and ends are kept for the next one."""
        log.warning("a turn was refused: %s", error)
        for _, future in submitted:
            if not future.done():
                future.set_exception(Failed(f"nothing was submitted: {error}"))
        self._ended = ended + self._ended
        outlook = self.waiting.outlook
        self.waiting = Waiting(outlook)
        for job in self.queue.find.queued():
            self.waiting.add(request(job))
        self.ledger.running.clear()
        for job, attempt in self.queue.find.running():
            self.ledger.enter(job, attempt.id, Start(job.id, attempt.node, attempt.gpus), attempt.claimed)
        self._turning = True
        asyncio.get_running_loop().call_later(AGAIN, self._turn)

    def _later(self, now: float) -> None:
        """A turn when the next job's time comes, or another's turn."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = [at for at in (self.queue.next_due(), self._aside.wake(now, self.waiting)) if at is not None]
        if due:
            delay = min(max(0.0, min(due) - self._clock()), 3600.0)
            self._timer = asyncio.get_running_loop().call_later(delay, self.wake)

    def _tell(self, jobs: Sequence[Job]) -> None:
        for job in (one for one in jobs if one.state in ENDED):
            self._told(job)
            if (event := self._watched.pop(job.id, None)) is not None:
                event.set()

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a part of the job loop broke", exc_info=task.exception())


def _fault(tense: str, submitted: Sequence[object], ended: Sequence[object], claimed: Sequence[object]) -> None:
    for some, verb in ((submitted, "submitt"), (ended, "finish"), (claimed, "claim")):
        if some:
            fault(f"service:{verb}{tense}")
