"""What `agentos kernel train` and `probe` measure, each with a kernel of its own: no system need run for it."""

from __future__ import annotations

import asyncio

from agentos.config import Settings
from agentos.interfaces.evals import score, tell
from agentos.interfaces.planning import planning
from agentos.kernel.corpus.build import Corpus
from agentos.kernel.evaluation import Case, Planned, Suite, evaluate, load_suite
from agentos.kernel.examples import collect, sayings
from agentos.kernel.language import parse
from agentos.kernel.probe import Probed, probe
from agentos.kernel.report import Report
from agentos.registry import installed
from agentos.types import Plan

_MEASURED = 160
"""Sentences, drawn from examples that nothing was learned from, by which a plan's confidence is calibrated."""


def check(suites: list[str]) -> None:
    """Reads suites, so that what is wrong with one is known before an hour is spent.

    Raises:
        AgentosError: there is no such suite, or it is none.
    """
    for suite in suites:
        load_suite(suite, installed())


def scored(settings: Settings, suites: list[str]) -> list[Report]:
    """What the kernel that settings name makes of suites."""
    return [asyncio.run(score(name, settings)) for name in suites]


def probed(settings: Settings) -> Probed:
    """What the model that settings name makes of the probe."""

    async def ask() -> Probed:
        async with planning(settings, tell) as (planner, _engine, table):

            async def plan(text: str) -> Plan:
                return (await planner.plan(text)).plan

            return await probe(table, plan)

    return asyncio.run(ask())


def sureness(settings: Settings) -> list[tuple[float, bool]]:
    """Of plans for sentences that nothing was learned from: their probability, and whether they are right."""
    return asyncio.run(_sureness(settings))


async def _sureness(settings: Settings) -> list[tuple[float, bool]]:
    table = installed()
    rows = Corpus(table, [*collect(table), *sayings(table)], 7, dev=True).rows(_MEASURED, others=0, share=1.0)
    told: list[tuple[float, bool]] = []
    cases = []
    for number, row in enumerate(rows):
        parsed = parse(row.plan, table)
        steps = () if parsed.missing else parsed.steps
        cases.append(Case(str(number), "en", "single", row.text, (steps,)))
    async with planning(settings, tell) as (planner, _engine, _table):

        async def plan_one(text: str) -> Planned:
            made = await planner.plan(text)
            sure.append(made.confidence if made.confidence is not None else -1.0)
            return Planned(made.plan, 0.0, 0)

        sure: list[float] = []
        report = await evaluate(Suite("confidence", tuple(cases)), table, plan_one)
        told = [(one, row.score.exact) for one, row in zip(sure, report.rows, strict=True) if one >= 0]
    return told
