"""Room: never two over the budget, in order, and whoever is in use is waited for; scripted engines, real processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest

from agentos.engines.host import ChildEngine
from agentos.errors import Failed
from agentos.models.budget import HOST, Budget, Need
from agentos.models.residency import Residency
from agentos.models.resident import Order, Resident
from agentos.types import ModelSpec
from tests.models.conftest import Told

MIB = 1 << 20
ONE = 100 * MIB
"""Of a budget that holds one model and not two."""


@pytest.fixture
async def small() -> AsyncIterator[Residency]:
    made = Residency(lambda: 1000.0, Budget(lambda: 1 << 40, "150MiB"))
    yield made
    await made.close()
    assert made.budget.claims == {}


def order(name: str, *, need: int = ONE, forever: bool = False, script: str = "[]") -> Order:
    keep = (None, "forever") if forever else (60.0, "1m")
    # What it may still take once used stays set aside, so a small process stands for a large model.
    spec = ModelSpec(name, settings={"script": script})
    return Order(spec, lambda: ChildEngine("scripted"), *keep, Need({HOST: need}), growth=need - 40 * MIB)


def use(residency: Residency, name: str, told: Told) -> AbstractAsyncContextManager[Resident]:
    return residency.using(name, lambda: residency.load(order(name), told))


async def test_an_idle_model_makes_room(small: Residency) -> None:
    await small.load(order("a"))
    await small.load(order("b"))
    assert set(small.all()) == {"b"} and set(small.budget.claims) == {"b"}


async def test_a_model_in_use_is_waited_for_and_never_taken(small: Residency, told: Told) -> None:
    async with use(small, "a", told) as held:
        wants = asyncio.create_task(small.load(order("b"), told))
        while "until a can leave" not in told.text:
            await asyncio.sleep(0.01)
        assert held.alive and not wants.done() and set(small.budget.claims) == {"a"}
    await wants
    assert set(small.all()) == {"b"}


async def test_loads_at_once_never_add_up_past_the_budget_and_go_in_order(small: Residency) -> None:
    over: list[int] = []
    began: list[str] = []

    async def one(name: str) -> None:
        async with use(small, name, Told()):
            began.append(name)
            over.append(small.budget.used(HOST))
            await asyncio.sleep(0.05)

    await asyncio.gather(*(one(name) for name in "abcd"))
    assert began == list("abcd") and max(over) <= 150 * MIB


async def test_a_stream_of_callers_for_one_model_keeps_no_other_out(small: Residency, told: Told) -> None:
    served: list[str] = []
    first = use(small, "a", told)
    await first.__aenter__()

    async def late(name: str, told: Told) -> None:
        async with use(small, name, told):
            served.append(name)

    other = asyncio.create_task(late("b", told))
    while "until a can leave" not in told.text:
        await asyncio.sleep(0.01)
    again = asyncio.create_task(late("a", Told()))
    await asyncio.sleep(0.1)
    assert served == []
    await first.__aexit__(None, None, None)
    await asyncio.gather(other, again)
    assert served == ["b", "a"]


async def test_who_gives_up_waiting_lets_the_next_in_and_the_model_stay(small: Residency, told: Told) -> None:
    async with use(small, "a", told):
        gone = asyncio.create_task(small.load(order("b"), told))
        while "until a can leave" not in told.text:
            await asyncio.sleep(0.01)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        async with asyncio.timeout(10), use(small, "a", told):
            pass
    assert set(small.all()) == {"a"} and small.admission.waiting == {}


async def test_a_load_that_fails_gives_its_room_back(small: Residency) -> None:
    with pytest.raises(Failed):
        await small.load(order("a", script="{"))
    assert small.budget.claims == {}
    assert (await small.load(order("b"))).alive


async def test_beside_what_stays_for_good_it_is_refused_with_the_numbers(small: Residency) -> None:
    await small.load(order("a", forever=True))
    with pytest.raises(Failed, match=r"'b' needs 100\.0 MiB of memory .*within the setting 'memory_budget' beside a"):
        await small.load(order("b"))
    assert set(small.all()) == {"a"}
