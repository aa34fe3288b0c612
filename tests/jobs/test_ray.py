"""A real Ray cluster of several nodes on this machine, and what becomes of jobs when its parts die."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio

from agentos.errors import Failed, UserError
from agentos.jobs.local import LocalExecutor
from agentos.jobs.ours import OURS
from agentos.jobs.ray import LEASE, RayExecutor
from agentos.jobs.service import JobService
from agentos.secrets import Masker, Secrets
from agentos.store import Store
from agentos.types import Caller, JobCard, JobRequest

SHORT = pytest.mark.parametrize("home", [3.0], indirect=True)
"""Seconds of a lease, where a test waits for its end."""


class Cluster(Protocol):
    address: str
    folder: Path

    def add(self, **node: Any) -> str: ...
    def kill(self, node: str) -> None: ...


class Home:
    """A system's home, and the systems on it, one after another."""

    def __init__(self, folder: Path, cluster: Cluster, lease: float) -> None:
        self.folder, self.cluster, self.lease = folder, cluster, lease

    async def open(self, executor: Any = None) -> JobService:
        jobs = self.folder / "jobs"
        self.executor = executor or RayExecutor(jobs, self.cluster.address, lease=self.lease, log_size=1 << 16)
        self.store = Store(self.folder / "agentos.db")
        self.secrets = Secrets(self.store)
        self.service = JobService(
            self.store, self.executor, OURS, jobs, vault=self.secrets, masker=Masker
        )
        try:
            await self.service.open()
        except BaseException:
            await self.close()
            raise
        return self.service

    async def close(self) -> None:
        await self.service.close()
        self.store.close()

    def there(self, pattern: str) -> list[Path]:
        """What its nodes have on their disks."""
        digest = hashlib.sha256(os.fsencode(self.folder / "jobs")).hexdigest()
        return list(self.cluster.folder.glob(f"agentos-jobs-*/{digest[:12]}-*/{pattern}"))

    async def submit(self, command: str, **more: Any) -> str:
        caller = Caller("ada", "operator", folder=str(self.folder))
        return (await self.service.submit(JobRequest(command, **more), caller, "")).job

    async def card(self, job: str) -> JobCard:
        return await asyncio.wait_for(self.service.wait(job, silent), 60)

    def attempts(self, *jobs: str) -> Sequence[str | None]:
        return [attempt.outcome for job in jobs for attempt in self.service.queue.find.attempts(job)]


