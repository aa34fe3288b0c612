"""The default kernel model, planning for real."""

from __future__ import annotations

import dataclasses

import pytest

from agentos.kernel import evaluation
from agentos.kernel.examples import collect
from agentos.kernel.language import parse
from agentos.kernel.planner import Planner
from agentos.registry import installed
from agentos.types import Engine

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def planner(kernel_engine: Engine) -> Planner:
    table = installed()

    async def engine() -> Engine:
        return kernel_engine

    return Planner(table, collect(table), engine, known=lambda: ["smollm2-135m", "qwen2.5-coder-0.5b"])


@pytest.mark.parametrize(
    ("sentence", "syscall", "args"),
    [
        ("how much memory is free?", "resources.query", {"kind": "memory"}),
        ("现在GPU占用怎么样", "resources.query", {"kind": "gpu"}),
        ("把 qwen2.5-coder-0.5b 卸载掉", "models.unload", {"model": "qwen2.5-coder-0.5b"}),
        ("am I allowed to delete models?", "policy.explain", {"syscall": "models.delete"}),
    ],
)
async def test_plain_requests_in_both_languages_become_the_right_call(
    planner: Planner, sentence: str, syscall: str, args: dict[str, str]
) -> None:
    plan = (await planner.plan(sentence)).plan
    assert [(step.syscall, dict(step.args)) for step in plan.steps] == [(syscall, args)]


async def test_a_missing_argument_is_asked_for_and_not_made_up(planner: Planner) -> None:
    planned = await planner.plan("load a model for me")
    assert planned.plan.steps == ()
    assert planned.answered == "asked"
    assert planned.plan.reply is not None and "'model'" in planned.plan.reply


async def test_a_sample_of_the_suite_is_valid_by_construction_and_better_than_chance(planner: Planner) -> None:
    """A planner that declines everything scores 22 %; the untrained model must do better by far more than noise."""
    table = installed()
    suite = evaluation.load_suite("plans", table)
    suite = dataclasses.replace(suite, cases=suite.cases[::6])

    async def plan_one(text: str) -> evaluation.Planned:
        made = await planner.plan(text)
        assert made.answered != "unplanned"
        assert made.completed is not None
        parse(made.completed.text, table)
        return evaluation.Planned(made.plan, made.completed.seconds, made.completed.passes)

    report = await evaluation.evaluate(suite, table, plan_one)
    assert report.total.exact.share > 0.33, report.table()


async def test_a_warm_plan_copies_and_forces_most_of_its_tokens(planner: Planner) -> None:
    await planner.plan("unload smollm2-135m")
    planned = await planner.plan("unload smollm2-135m")
    assert planned.completed is not None
    assert planned.completed.passes < planned.completed.tokens
    assert planned.completed.cached_tokens > 0.8 * planned.completed.prompt_tokens
