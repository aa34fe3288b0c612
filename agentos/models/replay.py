"""Replays a trace of requests against a memory budget under one policy of eviction, without loading anything."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

from agentos.errors import UserError
from agentos.models.eviction import Frugal
from agentos.models.eviction_peers import Belady, Choice, Gdsf, Lfu, Lru
from agentos.models.replay_bound import least
from agentos.models.replay_trace import Trace
from agentos.types.units import Bytes, Count, Percent, Seconds

POLICIES: dict[str, Callable[[], Choice]] = {"ours": Frugal, "gdsf": Gdsf, "lfu": Lfu, "lru": Lru}
NAMES = (*POLICIES, "belady", "bound")


@dataclass(frozen=True)
class Cost:
    """What a load takes: a start, and the bytes at a bandwidth."""

    start: Seconds = 2.0
    bandwidth: float = 1e9
    """Bytes a second."""

    def of(self, size: int) -> float:
        """Seconds to load so many bytes."""
        return self.start + size / self.bandwidth


@dataclass(frozen=True)
class Replayed:
    """What a policy made of a trace."""

    policy: str
    budget: Percent
    """Of all models' bytes."""
    budget_bytes: Bytes
    loads: Count | None
    """None, and so the bytes: a bound has none."""
    bytes: Bytes | None
    loading: Seconds
    """Spent loading, all loads together."""
    second_half: Seconds | None
    """The part of it that fell to the second half of the requests."""
    of_lru: float
    """`loading` as a share of what LRU spent on the same."""
    refused: Count = 0
    """Requests for models larger than the budget, which nothing can answer; they cost nothing here."""
    waited: Seconds | None = None
    """For models in use to come free, where models in use are kept."""


def replay(trace: Trace, percent: float, policy: str, cost: Cost, pins: bool = False) -> Replayed:
    """One policy at one budget; `of_lru` is filled in by running LRU too.

    Requests come in the order of their times, and each is answered from memory, so that a missing model is always
    brought in. Without `pins` each is answered before the next comes. With them a model is kept while it answers, and
    a load that finds too little else waits, and those behind it, until enough of them have answered.

    Args:
        trace: The requests.
        percent: The budget, of all models' bytes.
        policy: One of `NAMES`. `belady` is the better of two greedy rules, `bound` a proven lower bound.
        cost: What a load takes.
        pins: Whether a model that is answering stays.

    Raises:
        UserError: no model fits the budget.
    """
    budget = int(sum(trace.sizes[name] for name in {r.model for r in trace.requests}) * percent / 100)
    fitting = tuple(request for request in trace.requests if trace.sizes[request.model] <= budget)
    if not fitting:
        raise UserError(
            f"no model fits {percent:g}% of all bytes, which is {budget:,}; nothing was replayed. Give a larger budget."
        )
    refused = len(trace.requests) - len(fitting)
    trace = dataclasses.replace(trace, requests=fitting)
    names = [request.model for request in trace.requests]
    lru = _Run(trace, budget, cost, pins).go(Lru())
    if policy == "bound":
        spent = least(names, trace.sizes, {name: cost.of(size) for name, size in trace.sizes.items()}, budget)
        return Replayed(policy, percent, budget, None, None, spent, None, _share(spent, lru.spent), refused)
    if policy == "lru":
        done = lru
    elif policy == "belady":
        done = min((_Run(trace, budget, cost, pins).go(Belady(names, way)) for way in (True, False)), key=_spent)
    else:
        done = _Run(trace, budget, cost, pins).go(POLICIES[policy]())
    return Replayed(
        policy, percent, budget, done.loads, done.moved, done.spent, done.half, _share(done.spent, lru.spent),
        refused, done.waited if pins else None,
    )


class _Run:
    def __init__(self, trace: Trace, budget: int, cost: Cost, pins: bool) -> None:
        self._trace, self._budget, self._cost, self._pins = trace, budget, cost, pins
        self._held: dict[str, int] = {}
        self._busy: dict[str, float] = {}
        self.loads, self.moved, self.spent, self.half, self.waited = 0, 0, 0.0, 0.0, 0.0

    def go(self, choice: Choice) -> _Run:
        clock, free = -math.inf, self._budget
        for at, request in enumerate(self._trace.requests):
            clock = max(clock, request.time)
            name, size = request.model, self._trace.sizes[request.model]
            choice.used(name, clock)
            begin = clock
            if name not in self._held:
                if size > free:
                    clock = self._until(clock, size - free)
                    self.waited += clock - begin
                    idle = {other: held for other, held in self._held.items() if self._busy.get(other, clock) <= clock}
                    for victim in choice.victims(idle, size - free, clock) or ():
                        free += self._held.pop(victim)
                seconds = self._cost.of(size)
                self._held[name] = size
                free -= size
                assert free >= 0, "a policy freed too little"
                self.loads, self.moved, self.spent = self.loads + 1, self.moved + size, self.spent + seconds
                self.half += seconds if at >= len(self._trace.requests) // 2 else 0
                begin = clock + seconds
                choice.loaded(name, size, seconds, begin)
            if self._pins:
                self._busy[name] = max(self._busy.get(name, begin), begin + request.seconds)
        return self

    def _until(self, clock: float, needed: int) -> float:
        """When so many bytes are held by models that are not in use."""
        for when in (clock, *sorted(until for name, until in self._busy.items() if name in self._held)):
            idle = sum(size for name, size in self._held.items() if self._busy.get(name, when) <= max(when, clock))
            if idle >= needed:
                return max(when, clock)
        raise AssertionError("all models together are too little")


def _spent(run: _Run) -> float:
    return run.spent


def _share(spent: float, lru: float) -> float:
    return round(spent / lru, 4) if lru else 1.0
