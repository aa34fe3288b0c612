"""Engines that stop, die or stand still: found, killed, started again; real processes and signals, told time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from agentos.engines.host import ChildEngine
from agentos.engines.replicas import Replicas
from agentos.errors import Failed, Retry
from agentos.models.budget import HOST, Budget, Need
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


async def busy(engine: Engine) -> None:
    while not (await engine.pulse()).busy:
        await asyncio.sleep(0.01)


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
    assert residency.all() == {} and {n: h for n, h in residency.held().items() if not h.alive} == {}


async def test_an_engine_that_owes_an_answer_and_stands_still_is_killed_and_started_again(
    residency: Residency, supervisor: Supervisor, time: Time
) -> None:
    held = await residency.load(order(script='[{"when": "x", "say": "a b", "wait": 1000}]'))

    async def ask() -> None:
        async with residency.using("m", lambda: residency.load(order())) as there:
            async for _ in there.engine.generate(Generation("1", held_prompt())):
                pass

    asked = asyncio.create_task(ask())
    await busy(held.engine)
    await supervisor.tick()
    time.now += 5
    await supervisor.tick()
    assert residency.get("m") is held
    time.now += 1
    await supervisor.tick()
    with pytest.raises(Failed, match="owes an answer and has stood still for 6 s"):
        await asked
    await back(residency, "m", held_pid(held))


def held_pid(held):  # type: ignore[no-untyped-def]
    return held.loaded.pid


async def starting(residency: Residency, name: str = "m") -> ChildEngine:
    while name not in residency.starting or not residency.starting[name][1].alive:
        await asyncio.sleep(0.01)
    engine = residency.starting[name][1]
    assert isinstance(engine, ChildEngine)
    return engine


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a script that never comes takes a named pipe")
@pytest.mark.parametrize("stopped", [False, True])
async def test_a_load_that_stands_still_is_ended_and_its_caller_told(
    residency: Residency, supervisor: Supervisor, time: Time, tmp_path: Path, stopped: bool
) -> None:
    pipe = tmp_path / "script.yaml"
    os.mkfifo(pipe)
    load = asyncio.create_task(residency.load(order(script=str(pipe))))
    engine = await starting(residency)
    (pid,) = engine.pids()
    while not waits(pid):
        await asyncio.sleep(0.05)
    if stopped:
        os.kill(pid, signal.SIGSTOP)
    for _ in range(3):  # what it did until now is seen, and then nothing
        await supervisor.tick()
    time.now += 5
    await supervisor.tick()
    assert not load.done()
    time.now += 1
    await supervisor.tick()
    with pytest.raises(Failed, match="its load stood still for 6 s"):
        await load
    assert residency.all() == {} and residency.starting == {}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def waits(pid: int) -> bool:
    """Whether a process has done nothing for a while."""
    process = psutil.Process(pid)
    before = process.cpu_times()
    return not process.cpu_percent(0.3) and process.cpu_times() == before and before.user > 0.05


async def test_a_load_that_works_without_a_word_is_left_alone(
    residency: Residency, supervisor: Supervisor, time: Time
) -> None:
    script = "[" + ", ".join(["{when: x, say: y}"] * 20_000) + "]"  # takes seconds to read, all in one go
    load = asyncio.create_task(residency.load(order(script=script)))
    engine = await starting(residency)
    process = psutil.Process(engine.pids()[0])
    for _ in range(6):
        spent = process.cpu_times().user
        while process.cpu_times().user < spent + 0.15:
            assert not load.done()
            await asyncio.sleep(0.02)
        time.now += 5
        await supervisor.tick()
    await load
    assert residency.get("m") is not None


async def test_what_grows_past_all_room_is_ended_and_its_neighbour_stays(time: Time) -> None:
    mib = 1 << 20
    residency = Residency(time, Budget(lambda: 1 << 40, f"{75 * mib}B"))
    supervisor = Supervisor(residency, time, time.sleep)

    def small(name: str) -> Order:
        grows = 60 * mib if name == "a" else 20 * mib
        script = f'[{{"when": "x", "say": "a b c", "wait": 0.2, "hold": {grows}}}]'
        return Order(ModelSpec(name, settings={"script": script}), scripted, None, "forever", Need({HOST: 40 * mib}))

    for name in "abc":
        await residency.load(small(name))
    try:
        b, c = residency.get("b"), residency.get("c")
        room = residency.budget.limit(HOST) - residency.budget.used(HOST)
        assert b is not None and c is not None and 20 * mib < room < 60 * mib
        async for _ in b.engine.generate(Generation("1", held_prompt())):
            await supervisor.tick()
        assert residency.get("b") is b and residency.budget.claims["b"][HOST] > 30 * mib
        with pytest.raises(Failed):
            a = residency.get("a")
            assert a is not None
            async for _ in a.engine.generate(Generation("2", held_prompt())):
                time.now += 2
                await supervisor.tick()
        assert residency.get("b") is b and residency.get("c") is c
        assert residency.budget.used(HOST) <= 75 * mib
    finally:
        await supervisor.close()
        await residency.close()


async def test_a_replica_that_dies_is_started_again_while_the_other_serves(
    residency: Residency, supervisor: Supervisor
) -> None:
    engines = [ChildEngine("scripted"), ChildEngine("scripted")]
    pair = Replicas(engines)
    wanted = Order(ModelSpec("m", settings={"script": "[]"}), lambda: pair, 600.0, "10m")
    held = await residency.load(wanted)
    await supervisor.tick()
    assert engines[0].loaded is not None
    gone = engines[0].loaded.pid
    os.kill(gone, signal.SIGKILL)
    async with asyncio.timeout(20):
        while pair.healthy == 2:
            await asyncio.sleep(0.01)
    assert residency.get("m") is held and held.alive
    await supervisor.tick()
    assert pair.healthy == 2 and residency.get("m") is held
    assert engines[0].loaded is not None and engines[0].loaded.pid != gone
    assert residency.meters.of("m").restarts == 1


async def test_time_in_which_nobody_could_look_is_not_held_against_an_engine(
    residency: Residency, supervisor: Supervisor, time: Time
) -> None:
    """Ctrl-Z and fg, or a loop that other work held up."""
    held = await residency.load(order(script='[{"when": "x", "say": "a b", "wait": 1000}]'))
    await supervisor.tick()
    asked = asyncio.create_task(_ask(held.engine))
    await busy(held.engine)
    time.now += 75
    await supervisor.tick()
    assert residency.get("m") is held and not asked.done()
    os.kill(held.loaded.pid, signal.SIGSTOP)
    time.now += 75
    await supervisor.tick()
    assert residency.get("m") is held
    time.now += 6
    await supervisor.tick()
    with pytest.raises(Failed, match="stood still|no sign of life"):
        await asked


async def _ask(engine: Engine) -> None:
    async for _ in engine.generate(Generation("1", held_prompt())):
        pass
