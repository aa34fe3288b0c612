"""Hours of cores and GPUs are reserved for the time that a job asks for, and settled by the time that it took."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agentos.errors import NotFound, UserError
from agentos.jobs.local import LocalExecutor
from agentos.jobs.ours import OURS
from agentos.jobs.service import JobService
from agentos.policy.limits import OverQuota
from agentos.policy.quotas import Quotas
from agentos.secrets import Masker, Secrets
from agentos.store import Store
from agentos.types import Caller, JobCard, JobRequest

GIB = 2**30
ADA = Caller("ada", "operator")


class World:
    """One home and the services that start on it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    async def start(self) -> None:
        self.store = Store(self.home / "agentos.db")
        self.quotas = Quotas(self.store, lambda user: ("role:operator",))
        self.service = JobService(
            self.store, LocalExecutor(self.home / "jobs", cpus=4, memory=8 * GIB, gpus=(0, 1)), OURS,
            self.home / "jobs", vault=Secrets(self.store), masker=Masker, quotas=self.quotas,
        )
        await self.service.open()

    async def stop(self) -> None:
        await self.service.close()
        self.store.close()

    async def submit(self, command: str, call: str = "", **more: object) -> str:
        request = JobRequest(command, folder=str(self.home), **more)  # type: ignore[arg-type]
        return (await self.service.submit(request, ADA, call)).job

    async def ended(self, job: str) -> JobCard:
        return await asyncio.wait_for(self.service.wait(job, silent), 60)

    def hours(self, resource: str = "cpu-hours") -> tuple[float, float]:
        (found,) = [one for one in self.quotas.standings("ada") if one.resource == resource]
        return found.used, found.reserved


async def silent(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    pass


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.start()
    yield made
    await made.stop()



async def test_what_a_job_asks_for_is_reserved_and_what_it_took_is_counted(world: World) -> None:
    world.quotas.set("user:ada", "cpu-hours", "day", 10, "root")
    job = await world.submit("sleep 1000", cpus=2, time_limit="2h")
    assert world.hours() == (0, 4)
    with pytest.raises(OverQuota, match=r"10 CPU hours a day is the limit of ada; .*4 CPU hours reserved"):
        await world.submit("true", cpus=4, time_limit="2h")
    await world.service.cancel(job, "ada")
    await world.ended(job)
    used, reserved = world.hours()
    assert reserved == 0 and used < 4
    card = await world.ended(await world.submit("sleep 0.2", cpus=2, time_limit="1h"))
    assert card.attempts[0].runtime is not None
    assert world.hours()[0] - used == pytest.approx(2 * card.attempts[0].runtime / 3600, rel=0.01)


async def test_a_job_that_says_no_time_gets_what_is_left_and_no_more(world: World) -> None:
    world.quotas.set("role:operator", "gpu-hours", "month", 6, "root")
    job = await world.submit("sleep 0.1", gpus=2)
    assert (await world.service.card(job)).time_limit == 3 * 3600 and world.hours("gpu-hours")[1] == 6
    await world.ended(job)
    assert world.hours("gpu-hours")[1] == 0
    free = await world.submit("true", cpus=4)  # it takes no GPU, and nothing limits its cores
    assert (await world.ended(free)).time_limit is None
    world.quotas.set("role:operator", "gpu-hours", "month", 0, "root")
    with pytest.raises(OverQuota, match="0 GPU hours a month is the limit of role operator"):
        await world.submit("true", gpus=1)


async def test_what_could_not_be_submitted_takes_nothing(world: World) -> None:
    world.quotas.set("user:ada", "cpu-hours", "day", 10, "root")
    for more, error in (({"cpus": 99, "time_limit": "1m"}, UserError), ({"after": ("nothing",)}, NotFound)):
        with pytest.raises(error):
            await world.submit("true", **more)
    assert world.hours() == (0, 0) and world.quotas.keys("job") == []


async def test_the_same_call_reserves_once_and_a_retry_again(world: World) -> None:
    world.quotas.set("user:ada", "cpu-hours", "day", 10, "root")
    job = await world.submit("exit 3", call="c1", time_limit="1h")
    assert (await world.ended(job)).state == "failed"
    used = world.hours()[0]
    assert await world.submit("exit 3", call="c1", time_limit="1h") == job
    assert world.hours()[1] == 0
    await world.service.retry(job, "ada")
    assert (await world.ended(job)).state == "failed"
    assert world.hours()[0] > used and world.hours()[1] == 0
    world.quotas.set("user:ada", "cpu-hours", "day", 0.5, "root")
    with pytest.raises(OverQuota):
        await world.service.retry(job, "ada")
    assert (await world.service.card(job)).state == "failed"


async def test_a_reservation_outlives_the_system_and_is_settled_by_the_next(world: World) -> None:
    world.quotas.set("user:ada", "cpu-hours", "day", 10, "root")
    job = await world.submit("while [ ! -e go ]; do sleep 0.05; done", cpus=2, time_limit="1h")
    world.quotas.reserve("job-call:ada:lost", "ada", {"cpu-hours": 3})  # its system died before it was submitted
    await world.stop()
    await world.start()
    assert world.hours()[1] == 2
    (world.home / "go").touch()
    await world.ended(job)
    used, reserved = world.hours()
    assert 0 < used < 2 and reserved == 0
