"""What is known of an engine that is looked after: when it was heard, when it moved, how much it has worked."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import psutil

from agentos.types import Engine

PATIENCE = 6.0
"""Seconds without a pulse, or of owed work that stands still, after which an engine is killed."""
WORKED = 0.1
"""Seconds of processor time between two looks that are work; answering pulses alone takes less."""
_TOOK = 1 << 20
"""Bytes more or less between two looks that are work."""


@dataclass
class Watch:
    """Of one engine; times are the supervisor's clock's, in seconds."""

    engine: object
    heard: float
    """When the last pulse came."""
    moved: float
    """When its progress last moved, or it owed nothing."""
    looked: float
    """When its memory was last asked for."""
    seen: float
    """When somebody last looked."""
    progress: int = -1
    worked: float = 0.0
    busy: bool = False
    since: float | None = None
    """Processor time when it was first seen to stand still."""
    memory: int = 0

    def look(self, now: float) -> None:
        """Somebody looks. Time in which nobody could (a stopped system, a busy loop) is not held against the engine."""
        if (gap := now - self.seen) > PATIENCE:
            self.heard += gap
            self.moved += gap
        self.seen = now


@runtime_checkable
class Seen(Protocol):
    """An engine that names its processes, so that what they do can be seen while they cannot answer."""

    def pids(self) -> Sequence[int]:
        """Those that run now; what is below them counts too."""
        ...


def moved(watch: Watch, engine: Engine) -> bool:
    """Whether an engine's processes have worked since the last look, or taken or given memory."""
    memory, worked = engine.memory(), worked_by(engine.pids()) if isinstance(engine, Seen) else 0.0
    has = abs(memory - watch.memory) >= _TOOK or abs(worked - watch.worked) >= WORKED
    if has:
        watch.memory, watch.worked = memory, worked
    return has


def worked_by(pids: Sequence[int]) -> float:
    """Seconds of processor time of processes and all below them."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            root = psutil.Process(pid)
            for process in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    spent = process.cpu_times()
                    total += spent.user + spent.system
    return total
