"""`agentos eval`: scores a kernel model on sentences, or the rules in force on who may do what."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import yaml

from agentos.config import Settings, load
from agentos.interfaces.planning import planning
from agentos.interfaces.suites import suite_text
from agentos.kernel.evaluation import Planned, Suite, evaluate, load_suite
from agentos.kernel.report import Report, Row
from agentos.policy import permissions
from agentos.registry import installed


def main(args: Namespace) -> int:
    """Runs the suite that `args.suite` names; 0 where the share of right cases reaches `args.min` percent."""
    settings = load()
    if args.model:
        settings = dataclasses.replace(settings, kernel_model=args.model)
    text = suite_text(args.suite)
    if _asks_permissions(text):
        share, table, data = _permissions(text, args.suite, settings)
    else:
        report = asyncio.run(score(args.suite, settings))
        share, table, data = report.total.exact.share, report.table(), report.to_json()
    print(table)
    if args.json:
        from agentos.interfaces.bench import machine, versions

        where = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "versions": versions()}
        Path(args.json).write_text(json.dumps({**where, **data}, ensure_ascii=False, indent=1) + "\n", "utf-8")
    if args.min is not None and 100 * share < args.min:
        print(f"agentos: {100 * share:.1f}% of the cases are right, under the {args.min}% asked for", file=sys.stderr)
        return 1
    return 0


def _asks_permissions(text: str) -> bool:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return isinstance(data, dict) and "users" in data


def _permissions(text: str, name: str, settings: Settings) -> tuple[float, str, dict[str, Any]]:
    suite = permissions.read_suite(text, name)
    report = permissions.evaluate(suite, installed(), settings.home / "policies")
    return report.right / len(report.results), report.text(name), report.to_json(name)


async def score(wanted: str | Suite, settings: Settings) -> Report:
    """What the kernel that the settings name makes of a suite.

    Raises:
        AgentosError: there is no such suite, or the model cannot be loaded.
    """
    base = installed()
    suite = load_suite(wanted, base) if isinstance(wanted, str) else wanted
    async with planning(settings, tell, suite.table(base)) as (planner, _engine, table):

        async def plan_one(text: str) -> Planned:
            started = time.monotonic()
            made = await planner.plan(text)
            return Planned(made.plan, time.monotonic() - started, made.completed.passes if made.completed else 0)

        for case in suite.cases:  # once before, so that what is measured is warm
            await planner.prepare(case.text)
        count = iter(range(1, len(suite.cases) + 1))

        def shown(_row: Row) -> None:
            print(f"\r{next(count)}/{len(suite.cases)}", end="", file=sys.stderr, flush=True)

        report = await evaluate(suite, table, plan_one, model=settings.kernel_model, on_row=shown)
    print("\r", end="", file=sys.stderr)
    return report


async def tell(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    """Says on standard error how far loading is."""
    print(f"{message}{f' {100 * done / total:.0f}%' if done and total else ''}", file=sys.stderr)
