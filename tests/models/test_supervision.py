"""Engines that stop, die or stand still: found, killed, started again; real processes and signals, told time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from agentos.engines.host import ChildEngine
from agentos.errors import Failed, Retry
from agentos.models.residency import Residency
from agentos.models.resident import Order
from agentos.models.supervision import LONGEST, Supervisor
from agentos.types import Engine, Generation, ModelSpec


class Time:
    """A clock that goes on when somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def residency(time: Time) -> AsyncIterator[Residency]:
    made = Residency(time)
    yield made
    await made.close()


@pytest.fixture
async def supervisor(residency: Residency, time: Time) -> AsyncIterator[Supervisor]:
    made = Supervisor(residency, time, time.sleep)
    yield made
    await made.close()


def scripted() -> Engine:
    return ChildEngine("scripted")


def order(name: str = "m", script: str = "[]", keep: float | None = 600.0) -> Order:
    return Order(ModelSpec(name, settings={"script": script}), scripted, keep, "10m")


async def back(residency: Residency, name: str, than: int) -> None:
    async with asyncio.timeout(20):
        while (held := residency.get(name)) is None or held.loaded.pid == than:
            await asyncio.sleep(0.01)


async def test_a_stopped_engine_is_killed_and_started_again_and_its_neighbour_keeps_on(
    residency: Residency, supervisor: Supervisor, time: Time
) -> None:
    ill, well = await residency.load(order()), await residency.load(order("n"))
    await supervisor.tick()
    pid = ill.loaded.pid
    os.kill(pid, signal.SIGSTOP)
    time.now += 4
    await supervisor.tick()
    assert residency.get("m") is ill
    time.now += 2
    await supervisor.tick()
    await back(residency, "m", pid)
    assert residency.get("n") is well and residency.meters.of("m").restarts == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_callers_of_a_stopped_engine_are_told(
    residency: Residency, supervisor: Supervisor, time: Time
) -> None:
    held = await residency.load(order(script='[{"when": "x", "say": "a b c d e f", "wait": 0.5}]'))
    await supervisor.tick()

    async def ask() -> None:
        async with residency.using("m", lambda: residency.load(order())) as there:
            async for _ in there.engine.generate(Generation("1", held_prompt())):
                os.kill(held.loaded.pid, signal.SIGSTOP)

    asked = asyncio.create_task(ask())
    await asyncio.sleep(1.5)
    time.now += 6
    await supervisor.tick()
    with pytest.raises(Failed, match="gave no sign of life for 6 s"):
        await asked


def held_prompt():  # type: ignore[no-untyped-def]
    from agentos.types import Prompt

    return Prompt("", (), "x")


async def test_a_killed_engine_comes_back_for_whoever_asks_next(
    residency: Residency, supervisor: Supervisor
) -> None:
    held = await residency.load(order())
    residency.pin("m")
    os.kill(held.loaded.pid, signal.SIGKILL)
    while held.alive:
        await asyncio.sleep(0.01)
    await supervisor.tick()
    again = await residency.load(order())
    assert again.alive and again.kernel and again.loaded.pid != held.loaded.pid


async def test_restarts_wait_longer_each_time_and_callers_are_sent_away_in_the_end(
    residency: Residency, supervisor: Supervisor, time: Time
) -> None:
    held = await residency.load(order(keep=150.0))
    broken = order(script="{", keep=150.0)
    held.order = broken
    os.kill(held.loaded.pid, signal.SIGKILL)
    while held.alive:
        await asyncio.sleep(0.01)
    await supervisor.tick()
    with pytest.raises(Retry, match=r"'m' has failed \d times in a row.*cannot be read"):
        async with asyncio.timeout(30):
            await residency.load(order())
    async with asyncio.timeout(60):
        while supervisor.down:
            await asyncio.sleep(0.01)
    assert [round(s) for s in time.slept if s][:6] == [1, 2, 4, 8, 16, 32] and max(time.slept) <= LONGEST
    assert residency.all() == {}


async def test_what_nobody_keeps_is_not_started_again(
    residency: Residency, supervisor: Supervisor, time: Time
) -> None:
    held = await residency.load(order(keep=5.0))
    time.now += 6
    os.kill(held.loaded.pid, signal.SIGKILL)
    while held.alive:
        await asyncio.sleep(0.01)
    await supervisor.tick()
    while supervisor.down:
        await asyncio.sleep(0.01)
    assert residency.all() == {} and residency.dead() == {}
