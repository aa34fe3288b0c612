"""The kernel that ships, in conversations: what it plans without a name is completed from what was said before."""

from __future__ import annotations

import pytest

from agentos.kernel import tuned
from agentos.kernel.context import Past, Turn, named
from agentos.kernel.conversing import Conversing
from agentos.kernel.examples import collect
from agentos.kernel.planner import Planner
from agentos.registry import installed
from agentos.types import Engine

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]
CASES = [
    (["load zeta", "and unload it again"], "models.unload", {"model": "zeta"}),
    (["load zeta", "now the same for beta"], "models.load", {"model": "beta"}),
    (["加载 zeta", "卸载它"], "models.unload", {"model": "zeta"}),
    (["load a model for me", "zeta"], "models.load", {"model": "zeta"}),
    (["show me the dataset reviews", "delete it"], "datasets.delete", {"dataset": "reviews"}),
]


async def test_follow_ups_in_both_languages_become_the_right_call(
    kernel_engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = installed()
    folder = tuned.Tuned(tmp_path_factory.mktemp("kernel")).folder(tuned.SHIPPED)
    assert folder is not None and await kernel_engine.adapt(folder)
    manifest = tuned.read(folder)

    async def engine() -> Engine:
        return kernel_engine

    planner = Planner(table, collect(table), engine, known=lambda: ["smollm2-135m"], adapter=lambda: manifest)
    talk, wrong = Conversing(planner, table), []
    try:
        for said, syscall, args in CASES:
            past = Past()
            for sentence in said:
                meant = await talk.plan(sentence, "r", past)
                steps = meant.plan.steps
                past = past.plus(meant.lacking or Turn(steps, (), named(steps, table, meant.taken), meant.taken))
            if [(step.syscall, dict(step.args)) for step in steps] != [(syscall, args)]:
                wrong.append((said, steps, meant.plan.reply))
        assert not wrong
    finally:
        await kernel_engine.adapt(None)
