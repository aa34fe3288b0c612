"""How long jobs will run, learned from how long others did: a distribution, never one number."""

from __future__ import annotations

import math
import re
import shlex
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from agentos.jobs.scheduling import Request

Vector = NDArray[np.float64]

GRID: Vector = 2.0 ** (np.arange(55) / 2)
"""The run times told apart, in seconds: 1 s to 4 years, each 1.4 times the one before."""

PRIOR: Vector = 1.0 / (GRID + 600.0) ** 0.7
"""What is thought of a machine's first job: minutes to hours, and with no upper end."""

GAP = 300.0
"""Seconds; jobs of one kind that come closer together than this are taken for one burst, such as a sweep."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A distribution of seconds."""

    points: Vector
    """The possible values, ascending."""
    weights: Vector
    """How likely each is; they add up to 1."""

    def mean(self) -> float:
        """The expected value."""
        return float(self.points @ self.weights)

    def quantile(self, share: float) -> float:
        """The value that this share of the cases stays at or below."""
        at = int(np.searchsorted(np.cumsum(self.weights), share - 1e-9))
        return float(self.points[min(at, len(self.points) - 1)])

    def after(self, elapsed: float) -> Estimate:
        """What is left for one that has run so long: the shorter cases are ruled out, the rest weigh more."""
        if elapsed <= 0:
            return self
        at = int(np.searchsorted(self.points, elapsed, side="right"))
        weights = self.weights[at:]
        total = float(weights.sum())
        if total <= 0:
            return Estimate(elapsed * np.array([0.5, 1.0, 2.0]), np.array([0.25, 0.5, 0.25]))
        return Estimate(self.points[at:] - elapsed, weights / total)

    def effort(self) -> float:
        """Seconds to be spent per job ended, when each may be set aside at the best moment (1 / Gittins' index)."""
        ended = np.cumsum(self.weights)
        spent = np.cumsum(self.weights * self.points) + self.points * np.maximum(0.0, 1.0 - ended)
        return float(np.min(spent / np.maximum(ended, 1e-12)))

    def typical(self) -> float:
        """The geometric mean: what most are near, whatever the few long ones do."""
        return float(np.exp(self.weights @ np.log(np.maximum(self.points, 1.0))))


class Tally:
    """How often each run time was seen; older ones count less."""

    __slots__ = ("counts", "keep", "total")

    def __init__(self, keep: float) -> None:
        """Nothing seen; with every new one the older ones keep this share of their weight."""
        self.counts: Vector = np.zeros(len(GRID))
        self.total = 0.0
        self.keep = keep

    def add(self, at: int) -> None:
        """One more that ran for about `GRID[at]`."""
        self.counts *= self.keep
        self.counts[at] += 1.0
        self.total = self.total * self.keep + 1.0

    def over(self, prior: Vector, trust: float) -> Vector:
        """The distribution, when what is thought without it counts for `trust` jobs."""
        return (self.counts + trust * prior) / (self.total + trust)


@dataclass(eq=False)
class Belief:
    """A distribution over `GRID`, with what was worked out from it; jobs of which as much is known share one."""

    weights: Vector
    efforts: dict[int, float] = field(default_factory=dict)
    lefts: dict[int, float] = field(default_factory=dict)


@dataclass(eq=False)
class Burst:
    """Jobs of one kind that came close together; they tend to run alike."""

    start: float
    end: float
    serial: int
    seen: Tally | None = None
    groups: dict[Hashable, None] = field(default_factory=dict)
    belief: Belief | None = None


@dataclass(eq=False)
class Kind:
    """All jobs of one user, key and shape, burst by burst."""

    seen: Tally = field(default_factory=lambda: Tally(0.98))
    starts: list[float] = field(default_factory=list)
    bursts: list[Burst] = field(default_factory=list)
    belief: Belief | None = None

    def find(self, submitted: float) -> int:
        """Where the burst of that moment is, or -1."""
        at = bisect_right(self.starts, submitted) - 1
        if at >= 0 and submitted - self.bursts[at].end <= GAP:
            return at
        return -1


def signature(command: str) -> str:
    """The part of a command that says what kind of work it is: its first words, no options, all numbers alike."""
    try:
        # Where nothing is quoted the plain way gives the same words, forty times as fast.
        words = shlex.split(command) if _QUOTED.search(command) else command.split()
    except ValueError:
        words = command.split()
    kept = (_NUMBER.sub("0", word) for word in words if not _OPTION.fullmatch(word))
    return " ".join(islice(kept, 3))[:120]


_QUOTED = re.compile(r"""["'\\]""")
_NUMBER = re.compile(r"\d+")
_OPTION = re.compile(r"-.*|[\d.,:e+-]+")


