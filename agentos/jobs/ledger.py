"""Who has what: the jobs that run, their attempts, and what is left of every node."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from agentos.jobs.executor import Started
from agentos.jobs.prediction import signature
from agentos.jobs.records import Job, Spec
from agentos.jobs.scheduling import Node, Request, Running, Start

_TOLD = 1000
"""Characters of a command that say what kind of work it is."""


class Ledger:
    """The running jobs by id."""

    def __init__(self) -> None:
        """Nothing runs."""
        self.running: dict[str, Running] = {}
        self.attempts: dict[str, str] = {}
        self.started: dict[str, Started] = {}
        """Those whose command is known to run."""

    def enter(self, job: Job, attempt: str, start: Start, since: float) -> None:
        """The job has its resources since then."""
        self.running[job.id] = Running(request(job), start.node, since, start.gpus)
        self.attempts[job.id] = attempt

    def leave(self, job: str) -> Running | None:
        """Its resources are free again; what it had."""
        self.started.pop(job, None)
        self.attempts.pop(job, None)
        return self.running.pop(job, None)

    def free(self, nodes: Iterable[Node]) -> list[Node]:
        """What is left of them."""
        left = {node.name: node for node in nodes}
        for one in self.running.values():
            node = left.get(one.node)
            if node is not None:
                gpus = tuple(index for index in node.gpus if index not in one.gpus)
                asked = one.request
                left[one.node] = Node(node.name, node.cpus - asked.cpus, node.memory - asked.memory, gpus)
        return list(left.values())


def request(job: Job) -> Request:
    """What the scheduler is told of a job."""
    spec = job.spec
    key = _signature(spec.command[:_TOLD]) if spec.kind == "command" else spec.kind
    return Request(
        job.id, spec.user, job.ready if job.ready is not None else job.submitted, spec.cpus, spec.memory or 0,
        spec.gpus, spec.priority, key, spec.time_limit, spec.preemptible, job.attained,
    )


def wants(spec: Spec) -> Request:
    """What a job to be takes of a node."""
    return Request("", spec.user, 0.0, spec.cpus, spec.memory or 0, spec.gpus)


_signature = lru_cache(maxsize=1 << 12)(signature)
