"""Random loads, unloads, answers and kills with the memory sampled: never over the budget, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import random
import signal

import psutil

from agentos.engines.footprint import held as footprint
from agentos.engines.host import ChildEngine
from agentos.errors import AgentosError
from agentos.models.budget import HOST, Budget, Need
from agentos.models.residency import Residency
from agentos.models.resident import Order
from agentos.models.supervision import Supervisor
from agentos.types import Generation, ModelSpec, Prompt

MIB = 1 << 20
BUDGET = 150 * MIB
"""Three of the scripted engine's processes at what is set aside for each, and not four."""
NAMES = "abcdef"


def order(name: str) -> Order:
    spec = ModelSpec(name, settings={"script": '[{"when": "x", "say": "a b c d", "wait": 0.01}]'})
    return Order(spec, lambda: ChildEngine("scripted"), 600.0, "10m", Need({HOST: 48 * MIB}), growth=20 * MIB)


async def test_150_random_operations_stay_within_the_budget_and_leave_nothing() -> None:
    before = set(psutil.Process().children(recursive=True))
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    residency = Residency(budget=Budget(lambda: 1 << 40, f"{BUDGET}B"))
    supervisor = Supervisor(residency)
    watching = asyncio.create_task(supervisor.run())
    sampled: list[tuple[int, int]] = []
    served: list[str] = []
    draw = random.Random(4)

    async def sample() -> None:
        while True:
            mine = [child for child in psutil.Process().children(recursive=True) if child not in before]
            sampled.append((sum(footprint(child.pid) for child in mine), residency.budget.used(HOST)))
            await asyncio.sleep(0.05)

    async def one(number: int) -> None:
        name = draw.choice(NAMES)
        kind = draw.choices(["ask", "load", "drop", "kill"], [6, 2, 2, 1])[0]
        try:
            if kind == "ask":
                async with residency.using(name, lambda: residency.load(order(name))) as there:
                    async for _ in there.engine.generate(Generation(str(number), Prompt("", (), "x"))):
                        pass
                served.append(name)
            elif kind == "load":
                await residency.load(order(name))
            elif kind == "drop":
                await residency.drop(name)
            elif (held := residency.get(name)) is not None:
                os.kill(held.loaded.pid, signal.SIGKILL)
        except AgentosError:
            pass  # killed under its caller, or in use: both are told, and the next operation goes on

    sampling = asyncio.create_task(sample())
    gate = asyncio.Semaphore(6)

    async def gated(number: int) -> None:
        async with gate:
            await one(number)

    async with asyncio.timeout(300):
        await asyncio.gather(*(gated(number) for number in range(150)))
    for task in (sampling, watching):
        task.cancel()
    await asyncio.wait([sampling, watching])
    await supervisor.close()
    await residency.close()
    assert len(served) > 40 and max(held for held, _ in sampled) > 20 * MIB
    assert max(held for held, _ in sampled) <= BUDGET and max(claimed for _, claimed in sampled) <= BUDGET
    assert residency.budget.claims == {} and residency.starting == {} and residency.admission.waiting == {}
    assert set(psutil.Process().children(recursive=True)) <= before
    assert not files or len(os.listdir("/proc/self/fd")) <= files + 2
