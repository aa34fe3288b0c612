"""The scheduling seam: what a policy is told, what it answers, and what can never run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from agentos.jobs.waiting import Waiting

Priority = Literal["low", "normal", "high"]

ANYWHERE = "*"
"""The simulator's one node, on which a job may span real ones."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine: all that it has, or, where a policy is told what is free, what is left of it."""

    name: str
    cpus: int
    memory: int
    """Bytes."""
    gpus: tuple[int, ...] = ()
    """Indices on that machine."""


@dataclass(frozen=True, slots=True)
class Request:
    """One job that wants to run. It sits on one node."""

    job: str
    user: str
    submitted: float
    """Seconds since the epoch; for a job that waited for another or for a time, when it became ready."""
    cpus: int = 1
    memory: int = 0
    """Bytes; 0 says nothing is known and nothing is kept for it."""
    gpus: int = 0
    priority: Priority = "normal"
    key: str = ""
    """What its run time is predicted by: the command's signature (`prediction.signature`) or the job's name."""
    time_limit: float | None = None
    """Seconds after which it is ended whatever it does; bounds what is predicted."""
    preemptible: bool = False
    """It may be stopped and run again from its checkpoint."""
    attained: float = 0.0
    """Seconds that its earlier attempts got done, which a checkpoint keeps."""


@dataclass(frozen=True, slots=True)
class Running:
    """A job that has its resources."""

    request: Request
    node: str
    started: float
    """Seconds since the epoch, of this attempt."""
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Run this job now, here, with these GPUs (and the CPUs and memory that it asked for)."""

    job: str
    node: str
    gpus: tuple[int, ...] = ()


class Policy(Protocol):
    """Who runs next. Pure: the answer depends on the arguments alone, and changes none of them."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def decide(self, now: float, queue: Waiting, running: Sequence[Running], free: Sequence[Node]) -> list[Start]:
        """What to start now, in order. Together the starts fit into what is free.

        Args:
            now: Seconds since the epoch.
            queue: Who waits; unchanged on return.
            running: Who has resources, in any order.
            free: What is left of every node; a node that takes no more jobs is left out.
        """
        ...


@runtime_checkable
class Preemptive(Policy, Protocol):
    """A policy that may also ask for running jobs to stop; only those submitted as preemptible are its to name."""

    def preempt(self, now: float, queue: Waiting, running: Sequence[Running], free: Sequence[Node]) -> list[str]:
        """The jobs to stop now, so that others of the queue can start. Pure, as `decide`."""
        ...

    def wake(self, now: float, queue: Waiting, running: Sequence[Running]) -> float | None:
        """When to ask again, in seconds since the epoch, should nothing arrive or end before; None: not."""
        ...


def fits(request: Request, nodes: Iterable[Node]) -> str | None:
    """Why no node could ever run it, were all else gone; None when one could."""
    nodes = list(nodes)
    if any(n.cpus >= request.cpus and n.memory >= request.memory and len(n.gpus) >= request.gpus for n in nodes):
        return None
    wanted = {"CPUs": request.cpus, "bytes of memory": request.memory, "GPUs": request.gpus}
    most = dict.fromkeys(wanted, 0)
    names = []
    for node in nodes:
        has = {"CPUs": node.cpus, "bytes of memory": node.memory, "GPUs": len(node.gpus)}
        most = {what: max(most[what], has[what]) for what in wanted}
        names.append(node.name)
    if not names:
        return "there is no node"
    over = [f"{wanted[what]} {what} (the most is {most[what]})" for what in wanted if wanted[what] > most[what]]
    if over:
        return "it asks for " + " and ".join(over)
    return f"no single node of {', '.join(names)} has its CPUs, memory and GPUs together"
