"""`agentos bench --only eviction`: seconds spent loading under our eviction, its peers and what is possible at all."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from agentos.models.replay import NAMES, Cost, replay
from agentos.models.replay_trace import Trace, read_trace, synthetic

BUDGETS = (10.0, 20.0, 40.0)
DEALS = {
    "equal sizes, 2 s + 1 GB/s": ("", True, Cost()),
    "mixed sizes, 2 s + 1 GB/s": ("", False, Cost()),
    "mixed sizes a, 5 s + 2 GB/s": ("a", False, Cost(5, 2e9)),
    "mixed sizes b, 2 s + 1 GB/s": ("b", False, Cost()),
    "mixed sizes c, 1 s + 3 GB/s": ("c", False, Cost(1, 3e9)),
    "mixed sizes d, 10 s + 2 GB/s": ("d", False, Cost(10, 2e9)),
}
"""How sizes are dealt to models, as traces give none, and what a load takes; the second is the one to quote."""
QUOTED = "mixed sizes, 2 s + 1 GB/s"
KINDS = ("zipf", "drift", "bursts", "scan", "shift")


def measure(trace: Path | None, count: int = 20_000) -> dict[str, Any]:
    """Seconds spent loading as shares of LRU's, by deal, budget and policy.

    Args:
        trace: A CSV of requests; None leaves the made traces alone.
        count: Requests of a made trace.
    """
    made = {kind: _shares(synthetic(kind, count), Cost(), ("ours", "belady")) for kind in KINDS}
    figures: dict[str, Any] = {"made": made}
    if trace is not None:
        deals = {}
        for deal, (seed, equal, cost) in DEALS.items():
            deals[deal] = _shares(read_trace(trace, seed, equal), cost, NAMES)
        read = read_trace(trace)
        figures["trace"] = {
            "name": trace.name, "requests": len(read.requests), "models": len(read.sizes), "notes": list(read.notes),
            "deals": deals, "in_use_kept": _shares(read, Cost(), ("ours", "gdsf", "belady"), pins=True),
        }
    return figures


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The part's lines of the table."""
    found = []
    if trace := figures.get("trace"):
        for budget in map(_percent, BUDGETS):
            at = trace["deals"][QUOTED][budget]
            others = [deal[budget]["ours"]["of_lru"] for deal in trace["deals"].values()]
            said = ", ".join(f"{name} {at[name]['of_lru']:.2f}" for name in ("gdsf", "lfu", "belady", "bound"))
            found.append((
                f"loading of LRU's, {budget} budget", f"{at['ours']['of_lru']:.2f}",
                f"{said}; ours over {len(others)} sizings {min(others):.2f} to {max(others):.2f}",
            ))
    for kind, at in figures["made"].items():
        shares = [one["ours"]["of_lru"] for one in at.values()]
        best = [one["belady"]["of_lru"] for one in at.values()]
        found.append((
            f"the same, made trace {kind!r}", f"{statistics.median(shares):.2f}",
            f"{min(shares):.2f} to {max(shares):.2f} over the budgets, belady {statistics.median(best):.2f}",
        ))
    return found


def _shares(trace: Trace, cost: Cost, policies: tuple[str, ...], pins: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for budget in BUDGETS:
        done = {policy: replay(trace, budget, policy, cost, pins) for policy in ("lru", *policies)}
        half = done["lru"].second_half
        found[_percent(budget)] = {
            policy: {
                "loads": one.loads, "bytes": one.bytes, "seconds": round(one.loading, 1), "of_lru": one.of_lru,
                "refused": one.refused,
                "second_half_of_lru": None if one.second_half is None or not half else round(one.second_half / half, 4),
            }
            for policy, one in done.items()
        }
    return found


def _percent(budget: float) -> str:
    return f"{budget:g}%"
