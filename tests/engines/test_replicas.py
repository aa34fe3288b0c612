"""Several engines behind one, over real processes that play a script."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import pytest_asyncio

from agentos.engines.host import ChildEngine
from agentos.engines.replicas import Replicas
from agentos.errors import Failed, UserError
from agentos.types import Completed, Engine, Generation, Message, ModelSpec, Token

RULES = [
    {"when": "endless", "say": "word " * 5000, "wait": 0.005},
    {"when": "slow", "say": "one two", "wait": 1.0},
    {"when": "count", "say": "one two three"},
]
SPEC = ModelSpec("script", settings={"script": json.dumps(RULES)}, context=1000)
numbers = itertools.count()


def ask(said: str = "count") -> Generation:
    return Generation(f"r{next(numbers)}", (Message("user", said),), 5000)


async def answer(engine: Engine, request: Generation) -> str:
    async for item in engine.generate(request):
        if isinstance(item, Completed):
            return item.text
    raise AssertionError("no end")


@pytest_asyncio.fixture
async def three() -> AsyncIterator[tuple[Replicas, list[ChildEngine]]]:
    engines = [ChildEngine("scripted") for _ in range(3)]
    replicas = Replicas(engines)
    await replicas.load(SPEC)
    yield replicas, engines
    await replicas.unload()


def pid(engine: Engine) -> int:
    assert engine.loaded is not None
    return engine.loaded.pid


async def well(_: Engine) -> str:
    return ""


async def busy(engines: list[ChildEngine]) -> list[bool]:
    return [(await engine.pulse()).busy for engine in engines if engine.alive]


async def test_the_least_busy_replica_is_asked(three):
    replicas, engines = three
    streams = [replicas.generate(ask("endless")) for _ in range(3)]
    for stream in streams:
        await anext(stream)
    assert await busy(engines) == [True] * 3
    await streams[1].aclose()
    while (now := await busy(engines)).count(True) == 3:
        await asyncio.sleep(0.01)
    free = now.index(False)
    again = replicas.generate(ask("endless"))
    await anext(again)
    assert (await busy(engines))[free]
    for stream in (*streams, again):
        await stream.aclose()


async def test_idle_replicas_take_turns(three):
    replicas, _ = three
    chosen = Counter()
    for _ in range(6):
        replica = replicas._choose([])
        chosen[id(replica)] += 1
    assert sorted(chosen.values()) == [2, 2, 2]


async def test_memory_and_pulse_are_of_all_together(three):
    replicas, engines = three
    assert replicas.loaded.memory == sum(engine.loaded.memory for engine in engines)
    assert replicas.memory() > engines[0].memory()
    assert not (await replicas.pulse()).busy
    async with aclosing(replicas.generate(ask("endless"))) as stream:
        await anext(stream)
        first = await replicas.pulse()
        await anext(stream)
        await anext(stream)
        second = await replicas.pulse()
    assert first.busy and second.progress > first.progress


async def test_a_request_without_a_token_yet_goes_to_another_replica(three):
    replicas, engines = three
    request = asyncio.create_task(answer(replicas, ask("slow")))
    while not any(now := await busy(engines)):
        await asyncio.sleep(0.01)
    os.kill(pid(engines[now.index(True)]), signal.SIGKILL)
    assert await request == "one two"
    assert replicas.healthy == 2 and replicas.alive


async def test_in_the_middle_of_an_answer_the_caller_is_told_and_nobody_else_notices(three):
    replicas, engines = three
    hit, missed = replicas.generate(ask("endless")), replicas.generate(ask("endless"))
    await anext(hit)
    victim = (await busy(engines)).index(True)
    await anext(missed)
    os.kill(pid(engines[victim]), signal.SIGKILL)
    with pytest.raises(Failed, match="SIGKILL"):
        async for _ in hit:
            pass
    assert isinstance(await anext(missed), Token)
    await missed.aclose()
    assert [await answer(replicas, ask()) for _ in range(4)] == ["one two three"] * 4


async def test_a_dead_replica_is_loaded_again_and_serves(three):
    replicas, engines = three
    os.kill(pid(engines[0]), signal.SIGKILL)
    while engines[0].alive:
        await asyncio.sleep(0.01)
    assert replicas.healthy == 2
    assert len(await replicas.repair(well)) == 1
    assert replicas.healthy == 3 and await answer(engines[0], ask()) == "one two three"
    assert await replicas.repair(well) == []


async def test_a_sick_replica_is_replaced_while_the_others_serve(three):
    replicas, engines = three
    before = pid(engines[1])

    async def sick(engine: Engine) -> str:
        return "it stood still" if engine is engines[1] else ""

    mended, said = await asyncio.gather(replicas.repair(sick), answer(replicas, ask()))
    assert mended == ["it stood still"] and said == "one two three"
    assert pid(engines[1]) != before


async def test_a_request_that_is_wrong_is_not_tried_on_every_replica(three):
    replicas, _ = three
    with pytest.raises(UserError):
        await answer(replicas, ask("too long " * 2000))
    assert replicas.healthy == 3


async def test_without_a_replica_left_it_is_dead_and_says_so(three):
    replicas, engines = three
    for engine in engines:
        await engine.kill("for the test")
    assert not replicas.alive and replicas.loaded is None
    with pytest.raises(Failed, match="no replica"):
        await answer(replicas, ask())
    with pytest.raises(Failed, match="no replica"):
        await replicas.pulse()


async def test_when_one_cannot_be_loaded_none_is_left():
    engines = [ChildEngine("scripted"), ChildEngine("no-such-backend")]
    with pytest.raises(Failed):
        await Replicas(engines).load(SPEC)
    assert not any(engine.alive for engine in engines)


@pytest.mark.parametrize("steps", range(0, 60, 6))
async def test_an_end_while_a_replica_is_loaded_again_leaves_none_running(steps):
    engines = [ChildEngine("scripted") for _ in range(2)]
    replicas = Replicas(engines)
    await replicas.load(SPEC)
    os.kill(pid(engines[0]), signal.SIGKILL)
    while engines[0].alive:
        await asyncio.sleep(0.01)
    mending = asyncio.create_task(replicas.repair(well))
    await asyncio.sleep(steps / 100)
    await replicas.unload()
    with contextlib.suppress(Failed):
        await mending
    assert not replicas.alive and not any(engine.alive for engine in engines)


async def test_a_first_load_is_alive_and_its_pulse_is_that_of_the_replica_that_loads():
    engines = [ChildEngine("scripted") for _ in range(2)]
    replicas = Replicas(engines)
    loading = asyncio.create_task(replicas.load(SPEC))
    while not engines[0].alive:
        await asyncio.sleep(0)
    assert replicas.alive and replicas.healthy == 0
    await replicas.pulse()
    await loading
    assert replicas.healthy == 2
    await replicas.unload()
    assert not replicas.alive
