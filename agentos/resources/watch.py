"""The machine for those who watch it: rates come from the time between two looks, so that no look has to wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import psutil

from agentos.resources import cpu, disks, gpus, memory, networks
from agentos.resources.limits import cpu_quota
from agentos.types import Cpu, Disk, Gpu, Memory, Percent, Process, Timestamp

FRESH = 0.75
"""Seconds for which a look is given to whoever asks: many watchers cost no more than one."""
STALE = 60.0
"""Seconds after which an earlier look says nothing of now."""
_DISKS = 10.0
"""Seconds between two looks at the file systems, of which one may be slow to answer."""


@dataclass(frozen=True)
class Rate:
    """Bytes a second, in both directions."""

    read: float
    """Or received."""
    written: float
    """Or sent."""


@dataclass(frozen=True)
class Link:
    """One network interface that is up."""

    interface: str
    rate: Rate | None


@dataclass(frozen=True)
class Seen:
    """The machine at one moment; a rate is None at the first look, when there is nothing to compare with."""

    time: Timestamp
    cpu: Cpu
    each: tuple[Percent, ...]
    """Use of each core."""
    memory: Memory
    gpus: list[Gpu]
    disks: list[Disk]
    disk_rate: Rate | None
    """Of all disks together; None, too, where the platform does not count."""
    links: list[Link]
    processes: list[Process]
    """Those of agentos: the system, its engines and its jobs, the hungriest first."""


@dataclass(frozen=True)
class _Sample:
    """Counters, which only grow."""

    at: float
    cores: tuple[tuple[float, float], ...]
    """Busy and all seconds of each core."""
    disk: tuple[int, int] | None
    nets: dict[str, tuple[int, int]]
    processes: dict[tuple[int, float], float]
    """Processor seconds by pid and time of start."""


class Watch:
    """Looks at the machine, and remembers the last look."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Has not looked yet; `clock` gives the seconds that rates go by."""
        self._clock = clock
        self._lock = asyncio.Lock()
        self._last: _Sample | None = None
        self._seen: tuple[float, int, Seen] | None = None
        self._disks: tuple[float, list[Disk]] | None = None

    async def look(self, roots: Callable[[], Collection[int]], top: int = 20) -> Seen:
        """What there is now, or was a moment ago.

        Args:
            roots: Gives the processes that, with all they started, are those of agentos.
            top: How many of them to give.
        """
        async with self._lock:
            now = self._clock()
            if self._seen is None or now - self._seen[0] >= FRESH or top > self._seen[1]:
                self._seen = (now, top, await asyncio.to_thread(self._look, now, tuple(roots()), top))
            seen = self._seen[2]
            return replace(seen, processes=seen.processes[:top])

    def _look(self, now: float, roots: Collection[int], top: int) -> Seen:
        last = self._last if self._last is not None and 0 < now - self._last.at <= STALE else None
        family, spent = _family(roots)
        sample = _Sample(now, _cores(), _disk(), _nets(), spent)
        each = tuple(_share(a, b) for a, b in zip(last.cores, sample.cores, strict=False)) if last else ()
        seconds = now - last.at if last else 0.0
        links = [
            Link(net.interface, _rate(last.nets.get(net.interface), sample.nets.get(net.interface), seconds))
            if last else Link(net.interface, None)
            for net in networks.read() if net.up
        ]
        found = [_process(one, key, spent[key], last, seconds) for key, one in family.items()]
        self._last = sample
        return Seen(
            time.time(), _cpu(each), each, memory.read(), gpus.read(), self._file_systems(now),
            _rate(last.disk, sample.disk, seconds) if last else None, links,
            sorted((one for one in found if one), key=lambda one: (-(one.memory or 0), one.pid))[:top],
        )

    def _file_systems(self, now: float) -> list[Disk]:
        if self._disks is None or now - self._disks[0] >= _DISKS:
            self._disks = (now, disks.read())
        return self._disks[1]


def _cpu(each: tuple[Percent, ...]) -> Cpu:
    cores = cpu.usable(len(cpu.allowed()) or psutil.cpu_count() or 1, cpu_quota())
    used = round(sum(each) / len(each), 1) if each else 0.0
    return Cpu(cpu.model(), cores, used, cpu.load())


def _cores() -> tuple[tuple[float, float], ...]:
    counted = psutil.cpu_times(percpu=True)
    mine = [counted[number] for number in cpu.allowed() if number < len(counted)] or counted
    found = []
    for times in mine:
        # A guest's time is in its host's already; waiting for a disk is idling.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        found.append((total - times.idle - getattr(times, "iowait", 0.0), total))
    return tuple(found)


def _share(before: tuple[float, float], after: tuple[float, float]) -> Percent:
    total = after[1] - before[1]
    return round(min(100.0, max(0.0, 100 * (after[0] - before[0]) / total)), 1) if total > 0 else 0.0


def _disk() -> tuple[int, int] | None:
    try:
        counted = psutil.disk_io_counters()
    except (OSError, RuntimeError, NotImplementedError):
        return None
    return None if counted is None else (counted.read_bytes, counted.write_bytes)


def _nets() -> dict[str, tuple[int, int]]:
    try:
        return {name: (one.bytes_recv, one.bytes_sent) for name, one in psutil.net_io_counters(pernic=True).items()}
    except OSError:
        return {}


def _rate(before: tuple[int, int] | None, after: tuple[int, int] | None, seconds: float) -> Rate | None:
    if before is None or after is None or seconds <= 0:
        return None
    return Rate(max(0, after[0] - before[0]) / seconds, max(0, after[1] - before[1]) / seconds)


def _family(roots: Collection[int]) -> tuple[dict[tuple[int, float], psutil.Process], dict[tuple[int, float], float]]:
    """The processes and all that they started, and the processor seconds each has had."""
    found: dict[tuple[int, float], psutil.Process] = {}
    spent: dict[tuple[int, float], float] = {}
    for pid in roots:
        if any(pid == known for known, _ in found):
            continue
        try:
            root = psutil.Process(pid)
            several = [root, *root.children(recursive=True)]
        except psutil.Error:
            continue
        for one in several:
            try:
                times = one.cpu_times()
                key = (one.pid, one.create_time())
            except psutil.Error:
                continue
            found[key], spent[key] = one, times.user + times.system
    return found, spent


def _process(
    one: psutil.Process, key: tuple[int, float], spent: float, last: _Sample | None, seconds: float
) -> Process | None:
    before = last.processes.get(key) if last else None
    share = None if before is None or seconds <= 0 else round(max(0.0, 100 * (spent - before) / seconds), 1)
    try:
        with one.oneshot():
            return Process(one.pid, _name(one), "", share, one.memory_info().rss)
    except psutil.Error:
        return None


def _name(one: psutil.Process) -> str:
    """What a process is called; one that runs a Python module, by that."""
    name = one.name()
    if name.startswith("python"):
        words = one.cmdline()[1:]
        if "-m" in words[:-1]:
            return f"{name} {words[words.index('-m') + 1]}"
    return name
