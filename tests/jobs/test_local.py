"""Attempts whose processes, and whose system, are killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from agentos.errors import Failed
from agentos.jobs import settle, tree
from agentos.jobs.executor import Ended, Order, Started
from agentos.jobs.identity import read_claim
from agentos.jobs.local import LocalExecutor

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")

LEAVES = "(setsid sleep 60 & echo $! > child; env -i setsid sleep 60 & echo $! > bare); sleep 60"


@pytest_asyncio.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[[], LocalExecutor]]:
    made: list[LocalExecutor] = []

    def one() -> LocalExecutor:
        made.append(LocalExecutor(tmp_path / "jobs", cpus=2, memory=1 << 30))
        return made[-1]

    yield one
    for executor in made:
        await executor.close()
    for folder in (tmp_path / "jobs").glob("*/*/"):
        # What a failed test left.
        if settle.held(folder) and (claim := read_claim(str(folder))) is not None:
            os.kill(claim.shim, signal.SIGTERM)


@pytest_asyncio.fixture
async def executor(make: Callable[[], LocalExecutor]) -> LocalExecutor:
    executor = make()
    await executor.open()
    return executor


def order(tmp_path: Path, command: str, attempt: str = "7.1") -> Order:
    job, _, number = attempt.rpartition(".")
    return Order(
        attempt, job, tmp_path / "jobs" / job / number, command, cwd=str(tmp_path), env={}, secrets={}, memory=None,
        time_limit=None, gpus=(), cpus=1, grace=0.2,
    )


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


async def end(executor: LocalExecutor) -> Ended:
    async with asyncio.timeout(20):
        return await anext(aiter(executor.ended()))


def said(file: Path) -> bool:
    return file.exists() and file.read_text().endswith("\n")


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def shim(tmp_path: Path, attempt: str = "7/1") -> int:
    claim = read_claim(str(tmp_path / "jobs" / attempt))
    assert claim is not None
    return claim.shim


async def leaving(executor: LocalExecutor, tmp_path: Path) -> list[int]:
    """An attempt with processes that try to get away; their numbers."""
    started = await executor.start(order(tmp_path, LEAVES))
    await until(lambda: said(tmp_path / "child") and said(tmp_path / "bare"))
    return [started.pid, *(int((tmp_path / name).read_text()) for name in ("child", "bare"))]


async def test_a_killed_shim_takes_all_its_processes_with_it_and_the_attempt_is_lost(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    pids = await leaving(executor, tmp_path)
    os.kill(shim(tmp_path), signal.SIGKILL)
    ended = await end(executor)
    assert (ended.reason, ended.detail) == ("lost", "its shim was killed")
    assert not any(map(alive, pids))


async def test_a_shim_killed_while_no_system_was_there_is_lost_and_its_processes_are_ended_first(
    make: Callable[[], LocalExecutor], tmp_path: Path
) -> None:
    first = make()
    await first.open()
    await first.start(order(tmp_path, "(setsid sleep 60 & echo $! > child); sleep 60"))
    await until(lambda: said(tmp_path / "child"))
    await first.close()
    os.kill(shim(tmp_path), signal.SIGKILL)
    second = make()
    await second.open()
    found = (await second.adopt(["7.1"]))["7.1"]
    assert isinstance(found, Ended) and found.reason == "lost"
    assert not alive(int((tmp_path / "child").read_text()))


async def test_killed_commands_end_by_a_signal(executor: LocalExecutor, tmp_path: Path) -> None:
    started = await executor.start(order(tmp_path, "sleep 60"))
    os.kill(started.pid, signal.SIGKILL)
    ended = await end(executor)
    assert (ended.reason, ended.signal) == ("signal", 9)


async def test_a_shim_killed_while_it_waits_for_an_order_is_not_missed(executor: LocalExecutor, tmp_path: Path) -> None:
    for attempt in ("7.1", "7.2"):
        assert executor.zygote is not None
        await until(lambda: any(map(alive, tree.children(executor.zygote or 0))))
        for spare in tree.children(executor.zygote):
            os.kill(spare, signal.SIGKILL)
            await until(lambda spare=spare: not alive(spare))
        await executor.start(order(tmp_path, "exit 5", attempt))
        assert (await end(executor)).exit_code == 5


async def test_a_killed_zygote_is_replaced_and_running_shims_go_on(executor: LocalExecutor, tmp_path: Path) -> None:
    await executor.start(order(tmp_path, "while ! test -e go; do sleep 0.01; done; exit 4"))
    for attempt in ("7.2", "7.3"):
        before = executor.zygote
        assert before is not None
        os.kill(before, signal.SIGKILL)
        await until(lambda: executor.zygote is None)
        await executor.start(order(tmp_path, "exit 5", attempt))
        assert (await end(executor)).exit_code == 5
        assert executor.zygote not in {None, before}
    (tmp_path / "go").touch()
    ended = await end(executor)
    assert (ended.attempt, ended.exit_code) == ("7.1", 4)


@pytest.mark.parametrize("point", ["zygote:received", "shim:forked", "shim:locked"])
async def test_who_dies_before_the_claim_has_not_begun_and_never_will(
    make: Callable[[], LocalExecutor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setenv("AGENTOS_FAULT", point)
    executor = make()
    await executor.open()
    async with asyncio.timeout(20):
        with pytest.raises(Failed, match="has not begun"):
            await executor.start(order(tmp_path, "touch ran"))
    assert (tmp_path / "jobs" / "7" / "1" / "claim").read_text() == "void\n"
    monkeypatch.delenv("AGENTOS_FAULT")
    await executor.close()
    again = make()
    await again.open()
    await again.start(order(tmp_path, "exit 3", "7.2"))
    assert (await end(again)).exit_code == 3
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("point", ["shim:claimed", "shim:executed", "shim:ended"])
async def test_who_dies_with_the_claim_and_without_a_result_is_lost(
    make: Callable[[], LocalExecutor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setenv("AGENTOS_FAULT", point)
    executor = make()
    await executor.open()
    async with asyncio.timeout(20):
        started = await executor.start(order(tmp_path, "true" if point == "shim:ended" else "sleep 60"))
    assert (await end(executor)).reason == "lost"
    assert not alive(started.pid)


async def test_who_dies_after_the_result_has_ended_as_it_says(
    make: Callable[[], LocalExecutor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTOS_FAULT", "shim:result-written")
    executor = make()
    await executor.open()
    await executor.start(order(tmp_path, "exit 9"))
    ended = await end(executor)
    assert (ended.reason, ended.exit_code) == ("exited", 9)


SYSTEM = """
import asyncio, sys
from pathlib import Path
from agentos.jobs.executor import Order
from agentos.jobs.local import LocalExecutor

