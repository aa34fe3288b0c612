"""Replays a trace under a policy: the live system's decisions, with a clock that jumps."""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agentos.errors import UserError, unknown
from agentos.jobs.fifo import Fifo, Unranked
from agentos.jobs.ours import OURS
from agentos.jobs.prediction import History
from agentos.jobs.ranked import Displacing
from agentos.jobs.scheduling import ANYWHERE, Node, Policy, Preemptive, Request, Running
from agentos.jobs.srtf import Oracle
from agentos.jobs.tiresias import TwoQueues
from agentos.jobs.traces import TraceJob, read_trace
from agentos.jobs.waiting import Outlook, Waiting

RESTART = 60.0
"""Seconds that a job which was set aside needs before it goes on, its GPUs held meanwhile."""

POLICIES = ("ours", "fifo", "easy", "tiresias", "srtf")

PERCENTILES = np.arange(1.0, 100.0)


@dataclass(frozen=True)
class Report:
    """What one policy made of a trace; times in seconds."""

    policy: str
    gpus: int
    jobs: int
    completion_mean: float
    """From submission to end."""
    completion_p99: float
    wait_mean: float
    """All the time between submission and end in which the job made no headway."""
    wait_p99: float
    wait_max: float
    utilisation: float
    """Part of the GPUs' time, from the first submission to the last end, that jobs made headway in."""
    makespan: float
    decisions: int
    decision_mean: float
    """Processor time, here and below."""
    decision_p99: float
    stops: int
    """How often a running job was set aside."""
    restart: float
    """Seconds charged for each of those."""
    seconds: float
    """What the replay took."""
    notes: tuple[str, ...]
    """What was left out of the trace, and why."""
    completions: tuple[float, ...]
    """The 1st to 99th percentile of the completion time."""


def simulate(
    path: Path,
    gpus: int,
    policy: str = "ours",
    *,
    limit: int | None = None,
    restart: float = RESTART,
    preemption: bool = True,
) -> Report:
    """Replays a trace; a job may use any of the GPUs together.

    Args:
        path: A CSV file, as `read_trace` reads them.
        gpus: How many the cluster has.
        policy: One of `POLICIES`.
        limit: Only so many jobs, from the first on.
        restart: Seconds that each stop costs the job that is set aside.
        preemption: Whether `ours` may set jobs aside, as Tiresias and the oracle do.

    Raises:
        UserError: an unreadable trace, an unknown policy, no GPUs, or no job that fits.
    """
    if policy not in POLICIES:
        raise unknown("policy", policy, list(POLICIES))
    for name, number, least in (
        ("gpus", gpus, 1),
        ("limit", 1 if limit is None else limit, 1),
        ("restart", restart, 0),
    ):
        if not number >= least:
            raise UserError(f"{name} is {number} and must be at least {least}; nothing was simulated.")
    return replay(read_trace(path, limit), gpus, policy, restart=restart, preemption=preemption)


def replay(
    trace: Sequence[TraceJob], gpus: int, policy: str = "ours", *, restart: float = RESTART, preemption: bool = True
) -> Report:
    """As `simulate`, for a trace in memory, by submission time."""
    jobs = [job for job in trace if 0 < job.gpus <= gpus]
    notes = []
    if large := sum(job.gpus > gpus for job in trace):
        notes.append(f"{large} of {len(trace)} jobs ask for more than {gpus} GPUs; they are left out")
    if none := sum(job.gpus == 0 for job in trace):
        notes.append(f"{none} of {len(trace)} jobs ask for no GPU; they are left out")
    if not jobs:
        raise UserError(f"none of the {len(trace)} jobs asks for 1 to {gpus} GPUs; nothing was simulated.")
    chosen, outlook = choose(policy, jobs, preemption)
    run = Replay(jobs, gpus, chosen, Waiting(outlook), restart)
    began = time.perf_counter()
    run.run()
    return run.report(policy, time.perf_counter() - began, tuple(notes))


def choose(name: str, jobs: Sequence[TraceJob], preemption: bool) -> tuple[Policy, Outlook]:
    """The policy of that name, and what it goes by; an oracle is told the trace."""
    if name == "fifo":
        return Fifo(), Unranked(History())
    if name == "easy":
        return Fifo("easy", backfill=True), Unranked(History())
    if name == "tiresias":
        return Displacing("tiresias"), TwoQueues()
    if name == "srtf":
        return Displacing("srtf"), Oracle({str(at): job.seconds for at, job in enumerate(jobs)})
    return (OURS if preemption else OURS.steady()), History(preemptive=preemption)


