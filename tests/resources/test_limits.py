"""A container's limits, read from trees of both generations as the kernel writes them."""

from pathlib import Path

import psutil
import pytest

from agentos.resources.cpu import usable
from agentos.resources.limits import Limit, cpu_quota, memory_limit
from agentos.resources.memory import within

GIB = 1024**3


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root


def test_the_second_generation_is_read(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/",
            "sys/fs/cgroup/memory.max": str(8 * GIB),
            "sys/fs/cgroup/memory.current": str(5 * GIB),
            "sys/fs/cgroup/memory.stat": f"anon 1\ninactive_file {2 * GIB}\nactive_file 7",
            "sys/fs/cgroup/cpu.max": "150000 100000",
        },
    )
    assert memory_limit(root) == Limit(8 * GIB, 3 * GIB)
    assert cpu_quota(root) == 1.5


def test_the_first_generation_is_read(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/",
            "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": str(4 * GIB),
            "sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes": str(GIB),
            "sys/fs/cgroup/memory/docker/abc/memory.stat": f"cache 1\ntotal_inactive_file {GIB // 2}",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
    )
    assert memory_limit(root) == Limit(4 * GIB, GIB // 2)
    assert cpu_quota(root) == 0.5


def test_a_parent_with_less_left_decides(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/box",
            "sys/fs/cgroup/pod/memory.max": str(2 * GIB),
            "sys/fs/cgroup/pod/memory.current": str(GIB),
            "sys/fs/cgroup/pod/box/memory.max": str(6 * GIB),
            "sys/fs/cgroup/pod/box/memory.current": str(GIB),
            "sys/fs/cgroup/pod/cpu.max": "100000 100000",
            "sys/fs/cgroup/pod/box/cpu.max": "max 100000",
        },
    )
    assert memory_limit(root) == Limit(2 * GIB, GIB)
    assert cpu_quota(root) == 1.0


def test_a_path_of_the_host_falls_back_to_the_mount(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/of-the-host",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(GIB),
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000",
        },
    )
    assert memory_limit(root) == Limit(GIB, 1000)


@pytest.mark.parametrize("most", ["max", "9223372036854771712", "", "nonsense"])
def test_no_limit_is_none(tmp_path: Path, most: str) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/",
            "sys/fs/cgroup/memory.max": most,
            "sys/fs/cgroup/memory.current": "5",
            "sys/fs/cgroup/cpu.max": "max 100000",
        },
    )
    assert memory_limit(root) is None
    assert cpu_quota(root) is None


def test_a_machine_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) is None
    assert cpu_quota(tmp_path) is None


def test_a_limit_bounds_what_is_available_and_is_what_percent_is_of() -> None:
    total = psutil.virtual_memory().total
    memory = within(Limit(limit=256 * 1024**2, used=64 * 1024**2))
    assert (memory.total, memory.limit, memory.used, memory.percent) == (total, 256 * 1024**2, 64 * 1024**2, 25.0)
    assert memory.available <= 192 * 1024**2


def test_a_limit_above_the_machine_is_none() -> None:
    memory = within(Limit(limit=psutil.virtual_memory().total * 2, used=5))
    assert memory.limit is None
    assert memory.used == memory.total - memory.available


@pytest.mark.parametrize(("cores", "quota", "left"), [(8, None, 8), (8, 1.5, 2), (8, 0.25, 1), (2, 6.0, 2)])
def test_a_quota_leaves_whole_cores(cores: int, quota: float | None, left: int) -> None:
    assert usable(cores, quota) == left