async def silent(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    pass


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


def agents() -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and b"ray::Agent" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


@pytest_asyncio.fixture
async def home(request: pytest.FixtureRequest, ray_cluster: Cluster, tmp_path: Path) -> AsyncIterator[Home]:
    made = Home(tmp_path, ray_cluster, getattr(request, "param", LEASE))
    await made.open()
    yield made
    for job in made.service.queue.find.listing("running", limit=50):
        await made.service.cancel(job.id, "ada")
        await made.card(job.id)
    await made.close()


@SHORT
async def test_jobs_go_to_all_nodes_with_gpus_by_index_and_a_dead_nodes_jobs_run_again_elsewhere(
    home: Home, ray_cluster: Cluster
) -> None:
    third = ray_cluster.add(num_cpus=2, num_gpus=1, memory=1 << 30)
    second = ray_cluster.add(num_cpus=2, num_gpus=1, memory=1 << 30)
    await until(lambda: len(home.executor.available()) == 3)
    assert sorted((node.cpus, node.gpus) for node in home.executor.nodes()) == [(2, (0,)), (2, (0,)), (2, (0, 1))]
    # Who comes second looks for the first: two that run at once would leave a sign.
    command = (
        "for pid in $(cat pids-{0}); do kill -0 $pid && echo {0} >> overlap; done; echo $$ >> pids-{0};"
        " echo gpu=$CUDA_VISIBLE_DEVICES; while ! test -e go-{0} && test $(wc -l < pids-{0}) = 1; do sleep 0.05; done"
    )
    jobs = [await home.submit(command.format(number), gpus=1) for number in range(4)]
    await until(lambda: all(words(home.folder / f"pids-{number}") for number in range(4)))
    where = [home.service.queue.find.attempts(job)[0] for job in jobs]
    assert len({(one.node, one.gpus) for one in where}) == 4 and len({one.node for one in where}) == 3
    assert "gpu=" in (await home.service.logs(jobs[0], 5)).text
    ray_cluster.kill(third)
    ray_cluster.kill(second)
    dead = [one.job for one in where if one.node.endswith((third[:6], second[:6]))]
    for number, job in enumerate(jobs):
        if job not in dead:
            (home.folder / f"go-{number}").touch()
    assert {(await home.card(job)).state for job in jobs} == {"succeeded"}
    assert len(dead) == 2
    assert home.attempts(*dead) == ["lost", "exited"] * 2
    assert not (home.folder / "overlap").exists()
    assert len(home.executor.nodes()) == 1
    assert ["gpu=" in (await home.service.logs(job, 5)).text for job in dead] == [True, True]


async def test_a_job_goes_on_when_the_driver_the_agent_and_the_system_die_under_it(home: Home) -> None:
    job = await home.submit("echo $$ >> pids; while ! test -e go; do sleep 0.01; done; exit 3")
    other = await home.submit("echo $$ >> pids; sleep 300")
    await until(lambda: len(words(home.folder / "pids")) == 2)
    for agent in agents():
        os.kill(agent, signal.SIGKILL)
    assert home.executor.driver is not None
    os.kill(home.executor.driver, signal.SIGKILL)
    await until(lambda: not home.executor.available())
    await home.service.cancel(other, "ada")
    await until(home.executor.available)
    assert (await home.card(other)).state == "cancelled"
    await home.close()
    await home.open()
    (home.folder / "go").touch()
    assert [row.exit_code for row in (await home.card(job)).attempts] == [3]
    assert len(words(home.folder / "pids")) == 2


async def test_what_ends_while_no_system_runs_is_told_to_the_next_with_its_log(home: Home) -> None:
    job = await home.submit("while ! test -e go; do sleep 0.01; done; seq 60000; touch done")
    await until(lambda: home.service.keeper.ledger.started)
    await home.close()
    (home.folder / "go").touch()
    await until((home.folder / "done").exists)
    await home.open()
    assert (await home.card(job)).state == "succeeded"
    assert (await home.service.logs(job, 2)).text == "59999\n60000\n"
    assert len(list((home.folder / "jobs" / job / "1").glob("log*"))) == 4
    await until(lambda: not home.there(f"{job}/1"))


async def test_a_system_without_the_cluster_does_not_run_again_what_may_run_there(home: Home) -> None:
    job = await home.submit("while ! test -e go; do sleep 0.01; done")
    await until(lambda: home.service.keeper.ledger.started)
    await home.close()
    with pytest.raises(Failed, match="was sent to node .* --cluster"):
        await home.open(LocalExecutor(home.folder / "jobs", cpus=2, memory=1 << 30))
    (home.folder / "go").touch()
    await home.open()
    assert len((await home.card(job)).attempts) == 1


@SHORT
async def test_a_job_of_a_node_that_is_no_more_is_lost_and_runs_again(home: Home) -> None:
    job = await home.submit("echo x >> ran; test $(wc -l < ran) -ge 2 || sleep 300")
    await until(lambda: words(home.folder / "ran"))
    await home.close()
    claim = home.folder / "jobs" / job / "1" / "claim"
    placed, _, name, since = claim.read_text().split()
    claim.write_text(f"{placed} {'0' * 56} {name} {since}\n")
    await home.open()
    (card,) = [await home.card(job)]
    assert card.state == "succeeded" and home.attempts(job) == ["lost", "exited"]


async def test_secrets_are_written_nowhere_on_a_node(home: Home) -> None:
    home.secrets.put("TOKEN", "s3cret-of-ada", "ada")
    job = await home.submit("test ${#TOKEN} = 13 && sleep 0.2", secrets=("TOKEN",))
    await until(lambda: home.service.keeper.ledger.started)
    files = [file for file in home.there("**/*") if file.is_file()]
    assert any(file.name == "order.json" for file in files)
    files += [file for file in Path("/tmp/ray/session_latest/logs").rglob("*") if file.is_file()]
    files += [file for file in (home.folder / "jobs").rglob("*") if file.is_file()]
    assert not [file for file in files if b"s3cret-of-ada" in file.read_bytes()]
    assert (await home.card(job)).state == "succeeded"


async def test_what_others_hold_of_the_cluster_is_not_given_to_jobs(home: Home) -> None:
    code = (
        "import ray, sys; ray.init(sys.argv[1], log_to_driver=False)\n"
        "hold = ray.remote(num_cpus=1, num_gpus=1)(lambda: __import__('time').sleep(300)).remote()\nsys.stdin.read()"
    )
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, home.cluster.address, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    await until(lambda: [(node.cpus, node.gpus) for node in home.executor.available()] == [(1, (1,))])
    job = await home.submit("true", cpus=2)
    assert home.service.queue.find.by_id(int(job)).state == "queued"
    await other.communicate(b"")
    assert (await home.card(job)).state == "succeeded"


async def test_a_folder_that_a_node_does_not_have_is_said_to(home: Home) -> None:
    card = await home.card(await home.submit("true", folder="/no/such/folder"))
    assert card.state == "failed" and "there is no folder '/no/such/folder'" in card.reason


async def test_nothing_is_left_of_a_system_that_ran_nothing(ray_cluster: Cluster, tmp_path: Path) -> None:
    before = set(agents())
    executor = RayExecutor(tmp_path / "jobs", ray_cluster.address)
    await executor.open()
    assert executor.driver is not None and set(agents()) - before
    driver = executor.driver
    await executor.close()
    await until(lambda: not set(agents()) - before)
    assert not Path(f"/proc/{driver}").exists()


@pytest.mark.parametrize("address", ["nowhere", "host:port", "ray://host:10001", ""])
def test_what_is_no_address_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"write auto or HOST:PORT"):
        RayExecutor(tmp_path, address)


async def test_a_cluster_that_does_not_answer_is_said_to(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="nothing was started"):
        await RayExecutor(tmp_path, "127.0.0.1:9").open()
