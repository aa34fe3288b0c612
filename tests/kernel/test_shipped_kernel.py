"""The adapter that ships: it belongs to the catalog's model, is small, and plans better than the base does."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from agentos.kernel import evaluation, tuned
from agentos.kernel.examples import collect
from agentos.kernel.planner import Planner
from agentos.models.catalog import catalog
from agentos.registry import Registry, installed
from agentos.types import Engine

MODEL = "qwen2.5-coder-0.5b"
MOST = 20_000_000
"""Bytes of the adapter, with its manifest."""


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuned.Manifest]:
    adapters = tuned.Tuned(tmp_path_factory.mktemp("kernel"))
    folder = adapters.folder(tuned.SHIPPED)
    assert folder is not None
    return folder, tuned.read(folder)


def test_it_is_for_the_model_in_the_catalog_and_says_how_it_was_made(shipped: tuple[Path, tuned.Manifest]) -> None:
    folder, manifest = shipped
    assert manifest.base == MODEL and manifest.base_sha256 == catalog()[MODEL].sha256
    assert {"method", "rank", "mean_of"} <= manifest.recipe.keys()
    assert all({"rows", "seed", "data_sha256"} <= part.keys() for part in manifest.recipe["mean_of"])
    assert {"plans", "unseen"} <= manifest.scores.keys()
    assert sum(file.stat().st_size for file in folder.iterdir()) < MOST


@pytest_asyncio.fixture(loop_scope="session")
async def adapted(kernel_engine: Engine, shipped: tuple[Path, tuned.Manifest]) -> AsyncIterator[Engine]:
    assert await kernel_engine.adapt(shipped[0])
    yield kernel_engine
    assert not await kernel_engine.adapt(None)


def planner(table: Registry, engine: Engine, manifest: tuned.Manifest) -> Planner:
    async def ready() -> Engine:
        return engine

    return Planner(
        table, collect(table), ready, known=lambda: ["smollm2-135m", MODEL], adapter=lambda: manifest
    )


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("suite", "every", "least"), [("plans", 6, 0.62), ("unseen", 4, 0.15)])
async def test_it_plans_suites_that_nobody_trained_on(
    adapted: Engine, shipped: tuple[Path, tuned.Manifest], suite: str, every: int, least: float
) -> None:
    cases = evaluation.load_suite(suite, installed())
    table = cases.table(installed())
    plans = planner(table, adapted, shipped[1])

    async def plan_one(text: str) -> evaluation.Planned:
        made = await plans.plan(text)
        assert made.answered != "unplanned"
        assert made.completed is not None
        return evaluation.Planned(made.plan, made.completed.seconds, made.completed.passes)

    report = await evaluation.evaluate(dataclasses.replace(cases, cases=cases.cases[::every]), table, plan_one)
    assert report.total.exact.share > least, report.table()


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="session")
async def test_a_plan_says_how_sure_it_is(adapted: Engine, shipped: tuple[Path, tuned.Manifest]) -> None:
    made = await planner(installed(), adapted, shipped[1]).plan("unload smollm2-135m")
    assert made.plan.steps[0].syscall == "models.unload"
    assert made.confidence is not None and 0.5 < made.confidence <= 1


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="session")
async def test_the_tables_states_are_computed_once(adapted: Engine, shipped: tuple[Path, tuned.Manifest]) -> None:
    plans = planner(installed(), adapted, shipped[1])
    await plans.plan("unload smollm2-135m")
    made = await plans.plan("how warm is the graphics card")
    assert made.completed is not None
    assert made.completed.cached_tokens > 0.9 * made.completed.prompt_tokens
