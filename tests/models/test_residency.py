"""What is in memory, with the scripted engine in real processes and a clock that is told the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import psutil
import pytest

from agentos.engines.host import ChildEngine
from agentos.errors import Failed, UserError
from agentos.models.budget import HOST, Budget, Need
from agentos.models.residency import Residency
from agentos.models.resident import Order, Resident
from agentos.types import Engine, ModelSpec


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def residency(clock: Clock) -> AsyncIterator[Residency]:
    made = Residency(clock)
    yield made
    await made.close()


made: list[Engine] = []


def scripted() -> Engine:
    made.append(ChildEngine("scripted"))
    return made[-1]


@pytest.fixture(autouse=True)
def fresh() -> None:
    made.clear()


def spec(name: str = "m", script: str = "[]") -> ModelSpec:
    return ModelSpec(name, settings={"script": script})


MINUTE = (60.0, "1m")


def order(what: ModelSpec, keep: tuple[float | None, str] = MINUTE, need: int = 0) -> Order:
    return Order(what, scripted, *keep, Need({HOST: need} if need else {}))


def use(residency: Residency, name: str) -> AbstractAsyncContextManager[Resident]:
    return residency.using(name, lambda: residency.load(order(spec(name))))


def children() -> list[psutil.Process]:
    """Engines of these tests; one that the whole run shares may be there besides."""
    return [child for child in psutil.Process().children() if child not in others]


others: list[psutil.Process] = []


@pytest.fixture(autouse=True)
def shared() -> None:
    others[:] = psutil.Process().children()


async def test_requests_for_a_model_that_is_loading_join_that_load(residency: Residency) -> None:
    held = await asyncio.gather(*(residency.load(order(spec(), MINUTE)) for _ in range(5)))
    assert len({one.loaded.pid for one in held}) == 1 and len(made) == 1


async def test_a_load_goes_on_when_one_of_two_gives_up(residency: Residency) -> None:
    first = asyncio.create_task(residency.load(order(spec(), MINUTE)))
    second = asyncio.create_task(residency.load(order(spec(), MINUTE)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).alive and len(made) == 1


async def test_a_load_that_nobody_waits_for_leaves_no_process(residency: Residency) -> None:
    task = asyncio.create_task(residency.load(order(spec(), MINUTE)))
    while not made or not children():
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert residency.get("m") is None and children() == []


async def test_a_load_that_fails_leaves_nothing_and_can_be_tried_again(residency: Residency) -> None:
    with pytest.raises(Failed):
        await residency.load(order(spec(script="{"), MINUTE))
    assert residency.all() == {} and children() == []
    assert (await residency.load(order(spec(), MINUTE))).alive


async def test_an_idle_model_leaves_when_its_time_is_up_and_use_starts_it_afresh(
    residency: Residency, clock: Clock
) -> None:
    await residency.load(order(spec(), MINUTE))
    clock.now += 59
    assert await residency.expiry.expire() == []
    async with use(residency, "m"):
        clock.now += 100
        assert await residency.expiry.expire() == []
    clock.now += 59
    assert await residency.expiry.expire() == []
    clock.now += 1
    assert await residency.expiry.expire() == ["m"]
    assert residency.get("m") is None and children() == []


async def test_forever_and_the_kernels_own_never_leave(residency: Residency, clock: Clock) -> None:
    await residency.load(order(spec("a"), (None, "forever")))
    await residency.load(order(spec("b"), MINUTE))
    residency.pin("b")
    clock.now += 10**9
    assert await residency.expiry.expire() == []


async def test_the_loop_expires_by_itself(residency: Residency, clock: Clock) -> None:
    await residency.load(order(spec(), MINUTE))
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds
        await asyncio.sleep(0)

    loop = asyncio.create_task(residency.expiry.run(sleep))
    while residency.get("m") is not None:
        await asyncio.sleep(0.005)
    loop.cancel()
    assert slept[0] == 60


async def test_a_model_in_use_is_not_taken_away(residency: Residency) -> None:
    await residency.load(order(spec(), MINUTE))
    async with use(residency, "m"):
        with pytest.raises(UserError, match="is answering 1 request"):
            await residency.drop("m")
    assert await residency.drop("m") is not None


async def test_a_dead_engine_is_not_in_memory_and_the_next_load_makes_another(residency: Residency) -> None:
    held = await residency.load(order(spec(), MINUTE))
    psutil.Process(held.loaded.pid).kill()
    while held.alive:
        await asyncio.sleep(0.005)
    assert residency.get("m") is None and residency.all() == {}
    again = await residency.load(order(spec(), MINUTE))
    assert again.alive and again.loaded.pid != held.loaded.pid


async def test_a_model_that_does_not_fit_is_never_started(clock: Clock) -> None:
    small = Residency(clock, Budget(lambda: 1 << 40, "100MiB"))
    with pytest.raises(Failed, match=r"'m' needs 200.0 MiB of memory and this machine can give 100.0 MiB"):
        await small.load(order(spec(), need=200 << 20))
    assert made == [] and small.budget.claims == {}


async def test_close_ends_every_process(residency: Residency) -> None:
    await residency.load(order(spec("a"), (None, "forever")))
    loading = asyncio.create_task(residency.load(order(spec("b"), MINUTE)))
    await asyncio.sleep(0)
    await residency.close()
    await asyncio.wait([loading])
    assert children() == []


async def test_a_first_load_with_a_low_estimate_survives_where_there_is_room(clock: Clock) -> None:
    roomy = Residency(clock, Budget(lambda: 1 << 40, "400MiB"))
    what = ModelSpec("m", settings={"script": "[]", "memory": 150 << 20})
    held = await roomy.load(order(what, need=20 << 20))
    assert held.alive and roomy.budget.claims["m"][HOST] >= 150 << 20
    await roomy.close()


async def test_a_load_that_takes_more_than_there_is_ends_and_gives_everything_back(clock: Clock) -> None:
    tight = Residency(clock, Budget(lambda: 1 << 40, "100MiB"))
    with pytest.raises(Failed):
        await tight.load(order(ModelSpec("m", settings={"script": "[]", "memory": 600 << 20}), need=20 << 20))
    assert tight.budget.claims == {} and tight.all() == {} and children() == []


async def test_a_model_asked_for_while_it_leaves_has_a_claim_of_its_own(clock: Clock) -> None:
    small = Residency(clock, Budget(lambda: 1 << 40, "150MiB"))
    first = await small.load(order(spec(), need=100 << 20))
    leaving = asyncio.create_task(small.drop("m"))
    await asyncio.sleep(0)
    assert "m" in small.ending and small.budget.used(HOST) > 0
    second = await small.load(order(spec(), need=100 << 20))
    await leaving
    assert second.alive and not first.alive and set(small.budget.claims) == {"m"} and small.ending == {}
    await small.close()


async def test_loads_and_evictions_are_told(clock: Clock) -> None:
    small = Residency(clock, Budget(lambda: 1 << 40, "110MiB"))
    told: list[tuple[str, float]] = []
    small.timed = lambda engine, seconds: told.append((engine, seconds))
    for name in "ab":
        await small.load(Order(spec(name), scripted, *MINUTE, Need({HOST: 100 << 20}), growth=60 << 20))
    assert [engine for engine, _ in told] == ["scripted"] * 2 and all(seconds > 0 for _, seconds in told)
    assert small.admission.evictions == 1 and set(small.all()) == {"b"}
    await small.close()