class Replay:
    """One policy over one trace. The clock goes from event to event: a job comes, ends, or changes its rank."""

    def __init__(self, jobs: Sequence[TraceJob], gpus: int, policy: Policy, queue: Waiting, restart: float) -> None:
        """Nothing happened yet."""
        self.jobs = jobs
        self.gpus = gpus
        self.policy = policy
        self.queue = queue
        self.restart = restart
        self.ended = np.zeros(len(jobs))
        self.stops = 0
        self.took: list[float] = []
        self._free = set(range(gpus))
        self._running: dict[str, Running] = {}
        self._ends: list[tuple[float, str, int]] = []
        self._attempts: dict[str, int] = {}

    def run(self) -> None:
        """Goes through to the last end."""
        jobs, preemptive = self.jobs, isinstance(self.policy, Preemptive)
        coming, wake = 0, None
        while coming < len(jobs) or self._running or len(self.queue):
            times = [] if wake is None else [wake]
            if coming < len(jobs):
                times.append(jobs[coming].submitted)
            if self._ends:
                times.append(self._ends[0][0])
            now = min(times)
            self._end(now)
            while coming < len(jobs) and jobs[coming].submitted <= now:
                job = jobs[coming]
                request = Request(str(coming), job.user, job.submitted, job.gpus, 0, job.gpus, preemptible=preemptive)
                self.queue.add(request)
                coming += 1
            wake = self._decide(now, self.policy if isinstance(self.policy, Preemptive) else None)

    def report(self, policy: str, seconds: float, notes: tuple[str, ...]) -> Report:
        """The figures, once all have ended."""
        submitted = np.array([job.submitted for job in self.jobs])
        ran = np.array([job.seconds for job in self.jobs])
        work = float(ran @ np.array([job.gpus for job in self.jobs]))
        completion = self.ended - submitted
        wait = np.maximum(0.0, completion - ran)
        makespan = float(self.ended.max() - submitted.min())
        return Report(
            policy=policy,
            gpus=self.gpus,
            jobs=len(self.jobs),
            completion_mean=float(completion.mean()),
            completion_p99=float(np.percentile(completion, 99)),
            wait_mean=float(wait.mean()),
            wait_p99=float(np.percentile(wait, 99)),
            wait_max=float(wait.max()),
            utilisation=work / (makespan * self.gpus) if makespan else 1.0,
            makespan=makespan,
            decisions=len(self.took),
            decision_mean=float(np.mean(self.took)),
            decision_p99=float(np.percentile(self.took, 99)),
            stops=self.stops,
            restart=self.restart,
            seconds=seconds,
            notes=notes,
            completions=tuple(float(value) for value in np.percentile(completion, PERCENTILES)),
        )

    def _end(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            when, job, attempt = heapq.heappop(self._ends)
            if self._attempts[job] == attempt and job in self._running:
                gone = self._running.pop(job)
                self._free.update(gone.gpus)
                self.ended[int(job)] = when
                self.queue.learn(gone.request, self.jobs[int(job)].seconds)

    def _decide(self, now: float, preemptive: Preemptive | None) -> float | None:
        """Asks the policy and does as it says; when to ask again at the latest."""
        if not len(self.queue):
            return None
        began = time.thread_time()
        stops: list[str] = []
        if preemptive is not None:
            stops = preemptive.preempt(now, self.queue, list(self._running.values()), self._nodes())
        spent = time.thread_time() - began
        for job in stops:
            self._stop(now, job)
        nodes, running = self._nodes(), list(self._running.values())
        began = time.thread_time()
        starts = self.policy.decide(now, self.queue, running, nodes)
        self.took.append(spent + time.thread_time() - began)
        for start in starts:
            self._start(now, start.job, start.gpus)
        if preemptive is None or not len(self.queue):
            return None
        return preemptive.wake(now, self.queue, list(self._running.values()))

    def _start(self, now: float, job: str, gpus: tuple[int, ...]) -> None:
        request = self.queue.remove(job)
        if len(gpus) != request.gpus or not self._free.issuperset(gpus):
            raise RuntimeError(f"{self.policy.name} gave job {job} GPUs that are not free: {gpus}")
        self._free.difference_update(gpus)
        attempt = self._attempts[job] = self._attempts.get(job, 0) + 1
        began = now + (self.restart if attempt > 1 else 0.0)
        self._running[job] = Running(request, ANYWHERE, began, gpus)
        heapq.heappush(self._ends, (began + self.jobs[int(job)].seconds - request.attained, job, attempt))

    def _stop(self, now: float, job: str) -> None:
        gone = self._running.pop(job)
        self._free.update(gone.gpus)
        self.stops += 1
        attained = gone.request.attained + max(0.0, now - gone.started)
        self.queue.add(replace(gone.request, attained=attained))

    def _nodes(self) -> tuple[Node, ...]:
        return (Node(ANYWHERE, len(self._free), 0, tuple(sorted(self._free))),)