class History:
    """What finished jobs tell of those to come: by burst, then user and key, user and shape, shape, and all."""

    def __init__(self, preemptive: bool = False) -> None:
        """Nothing known yet.

        Args:
            preemptive: Rank by what is worth while when a job can be set aside; else by what it takes to the end.
        """
        self.preemptive = preemptive
        self._all = Tally(0.999)
        self._shapes: dict[Hashable, Tally] = {}
        self._users: dict[Hashable, Tally] = {}
        self._kinds: dict[Hashable, Kind] = {}
        self._bursts: dict[str, Burst] = {}
        self._serial = 0

    def group(self, request: Request) -> Hashable:
        """Same user, key, shape and priority, and the same burst."""
        burst = self._of(request)
        group = (burst.serial, request.priority, level(request.attained))
        burst.groups[group] = None
        return group

    def rank(self, request: Request, attained: float) -> float:
        """By priority, then by what it takes per job ended."""
        belief = self._of(request).belief or self._belief(request)
        at = level(attained)
        known = belief.efforts.get(at)
        if known is None:
            left = Estimate(GRID, belief.weights).after(LEVELS[at])
            effort = left.effort() if self.preemptive else left.typical()
            known = belief.efforts[at] = math.log(max(1.0, effort))
        return RANKS[request.priority] + known + math.log(max(0.01, size(request)))

    def turn(self, request: Request, attained: float) -> float:
        """Where the next of the levels begins that run times are told apart by."""
        return LEVELS[level(attained) + 1]

    def left(self, request: Request, elapsed: float) -> float:
        """The median of what is left."""
        belief = self._of(request).belief or self._belief(request)
        at = level(elapsed)
        whole = belief.lefts.get(at)
        if whole is None:
            whole = belief.lefts[at] = LEVELS[at] + Estimate(GRID, belief.weights).after(LEVELS[at]).quantile(0.5)
        left = max(whole - elapsed, 0.3 * elapsed, 1.0)
        return left if request.time_limit is None else min(left, max(1.0, request.time_limit - elapsed))

    def estimate(self, request: Request) -> Estimate:
        """Its whole run time."""
        weights = (self._of(request).belief or self._belief(request)).weights
        if request.time_limit is not None:
            return Estimate(np.minimum(GRID, request.time_limit), weights)
        return Estimate(GRID, weights)

    def learn(self, request: Request, seconds: float) -> Iterable[Hashable]:
        """Counts one more run that ended well."""
        at = min(len(GRID) - 1, max(0, round(2 * math.log2(max(seconds, 1.0)))))
        shape = (request.gpus, request.cpus, request.memory)
        self._all.add(at)
        _kept(self._shapes, shape, lambda: Tally(0.99)).add(at)
        _kept(self._users, (request.user, shape), lambda: Tally(0.98)).add(at)
        kind = self._kind(request)
        kind.seen.add(at)
        kind.belief = None
        burst = self._burst(kind, request.submitted)
        burst.seen = burst.seen or Tally(0.8)
        burst.seen.add(at)
        self._bursts.pop(request.job, None)
        place = kind.find(request.submitted)
        changed: list[Hashable] = []
        for other in kind.bursts[max(0, place - 2) : place + 3]:
            other.belief = None
            changed.extend(other.groups)
        return changed

    def _belief(self, request: Request) -> Belief:
        """From the whole to the part: each level corrects the one above by as much as it has seen itself."""
        kind, burst = self._kind(request), self._of(request)
        if kind.belief is None:
            shape = (request.gpus, request.cpus, request.memory)
            weights = self._all.over(PRIOR / PRIOR.sum(), 2.0)
            if shape in self._shapes:
                weights = self._shapes[shape].over(weights, 2.0)
            if (request.user, shape) in self._users:
                weights = self._users[request.user, shape].over(weights, 5.0)
            kind.belief = Belief(kind.seen.over(weights, 5.0))
        burst.belief = kind.belief
        place = kind.find(request.submitted)
        counts, total = kind.belief.weights, 1.0
        for distance, part in NEIGHBOURS:
            other = place + distance
            if 0 <= other < len(kind.bursts) and (seen := kind.bursts[other].seen) is not None:
                weight = part * min(1.0, 3.0 / seen.total)
                counts = counts + weight * seen.counts
                total += weight * seen.total
        if burst.seen is not None:
            burst.belief = Belief(burst.seen.over(counts / total, 1.0))
        elif total > 1.0:
            burst.belief = Belief(counts / total)
        return burst.belief

    def _of(self, request: Request) -> Burst:
        burst = self._bursts.get(request.job)
        if burst is None:
            if len(self._bursts) > REMEMBERED:
                self._bursts.clear()
            burst = self._bursts[request.job] = self._burst(self._kind(request), request.submitted)
        return burst

    def _kind(self, request: Request) -> Kind:
        name = (request.user, request.key, request.gpus, request.cpus, request.memory)
        return _kept(self._kinds, name, Kind)

    def _burst(self, kind: Kind, submitted: float) -> Burst:
        at = kind.find(submitted)
        if at >= 0:
            burst = kind.bursts[at]
            burst.end = max(burst.end, submitted)
            return burst
        self._serial += 1
        burst = Burst(submitted, submitted, self._serial)
        place = bisect_right(kind.starts, submitted)
        kind.starts.insert(place, submitted)
        kind.bursts.insert(place, burst)
        if len(kind.bursts) > 2 * KEPT:
            del kind.bursts[:KEPT], kind.starts[:KEPT]
        return burst


NEIGHBOURS = ((-1, 1.0), (1, 1.0), (-2, 0.5), (2, 0.5))

REMEMBERED = 200_000
"""Jobs whose burst is looked up once only."""

KEPT = 10_000
"""Kinds of jobs, and bursts of one kind, that are remembered; the first seen are forgotten first."""

RANKS = {"high": 0.0, "normal": 1000.0, "low": 2000.0}

T = TypeVar("T")


def _kept(known: dict[Hashable, T], name: Hashable, make: Callable[[], T]) -> T:
    """The one of that name, new where there is none; there are only so many."""
    found = known.get(name)
    if found is None:
        if len(known) >= KEPT:
            del known[next(iter(known))]
        found = known[name] = make()
    return found


LEVELS = [300.0 * (2.0**at - 1.0) for at in range(40)]
"""The run times, in seconds, at which a running job is ranked anew."""


def level(attained: float) -> int:
    """Which of the levels so much run time is in."""
    return bisect_right(LEVELS, attained + 1e-3) - 1


def size(request: Request) -> float:
    """How much of a machine it takes, in GPUs: eight CPUs or 64 GiB count as one."""
    return max(float(request.gpus), request.cpus / 8, request.memory / 2**36)
