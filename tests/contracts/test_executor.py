"""What every executor promises."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agentos.errors import Failed
from agentos.jobs import settle
from agentos.jobs.executor import Ended, Executor, Order, Started
from agentos.jobs.identity import read_claim
from agentos.jobs.local import LocalExecutor
from agentos.jobs.ray import RayExecutor

Make = Callable[[], Executor]


@pytest_asyncio.fixture(params=["local", "ray"])
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes executors over one folder, one after another: a system and its next life."""
    made: list[Executor] = []

    def local() -> Executor:
        return LocalExecutor(tmp_path / "jobs", cpus=2, memory=1 << 30, gpus=(0, 1), log_size=1 << 16)

    def ray() -> Executor:
        return RayExecutor(tmp_path / "jobs", request.getfixturevalue("ray_cluster").address, log_size=1 << 16)

    def one() -> Executor:
        made.append({"local": local, "ray": ray}[request.param]())
        return made[-1]

    yield one
    for executor in made:
        await executor.close()
    for folder in (tmp_path / "jobs").glob("*/*/"):
        # What a failed test left.
        if settle.held(folder) and (claim := read_claim(str(folder))) is not None:
            os.kill(claim.shim, signal.SIGTERM)


@pytest_asyncio.fixture
async def executor(make: Make) -> Executor:
    made = make()
    await made.open()
    return made


def order(tmp_path: Path, command: str, job: str = "7", **changes: Any) -> Order:
    values: dict[str, Any] = {
        "cwd": str(tmp_path), "env": {}, "secrets": {}, "memory": None, "time_limit": None, "gpus": (), "cpus": 1,
        "grace": 0.2, **changes,
    }
    return Order(f"{job}.1", job, tmp_path / "jobs" / job / "1", command, **values)


async def start(executor: Executor, order: Order) -> Started:
    return await executor.start(replace(order, node=executor.nodes()[0].name))


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.005)


async def end(executor: Executor) -> Ended:
    async with asyncio.timeout(20):
        return await anext(aiter(executor.ended()))


async def run(executor: Executor, tmp_path: Path, command: str, **changes: Any) -> Ended:
    await start(executor, order(tmp_path, command, **changes))
    return await end(executor)


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_it_says_what_its_nodes_have(executor: Executor) -> None:
    (node,) = executor.nodes()
    assert (node.cpus, node.memory, node.gpus) == (2, 1 << 30, (0, 1))


async def test_a_command_runs_where_and_as_it_is_told_and_its_end_is_told(executor: Executor, tmp_path: Path) -> None:
    before = time.time()
    command = "pwd; echo $A $CUDA_VISIBLE_DEVICES; exit 3"
    started = await start(executor, order(tmp_path, command, env={"A": "é"}, gpus=(1,)))
    ended = await end(executor)
    assert (ended.attempt, ended.reason, ended.exit_code, ended.signal) == ("7.1", "exited", 3, None)
    assert before <= started.started == ended.started <= ended.finished <= time.time()
    assert ended.peak_memory
    assert (await executor.read("7.1", 0, 1000)).decode() == f"{tmp_path}\né 1\n"


async def test_the_end_by_a_signal_is_told_as_such(executor: Executor, tmp_path: Path) -> None:
    ended = await run(executor, tmp_path, "kill -SEGV $$")
    assert (ended.reason, ended.exit_code, ended.signal) == ("signal", None, 11)


async def test_a_command_that_does_not_exist_is_said_to(executor: Executor, tmp_path: Path) -> None:
    ended = await run(executor, tmp_path, "no-such-command")
    assert (ended.exit_code, ended.detail) == (127, "command not found")


async def test_a_folder_that_does_not_exist_is_said_to(executor: Executor, tmp_path: Path) -> None:
    ended = await run(executor, tmp_path, "true", cwd="/no/such/folder")
    assert (ended.reason, ended.detail) == ("unstartable", "there is no folder '/no/such/folder'")


async def test_a_command_that_is_too_long_is_said_to_be(executor: Executor, tmp_path: Path) -> None:
    ended = await run(executor, tmp_path, "true " + "x" * 3_000_000)
    assert ended.reason == "unstartable" and "too long" in ended.detail


async def test_a_folder_that_cannot_be_made_is_refused(executor: Executor, tmp_path: Path) -> None:
    (tmp_path / "jobs" / "7").write_text("in the way")
    with pytest.raises(Failed, match="has not begun"):
        await start(executor, order(tmp_path, "true"))


async def test_the_systems_environment_stays_out_of_a_jobs(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "of the system")
    await run(executor, tmp_path, "env", secrets={"TOKEN": "s3cret"}, cpus=2)
    variables = dict(line.split("=", 1) for line in (await executor.read("7.1", 0, 10_000)).decode().splitlines())
    assert "API_KEY" not in variables
    assert variables["TOKEN"] == "s3cret"
    assert variables["OMP_NUM_THREADS"] == "2" and variables["CUDA_VISIBLE_DEVICES"] == ""
    assert variables["AGENTOS_JOB"] == "7"


async def test_secrets_are_written_nowhere(executor: Executor, tmp_path: Path) -> None:
    ended = await run(executor, tmp_path, "test ${#TOKEN} = 6", secrets={"TOKEN": "s3cret"})
    assert ended.exit_code == 0
    files = [file for file in (tmp_path / "jobs").rglob("*") if file.is_file()]
    assert files and all(b"s3cret" not in file.read_bytes() for file in files)


async def test_a_time_limit_ends_a_job_that_does_not_listen(executor: Executor, tmp_path: Path) -> None:
    ended = await run(executor, tmp_path, "trap '' TERM; sleep 60 & wait; sleep 60", time_limit=0.1)
    assert (ended.reason, ended.signal) == ("timeout", 9)


