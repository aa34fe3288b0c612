"""`agentos models replay`: what policies of eviction make of a trace; no system need run, and nothing is loaded.

Its other actions are in commands_signatures.py.
"""

from __future__ import annotations

import dataclasses
import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from agentos.errors import UserError
from agentos.interfaces.columns import Column, laid
from agentos.types.units import show_bytes, show_seconds

if TYPE_CHECKING:
    from agentos.models.replay import Replayed


def models(args: Namespace) -> int:
    """Replays the trace at each budget and prints loads, bytes and seconds beside LRU's; or looks at signatures."""
    if args.action != "replay":
        from agentos.interfaces.commands_signatures import signatures

        return signatures(args)
    if not args.trace:
        raise UserError("which trace? agentos models replay TRACE")
    from agentos.models.replay import NAMES, Cost, replay
    from agentos.models.replay_trace import read_trace

    budgets = _budgets(args.budget)
    if args.start < 0 or args.bandwidth <= 0:
        raise UserError("a load starts in 0 s or more and its bandwidth is above 0 GB/s; nothing was replayed.")
    trace = read_trace(Path(args.trace), args.seed, args.equal)
    cost = Cost(args.start, args.bandwidth * 1e9)
    policies = NAMES if args.policy == "all" else (args.policy,)
    found = [replay(trace, budget, policy, cost, args.pins) for budget in budgets for policy in policies]
    if args.json:
        print(json.dumps({"notes": trace.notes, "replays": [dataclasses.asdict(one) for one in found]}))
        return 0
    count = len({request.model for request in trace.requests})
    load = f"a load takes {args.start:g} s and {args.bandwidth:g} GB/s"
    print(f"{len(trace.requests):,} requests for {count} models; {load}")
    for note in trace.notes:
        print(note)
    for budget, refused in {one.budget: one.refused for one in found if one.refused}.items():
        print(f"{refused:,} requests are for models larger than {budget:g}%; they are left out there")
    print(table(found))
    return 0


def table(found: list[Replayed]) -> str:
    """One line for each replay."""
    titles = ("budget", "policy", "loads", "loaded", "loading", "of LRU")
    rows = []
    for one in found:
        loads = "" if one.loads is None else f"{one.loads:,}"
        loaded = "" if one.bytes is None else show_bytes(one.bytes)
        rows.append((f"{one.budget:g}%", one.policy, loads, loaded, show_seconds(one.loading), f"{one.of_lru:.3f}"))
    return "\n".join(laid([Column(title, title != "policy") for title in titles], rows, 10_000))


def _budgets(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [0.0]
    if not all(0 < one <= 100 for one in found):
        raise UserError(f"--budget is {text!r} and must be per cents, above 0 to 100: 10,20,40; nothing was replayed.")
    return found
