"""The machine as `resources.query` sees it: every kind of figure, read at the same time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Final, TypeVar

from agentos.errors import UserError, unknown
from agentos.resources import cpu, disks, gpus, memory, networks, processes
from agentos.resources.limits import cpu_quota
from agentos.types import Memory, ResourceReport

KINDS: Final = ("all", "cpu", "memory", "gpu", "disk", "network", "processes")
Figures = TypeVar("Figures")


class Machine:
    """The machine we run on: the same on Linux, macOS and Windows, inside a container and out."""

    def __init__(self, nvml: ModuleType = gpus.NVML) -> None:
        """Opens nothing; `nvml` is NVIDIA's management library as a module."""
        self._nvml = nvml

    def memory(self) -> Memory:
        """Main memory, a container's limit included; quick enough to call before every load."""
        return memory.read()

    def room(self) -> tuple[int, int, tuple[int, ...]]:
        """What there is for jobs: processor cores, bytes of memory, indices of GPUs."""
        cores = cpu.usable(len(cpu.allowed()) or os.cpu_count() or 1, cpu_quota())
        return cores, memory.read().limit or memory.read().total, tuple(gpu.index for gpu in gpus.read(self._nvml))

    async def report(self, kind: str = "all", top: int = 10) -> ResourceReport:
        """Figures of one kind, or of all, sampled at the same time; `top` limits processes.

        Raises:
            UserError: there is no such kind, or `top` is less than 1.
        """
        if kind not in KINDS:
            raise unknown("kind of resource", kind, list(KINDS))
        if top < 1:
            raise UserError(f"'top' must be 1 or more, and is {top!r}; nothing was read.")

        # What was not asked for is never started; the rest is sampled over the same moment.
        one, two, three, four, five, six = await asyncio.gather(
            _when(kind, "cpu", cpu.read),
            _when(kind, "memory", memory.read),
            _when(kind, "gpu", partial(gpus.read, self._nvml)),
            _when(kind, "disk", disks.read),
            _when(kind, "network", networks.read),
            _when(kind, "processes", partial(processes.read, top)),
        )
        return ResourceReport(one, two, three, four, five, six)


async def _when(kind: str, name: str, read: Callable[[], Figures]) -> Figures | None:
    return await asyncio.to_thread(read) if kind in (name, "all") else None
