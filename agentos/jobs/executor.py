"""The executor seam: what runs the attempts of jobs, on this machine or on others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from agentos.jobs.scheduling import Node

Reason = Literal["exited", "signal", "timeout", "memory", "cancelled", "preempted", "lost", "unstartable"]
"""`preempted`: set aside for another job; `lost`: what became of it is unknown and nothing of it runs any more;
`unstartable`: the command never ran."""


@dataclass(frozen=True)
class Order:
    """One attempt to run."""

    attempt: str
    """`JOB.N`; its folder is `JOB/N` under the executor's."""
    job: str
    folder: Path
    command: str
    """For `/bin/sh -c`."""
    cwd: str
    env: Mapping[str, str]
    secrets: Mapping[str, str]
    """Variables too; never written anywhere."""
    memory: int | None
    """Bytes for all its processes together, enforced."""
    time_limit: float | None
    """Seconds."""
    gpus: tuple[int, ...]
    cpus: int
    grace: float = 10.0
    """Seconds between SIGTERM and SIGKILL."""
    node: str = "local"


@dataclass(frozen=True)
class Started:
    """An attempt whose command runs, or ran."""

    attempt: str
    pid: int
    started: float
    """Seconds since the epoch."""


@dataclass(frozen=True)
class Ended:
    """What became of an attempt."""

    attempt: str
    reason: Reason
    exit_code: int | None
    signal: int | None
    peak_memory: int | None
    """Bytes, of all its processes together; as sampled where the system keeps no account."""
    started: float
    finished: float
    """Seconds since the epoch."""
    detail: str
    """For a person."""
    dropped: int = 0
    """Bytes of output that the disk did not take."""


@dataclass(frozen=True)
class Usage:
    """What an attempt's processes use now."""

    cpu: float
    """Percent of one CPU, since the last time it was asked."""
    memory: int
    """Bytes."""
    processes: int


@dataclass(frozen=True)
class Tail:
    """The end of a log."""

    data: bytes
    start: int
    """The absolute offset of its first byte; what follows is read from `start + len(data)`."""
    kept: int
    """The absolute offset of the oldest byte that is kept; so much was rotated away."""


class Executor(Protocol):
    """Runs attempts. The contract is tests/contracts/test_executor.py."""

    async def open(self) -> None:
        """Makes it ready. Failed: this machine cannot run jobs."""
        ...

    async def close(self) -> None:
        """Lets go of it; running attempts go on and can be adopted."""
        ...

    def nodes(self) -> tuple[Node, ...]:
        """All that each node has; changes when one joins or dies."""
        ...

    def available(self) -> tuple[Node, ...]:
        """The nodes that take jobs now, without what others hold of them."""
        ...

    def watch(self, changed: Callable[[], object]) -> None:
        """Has it called whenever those change."""
        ...

    async def start(self, order: Order) -> Started:
        """Runs the command; from now on its end will be told.

        A command that cannot run (no such folder) has started, and ends as `unstartable`.

        Raises:
            Failed: nothing ran and this attempt never will.
        """
        ...

    async def adopt(self, attempts: Sequence[str]) -> dict[str, Started | Ended]:
        """After a restart: what runs, whose end will be told, and what became of the others.

        Of what has ended or was never begun nothing runs, nor will.

        Raises:
            Failed: that cannot be made sure now, for the disk is full.
        """
        ...

    async def cancel(self, attempt: str) -> None:
        """Ends all its processes, gently, then not; its end is told as `cancelled`. One that has ended stays so."""
        ...

    def ended(self) -> AsyncIterator[Ended]:
        """Every end once, as it happens, and after its start or adoption has returned."""
        ...

    async def read(self, attempt: str, offset: int, limit: int) -> bytes:
        """Output from that absolute offset on, or from the oldest byte kept where that one is gone; empty: no more."""
        ...

    async def tail(self, attempt: str, lines: int) -> Tail:
        """The last lines of output, and where they are."""
        ...

    async def usage(self, attempt: str) -> Usage | None:
        """What it uses now; None when it has ended."""
        ...
