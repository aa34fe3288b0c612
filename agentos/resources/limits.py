"""What a container may use of its machine: Linux control groups, both generations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED = 1 << 60
"""The first generation writes "no limit" as nearly 2**63."""


@dataclass(frozen=True)
class Limit:
    """One memory limit and what counts against it, in bytes."""

    limit: int
    used: int
    """Less file pages that would be given back under pressure."""


def memory_limit(root: Path = Path("/")) -> Limit | None:
    """The memory limit with the least left under it; None where there is none."""
    found = [
        limit
        for v2, folder in _groups(root, "memory")
        if (limit := _limit(folder, *_MEMORY_FILES[v2])) is not None
    ]
    return min(found, key=lambda each: each.limit - each.used, default=None)


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Cores' worth of time this process may take; None where there is no quota."""
    found: list[float] = []
    for v2, folder in _groups(root, "cpu"):
        if v2:
            quota, _, period = _text(folder / "cpu.max").partition(" ")
        else:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period) > 0 and int(quota) > 0:
            found.append(int(quota) / int(period))
    return min(found, default=None)


_MEMORY_FILES = {
    True: ("memory.max", "memory.current", "inactive_file"),
    False: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def _limit(folder: Path, limit: str, usage: str, cached: str) -> Limit | None:
    most, used = _text(folder / limit), _text(folder / usage)
    if not most.isdigit() or not used.isdigit() or int(most) >= _UNLIMITED:
        return None
    reclaimable = 0
    for line in _text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == cached and value.isdigit():
            reclaimable = int(value)
    return Limit(int(most), max(0, int(used) - reclaimable))


def _groups(root: Path, controller: str) -> Iterator[tuple[bool, Path]]:
    """Whether it is the second generation, and the folder, of each group this process is in, parents included."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names and controller not in names.split(","):
            continue
        base = mount if not names else next(
            (folder for folder in (mount / controller, mount / names) if folder.is_dir()), mount / controller
        )
        # A container often sees its own group as the mount's root while the path is the host's.
        inside = base / path.strip("/")
        for folder in (inside, *inside.parents):
            if folder.is_dir():
                yield not names, folder
            if folder == base:
                break


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace").strip()
    except OSError:
        return ""