async def test_who_listens_may_say_goodbye_at_its_time_limit(executor: Executor, tmp_path: Path) -> None:
    ended = await run(executor, tmp_path, "trap 'echo bye; exit 5' TERM; sleep 60 & wait", time_limit=0.1, grace=20)
    assert (ended.reason, ended.exit_code) == ("timeout", 5)
    assert await executor.read("7.1", 0, 10) == b"bye\n"


async def test_a_job_that_takes_too_much_memory_is_ended_and_says_so(executor: Executor, tmp_path: Path) -> None:
    hungry = f"{sys.executable} -I -S -c 'import time; x = bytearray(300 << 20); time.sleep(60)' & wait"
    ended = await run(executor, tmp_path, hungry, memory=100 << 20)
    assert ended.reason == "memory" and ended.peak_memory and ended.peak_memory >= 100 << 20


async def test_a_job_within_its_memory_is_left_alone(executor: Executor, tmp_path: Path) -> None:
    fine = f"{sys.executable} -I -S -c 'x = bytearray(30 << 20)'"
    ended = await run(executor, tmp_path, fine, memory=100 << 20)
    assert ended.reason == "exited" and ended.peak_memory and 30 << 20 < ended.peak_memory < 60 << 20


async def test_cancelling_ends_the_whole_tree(executor: Executor, tmp_path: Path) -> None:
    stubborn = "trap \"\" TERM; echo $$ >> pids; sleep 60; sleep 60"
    await start(executor, order(tmp_path, f"(setsid sh -c '{stubborn}' &); (env -i sh -c '{stubborn}' &); sleep 60"))
    await until(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2)
    await executor.cancel("7.1")
    assert (await end(executor)).reason == "cancelled"
    assert not any(alive(int(pid)) for pid in (tmp_path / "pids").read_text().split())


async def test_what_a_job_leaves_behind_is_ended_with_it(executor: Executor, tmp_path: Path) -> None:
    ended = await run(executor, tmp_path, "setsid sleep 60 & echo $! > pid")
    assert (ended.reason, ended.exit_code) == ("exited", 0)
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_cancelling_what_has_ended_changes_nothing(executor: Executor, tmp_path: Path) -> None:
    await run(executor, tmp_path, "true")
    await executor.cancel("7.1")
    found = (await executor.adopt(["7.1"]))["7.1"]
    assert isinstance(found, Ended) and found.reason == "exited"


async def test_output_is_kept_as_it_is_and_found_by_its_offset(executor: Executor, tmp_path: Path) -> None:
    numbers = f"{sys.executable} -I -S -c 'import os\nfor i in range(50000): os.write(1, b\"%07d\\xff\" % i)'"
    await run(executor, tmp_path, numbers)
    whole = b"".join(b"%07d\xff" % i for i in range(50_000))
    tail = await executor.tail("7.1", 1)
    assert 0 < tail.kept < len(whole) and tail.start + len(tail.data) == len(whole)
    assert await executor.read("7.1", 0, 800) == whole[tail.kept : tail.kept + 800]
    assert await executor.read("7.1", 300_001, 100_000) == whole[300_001:400_001]
    assert await executor.read("7.1", len(whole), 10) == b""


async def test_usage_tells_what_a_running_job_takes(executor: Executor, tmp_path: Path) -> None:
    await start(executor, order(tmp_path, f"{sys.executable} -I -S -c 'x = bytearray(50 << 20)\nwhile True: pass'"))
    async with asyncio.timeout(20):
        while not ((usage := await executor.usage("7.1")) and usage.memory > 50 << 20 and usage.cpu > 1):
            await asyncio.sleep(0.05)
    await executor.cancel("7.1")
    await end(executor)
    assert await executor.usage("7.1") is None


async def test_jobs_go_on_without_their_system_and_are_adopted(make: Make, tmp_path: Path) -> None:
    first = make()
    await first.open()
    started = await start(first, order(tmp_path, "while ! test -e go; do sleep 0.01; done; exit 4"))
    await start(first, order(tmp_path, "exit 6", job="8"))
    await until((tmp_path / "jobs" / "8" / "1" / "result.json").exists)
    await first.close()
    second = make()
    await second.open()
    found = await second.adopt(["7.1", "8.1"])
    assert found["7.1"] == started
    assert isinstance(found["8.1"], Ended) and found["8.1"].exit_code == 6
    (tmp_path / "go").touch()
    ended = await end(second)
    assert (ended.attempt, ended.exit_code) == ("7.1", 4)


async def test_an_adopted_job_can_be_cancelled(make: Make, tmp_path: Path) -> None:
    first = make()
    await first.open()
    await start(first, order(tmp_path, "setsid sleep 60 & echo $! > pid; wait"))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    await first.close()
    second = make()
    await second.open()
    assert isinstance((await second.adopt(["7.1"]))["7.1"], Started)
    await second.cancel("7.1")
    assert (await end(second)).reason == "cancelled"
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_an_attempt_that_was_not_begun_is_lost_and_never_runs(executor: Executor, tmp_path: Path) -> None:
    found = (await executor.adopt(["7.1"]))["7.1"]
    assert isinstance(found, Ended) and found.reason == "lost"
    with pytest.raises(Failed):
        await start(executor, order(tmp_path, "touch ran"))
    assert not (tmp_path / "ran").exists()


async def test_many_at_once_all_end_once(executor: Executor, tmp_path: Path) -> None:
    jobs = [str(number) for number in range(40)]
    await asyncio.gather(*(start(executor, order(tmp_path, f"exit {job}", job=job)) for job in jobs))
    ends = [await end(executor) for _ in jobs]
    assert {(one.attempt, one.exit_code) for one in ends} == {(f"{job}.1", int(job)) for job in jobs}
