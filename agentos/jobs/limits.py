"""Hours of cores and GPUs that somebody may take: reserved for the time a job asks for, settled by the time it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from agentos.errors import UserError
from agentos.jobs.queue import Queue
from agentos.jobs.records import ENDED, Job, Spec
from agentos.types import Timestamp

HOUR = 3600.0
CPU, GPU = "cpu-hours", "gpu-hours"
_LEAST = 1 / HOUR
"""Of a job that says not how long it may take, where nothing is left: enough to be refused with the limit named."""


class Quotas(Protocol):
    """What somebody may use."""

    def left(self, user: str, resource: str) -> float | None:
        """How much a user may still take; None where nothing limits it."""
        ...

    def reserve(self, key: str, user: str, amounts: Mapping[str, float]) -> None:
        """Takes it; raises where it would be too much."""
        ...

    def settle(self, key: str, took: Mapping[str, float], user: str = "") -> None:
        """Puts what was taken in a reservation's place."""
        ...

    def rename(self, key: str, name: str) -> None:
        """Gives a reservation another key."""
        ...

    def since(self, key: str) -> Timestamp | None:
        """When a reservation was taken."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """The keys of open reservations that begin so."""
        ...


class Hours:
    """The hours of one queue's jobs."""

    def __init__(self, quotas: Quotas | None, queue: Queue) -> None:
        """Without quotas nothing is limited."""
        self._quotas, self._queue = quotas, queue

    def open(self) -> None:
        """Settles what ended, or never came to be, while no system looked."""
        if self._quotas is None:
            return
        for key in self._quotas.keys("job-call:"):
            _, user, call = key.split(":", 2)
            made = self._queue.find.by_call(call, user)
            if made is None:
                self._quotas.settle(key, {})
            else:
                self._quotas.rename(key, f"job:{made.id}")
        for key in self._quotas.keys("job:"):
            try:
                job = self._queue.find.by_id(int(key.partition(":")[2]))
            except UserError:
                self._quotas.settle(key, {})
                continue
            self.ended(job)

    def reserve(self, spec: Spec, key: str) -> Spec:
        """Reserves what a job may take, and gives it a time limit where it has none and its user's hours are limited.

        Raises:
            DeniedError: it is more than the user has left; nothing was reserved.
        """
        if self._quotas is None:
            return spec
        cores, tries = {CPU: spec.cpus, GPU: spec.gpus}, spec.retries + 1
        left = {name: self._quotas.left(spec.user, name) for name, count in cores.items() if count}
        if all(rest is None for rest in left.values()):
            return spec
        if spec.time_limit is None:
            rest = min(rest / cores[name] for name, rest in left.items() if rest is not None) / tries
            spec = replace(spec, time_limit=max(rest, _LEAST) * HOUR)
        assert spec.time_limit is not None
        hours = spec.time_limit * tries / HOUR
        self._quotas.reserve(key, spec.user, {name: count * hours for name, count in cores.items() if count})
        return spec

    def submitted(self, key: str, job: Job) -> None:
        """A job is on disk: its reservation is known by its id."""
        if self._quotas is not None:
            self._quotas.rename(key, f"job:{job.id}")
            self.ended(job)

    def dropped(self, key: str) -> None:
        """A job could not be submitted."""
        if self._quotas is not None:
            self._quotas.settle(key, {})

    def ended(self, job: Job) -> None:
        """Counts what a job took, once it has ended."""
        if self._quotas is None or job.state not in ENDED:
            return
        since, attempts = self._quotas.since(f"job:{job.id}"), self._queue.find.attempts(job.id)
        if since is None:
            attempts = [] if job.blame or job.started is None else attempts[-1:]
        took = sum(
            max(0.0, one.finished - one.started) for one in attempts
            if one.started is not None and one.finished is not None and (since is None or one.claimed >= since)
        ) / HOUR
        self._quotas.settle(f"job:{job.id}", {CPU: took * job.spec.cpus, GPU: took * job.spec.gpus}, job.spec.user)
