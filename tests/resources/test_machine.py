"""The figures are the machine's own: held against what the operating system says by another way."""

import asyncio
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import psutil
import pytest

from agentos.errors import NotFound, UserError
from agentos.resources import KINDS, Machine
from agentos.resources import cpu as cpu_figures
from agentos.resources.limits import cpu_quota, memory_limit

FIELD = {
    "cpu": "cpu",
    "memory": "memory",
    "gpu": "gpus",
    "disk": "disks",
    "network": "networks",
    "processes": "processes",
}
linux = pytest.mark.skipif(sys.platform != "linux", reason="compares with /proc")


def meminfo() -> dict[str, int]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


@pytest.mark.parametrize("kind", FIELD)
async def test_only_what_was_asked_for_is_filled_in(kind: str) -> None:
    report = await Machine().report(kind)
    filled = {item.name for item in fields(report) if getattr(report, item.name) is not None}
    assert filled == {FIELD[kind]}


async def test_all_fills_in_every_kind() -> None:
    report = await Machine().report()
    assert all(getattr(report, item.name) is not None for item in fields(report))
    assert set(KINDS) == {"all", *FIELD}


@linux
async def test_memory_agrees_with_proc() -> None:
    memory = (await Machine().report("memory")).memory
    assert memory is not None
    told = meminfo()
    assert memory.total == told["MemTotal"]
    assert memory.swap_total == told["SwapTotal"]
    assert Machine().memory().total == memory.total
    if memory_limit() is None:
        assert abs(memory.available - told["MemAvailable"]) < 0.2 * memory.total
        assert memory.limit is None


@linux
async def test_the_processor_agrees_with_proc_and_affinity() -> None:
    cpu = (await Machine().report("cpu")).cpu
    assert cpu is not None
    assert cpu.cores == cpu_figures.usable(len(os.sched_getaffinity(0)), cpu_quota())
    assert cpu.model
    assert 0 <= cpu.used <= 100
    assert len(cpu.load) == 3


@linux
def test_affinity_leaves_only_the_cores_it_names() -> None:
    script = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from agentos.resources import cpu; print(cpu.read().cores)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


async def test_a_busy_processor_is_seen_at_the_first_look() -> None:
    spin = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        seen = {}
        for _ in range(20):  # it has to get through Python's start before it is busy
            report = await Machine().report("processes", top=len(psutil.pids()) + 50)
            seen = {process.pid: process for process in report.processes or []}
            if (seen[spin.pid].cpu or 0) > 5:
                break
        assert (seen[spin.pid].cpu or 0) > 5
    finally:
        spin.kill()
        spin.wait()


async def test_processes_come_hungriest_first_and_no_more_than_asked() -> None:
    processes = (await Machine().report("processes", top=5)).processes
    assert processes is not None and 1 <= len(processes) <= 5
    sizes = [process.memory or 0 for process in processes]
    assert sizes == sorted(sizes, reverse=True)


async def test_this_process_is_listed_with_its_owner_and_memory() -> None:
    report = await Machine().report("processes", top=100_000)
    me = next(process for process in report.processes or [] if process.pid == os.getpid())
    assert me.user == psutil.Process().username()
    assert me.memory is not None and me.memory > 1024 * 1024


async def test_a_process_that_ended_is_left_out() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    report = await Machine().report("processes", top=100_000)
    assert ended.pid not in {process.pid for process in report.processes or []}


async def test_disks_hold_the_root_once_and_no_pseudo_file_system() -> None:
    disks = (await Machine().report("disk")).disks
    assert disks
    mounts = [disk.mount for disk in disks]
    assert len(mounts) == len(set(mounts))
    assert not {"/proc", "/sys", "/dev", "/dev/shm", "/run"} & set(mounts)
    assert all(disk.total > 0 and disk.used <= disk.total and disk.free <= disk.total for disk in disks)
    if sys.platform != "win32":
        root = next(disk for disk in disks if disk.mount == "/")
        stat = os.statvfs("/")
        assert root.total == stat.f_blocks * stat.f_frsize


@linux
async def test_networks_agree_with_sys() -> None:
    networks = (await Machine().report("network")).networks
    assert networks
    assert {network.interface for network in networks} >= set(os.listdir("/sys/class/net")) - {"bonding_masters"}
    loopback = next(network for network in networks if network.interface == "lo")
    assert "127.0.0.1" in loopback.addresses or not loopback.up


async def test_an_unknown_kind_lists_those_there_are() -> None:
    with pytest.raises(NotFound, match="'disks'.*'disk'"):
        await Machine().report("disks")


@pytest.mark.parametrize("top", [0, -3])
async def test_fewer_than_one_process_is_refused(top: int) -> None:
    with pytest.raises(UserError, match=f"'top' must be 1 or more, and is {top}"):
        await Machine().report("processes", top=top)


async def test_the_event_loop_runs_on_while_figures_are_sampled() -> None:
    turns = 0
    reading = asyncio.create_task(Machine().report())
    while not reading.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 3
    assert (await reading).cpu is not None
