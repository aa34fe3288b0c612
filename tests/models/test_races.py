"""Two things at once: who comes while another leaves, grows, dies or gives up; scripted engines, real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable

import pytest

from agentos.engines.host import ChildEngine
from agentos.errors import Failed
from agentos.models.budget import HOST, Budget, Need
from agentos.models.residency import Residency
from agentos.models.resident import Order
from agentos.models.supervision import Supervisor
from agentos.types import Engine, ModelSpec, Progress

MIB = 1 << 20
TEN = (600.0, "10m")
FOREVER = (None, "forever")


class Slow(ChildEngine):
    """Takes its time to load, or to end."""

    def __init__(self, load: float = 0.0, end: float = 0.0) -> None:
        super().__init__("scripted")
        self._load, self._end = load, end

    async def load(self, spec: ModelSpec, progress: Progress | None = None):  # type: ignore[no-untyped-def]
        await asyncio.sleep(self._load)
        return await super().load(spec, progress)

    async def unload(self) -> None:
        if self.alive:
            await asyncio.sleep(self._end)
        await super().unload()


def order(
    name: str = "m", make: Callable[[], Engine] = Slow, keep: tuple[float | None, str] = TEN, need: int = 100 * MIB
) -> Order:
    return Order(ModelSpec(name, settings={"script": "[]"}), make, *keep, Need({HOST: need}), growth=need - 40 * MIB)


@pytest.fixture
async def residency() -> AsyncIterator[Residency]:
    made = Residency(budget=Budget(lambda: 1 << 40, "250MiB"))
    yield made
    await made.close()
    assert made.budget.claims == {}


@pytest.fixture
async def supervisor(residency: Residency) -> AsyncIterator[Supervisor]:
    made = Supervisor(residency, sleep=lambda _: asyncio.sleep(0))
    yield made
    await made.close()


async def dead(engine: Engine) -> None:
    assert engine.loaded is not None
    os.kill(engine.loaded.pid, signal.SIGKILL)
    while engine.alive:
        await asyncio.sleep(0.01)


async def test_who_comes_while_a_load_that_was_given_up_ends_gets_one_of_its_own(residency: Residency) -> None:
    first = asyncio.create_task(residency.load(order(make=lambda: Slow(end=0.3))))
    while not residency.starting or not residency.starting["m"][1].alive:
        await asyncio.sleep(0.005)
    first.cancel()
    await asyncio.sleep(0.05)
    assert (await residency.load(order())).alive
    assert first.cancelled()


async def test_how_long_it_stays_is_as_the_last_who_said_so_wants_it_also_after_a_restart(
    residency: Residency, supervisor: Supervisor
) -> None:
    first = asyncio.create_task(residency.load(order(make=lambda: Slow(load=0.2))))
    await asyncio.sleep(0.05)
    held = await residency.load(order(keep=FOREVER))
    assert await first is held and held.keep_text == "forever"
    assert (await residency.load(order(), asked=False)).keep_text == "forever"
    await dead(held.engine)
    await supervisor.tick()
    while residency.get("m") is None:
        await asyncio.sleep(0.01)
    assert residency.all()["m"].keep_text == "forever"


async def test_a_model_that_goes_while_others_leave_for_its_growth_keeps_no_claim(residency: Residency) -> None:
    await residency.load(order())
    await residency.load(order("victim", lambda: Slow(end=0.3)))
    growing = asyncio.create_task(residency.fits("m", 200 * MIB))
    while "victim" not in residency.ending:
        await asyncio.sleep(0.005)
    await residency.drop("m")
    await growing
    assert residency.budget.claims == {} and residency.all() == {}


async def test_memory_of_a_model_that_is_leaving_is_waited_for_and_not_missed(residency: Residency) -> None:
    """What other programs left free shrinks by what an engine holds until it has really gone."""
    taken = 0

    class Taking(Slow):
        async def load(self, spec: ModelSpec, progress: Progress | None = None):  # type: ignore[no-untyped-def]
            nonlocal taken
            made = await super().load(spec, progress)
            taken = self.memory()
            return made

        async def unload(self) -> None:
            nonlocal taken
            await super().unload()
            await asyncio.sleep(0.3)
            taken = 0

    tight = Residency(budget=Budget(lambda: (512 + 60) * MIB - taken))
    await tight.load(order("a", Taking, need=55 * MIB))
    going = asyncio.create_task(tight.drop("a"))
    while "a" not in tight.ending:
        await asyncio.sleep(0.005)
    assert (await tight.load(order("b", need=55 * MIB))).alive
    await going
    await tight.close()


async def test_one_who_is_told_to_forget_a_model_before_its_restart_begins_leaves_it_loadable(
    residency: Residency, supervisor: Supervisor
) -> None:
    held = await residency.load(order())
    await dead(held.engine)
    supervisor._lost("m", held, "it died")
    assert await supervisor.forget("m") and not supervisor.down
    async with asyncio.timeout(20):
        assert (await residency.load(order())).alive


async def test_a_disk_that_takes_nothing_does_not_end_the_care_for_engines(
    residency: Residency, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise Failed("the database could not be written (disk full)")

    held = await residency.load(order())
    with monkeypatch.context() as patched:
        patched.setattr(residency, "save", full)
        supervisor._saved = -1e9
        await supervisor.tick()
        await dead(held.engine)
        await supervisor.tick()
    while residency.get("m") is None:
        await asyncio.sleep(0.01)