async def main():
    home = Path(sys.argv[1])
    executor = LocalExecutor(home / "jobs", cpus=2, memory=1 << 30)
    await executor.open()
    await executor.start(Order(
        "7.1", "7", home / "jobs" / "7" / "1", sys.argv[2], cwd=str(home), env={}, secrets={}, memory=None,
        time_limit=None, gpus=(), cpus=1, grace=0.2))
    print("started", executor.zygote, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def system(tmp_path: Path, command: str) -> tuple[subprocess.Popen[str], int]:
    """A system in a process of its own, with that job running, and its zygote."""
    process = subprocess.Popen(
        [sys.executable, "-c", SYSTEM, str(tmp_path), command], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    zygote = int(process.stdout.readline().split()[1])
    process.stdout.close()
    return process, zygote


@pytest.mark.parametrize("victims", ["system", "system and zygote", "system, zygote and shim", "all and the command"])
async def test_after_a_kill_of_the_system_the_truth_is_told(
    executor: LocalExecutor, tmp_path: Path, victims: str
) -> None:
    process, zygote = system(tmp_path, "echo $$ > pid; while ! test -e go; do sleep 0.01; done; exit 4")
    await until(lambda: said(tmp_path / "pid"))
    command = int((tmp_path / "pid").read_text())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    if "zygote" in victims or "all" in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(zygote, signal.SIGKILL)
    if "shim" in victims or "all" in victims:
        os.kill(shim(tmp_path), signal.SIGKILL)
    if "all" in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(command, signal.SIGKILL)
    found = (await executor.adopt(["7.1"]))["7.1"]
    if "shim" in victims or "all" in victims:
        # Death takes a moment: it may still have been seen alive, and its end is told then.
        ended = found if isinstance(found, Ended) else await end(executor)
        assert ended.reason == "lost"
        assert not alive(command)
    else:
        assert isinstance(found, Started) and found.pid == command
        (tmp_path / "go").touch()
        assert (await end(executor)).exit_code == 4


async def test_after_a_start_of_the_machine_what_ran_is_lost_at_once(executor: LocalExecutor, tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "7" / "1"
    folder.mkdir(parents=True)
    (folder / "claim").write_text(f"started {os.getpid()} 1 another-boot 5.0\n{os.getpid()} 1\n")
    found = (await executor.adopt(["7.1"]))["7.1"]
    assert isinstance(found, Ended)
    assert (found.reason, found.detail, found.started) == ("lost", "the machine was started again", 5.0)


async def test_a_number_that_another_process_bears_now_is_left_alone(executor: LocalExecutor, tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "7" / "1"
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        await executor.start(order(tmp_path, "true"))
        await end(executor)
        claim = read_claim(str(folder))
        assert claim is not None
        (folder / "result.json").unlink()
        (folder / "claim").write_text(claim.head().decode() + f"{stranger.pid} 1\n")
        found = (await executor.adopt(["7.1"]))["7.1"]
        assert isinstance(found, Ended) and found.reason == "lost"
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_shim_ended_by_the_machine_going_down_leaves_its_job_to_run_again(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    pids = await leaving(executor, tmp_path)
    os.kill(shim(tmp_path), signal.SIGTERM)
    assert (await end(executor)).reason == "lost"
    assert not any(map(alive, pids))


async def test_a_full_disk_loses_output_counts_it_and_stops_nothing(executor: LocalExecutor, tmp_path: Path) -> None:
    folder = tmp_path / "jobs" / "7" / "1"
    folder.mkdir(parents=True)
    (folder / "log").symlink_to("/dev/full")
    await executor.start(order(tmp_path, "echo 12345; exit 3"))
    ended = await end(executor)
    assert (ended.reason, ended.exit_code, ended.dropped) == ("exited", 3, 6)


async def test_the_result_has_its_room_from_the_start(executor: LocalExecutor, tmp_path: Path) -> None:
    reserved = tmp_path / "jobs" / "7" / "1" / "result.new"
    await executor.start(order(tmp_path, "while ! test -e go; do sleep 0.01; done"))
    assert reserved.stat().st_blocks > 0
    (tmp_path / "go").touch()
    await end(executor)
    result = json.loads((reserved.parent / "result.json").read_text())
    assert result["exit_code"] == 0 and not reserved.exists()


async def test_a_job_holds_no_descriptor_of_the_system(executor: LocalExecutor, tmp_path: Path) -> None:
    await executor.start(order(tmp_path, "ls /proc/self/fd | sort > fds; cat <&0"))
    await end(executor)
    assert (tmp_path / "fds").read_text().split() == ["0", "1", "2", "3"]


async def test_a_stopped_executor_uses_no_descriptors(make: Callable[[], LocalExecutor], tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    executor = make()
    await executor.open()
    await executor.start(order(tmp_path, "true"))
    await end(executor)
    await executor.close()
    assert len(os.listdir("/proc/self/fd")) == before
