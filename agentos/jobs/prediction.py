"""How long jobs will run, learned from how long others did: a distribution, never one number."""

from __future__ import annotations

import math
import re
import shlex
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
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
class Burst:
    """Jobs of one kind that came close together; they tend to run alike."""

    start: float
    end: float
    serial: int
    seen: Tally = field(default_factory=lambda: Tally(0.8))
    groups: dict[Hashable, None] = field(default_factory=dict)
    weights: Vector | None = None
    ranks: dict[int, float] = field(default_factory=dict)
    lefts: dict[int, float] = field(default_factory=dict)


@dataclass(eq=False)
class Kind:
    """All jobs of one user, key and shape, burst by burst."""

    seen: Tally = field(default_factory=lambda: Tally(0.98))
    starts: list[float] = field(default_factory=list)
    bursts: list[Burst] = field(default_factory=list)

    def find(self, submitted: float) -> int:
        """Where the burst of that moment is, or -1."""
        at = bisect_right(self.starts, submitted) - 1
        if at >= 0 and submitted - self.bursts[at].end <= GAP:
            return at
        return -1


def signature(command: str) -> str:
    """The part of a command that says what kind of work it is: its first words, no options, all numbers alike."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    kept = [re.sub(r"\d+", "0", word) for word in words if not re.fullmatch(r"-.*|[\d.,:e+-]+", word)]
    return " ".join(kept[:3])[:120]


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
        burst = self._of(request)
        at = level(attained)
        known = burst.ranks.get(at)
        if known is None:
            left = self.estimate(request).after(LEVELS[at])
            effort = left.effort() if self.preemptive else left.typical()
            known = burst.ranks[at] = math.log(max(1.0, effort)) + math.log(max(0.01, size(request)))
        return RANKS[request.priority] + known

    def turn(self, request: Request, attained: float) -> float:
        """Where the next of the levels begins that run times are told apart by."""
        return LEVELS[level(attained) + 1]

    def left(self, request: Request, elapsed: float) -> float:
        """The median of what is left."""
        at = level(elapsed)
        known = self._of(request).lefts
        whole = known.get(at)
        if whole is None:
            whole = known[at] = LEVELS[at] + self.estimate(request).after(LEVELS[at]).quantile(0.5)
        return max(whole - elapsed, 0.3 * elapsed, 1.0)

    def estimate(self, request: Request) -> Estimate:
        """Its whole run time."""
        burst = self._of(request)
        if burst.weights is None:
            burst.weights = self._weights(request, self._kind(request), burst)
        if request.time_limit is not None:
            return Estimate(np.minimum(GRID, request.time_limit), burst.weights)
        return Estimate(GRID, burst.weights)

    def learn(self, request: Request, seconds: float) -> Iterable[Hashable]:
        """Counts one more run that ended well."""
        at = min(len(GRID) - 1, max(0, round(2 * math.log2(max(seconds, 1.0)))))
        shape = (request.gpus, request.cpus, request.memory)
        self._all.add(at)
        _kept(self._shapes, shape, lambda: Tally(0.99)).add(at)
        _kept(self._users, (request.user, shape), lambda: Tally(0.98)).add(at)
        kind = self._kind(request)
        kind.seen.add(at)
        self._burst(kind, request.submitted).seen.add(at)
        self._bursts.pop(request.job, None)
        place = kind.find(request.submitted)
        changed: list[Hashable] = []
        for other in kind.bursts[max(0, place - 2) : place + 3]:
            other.weights = None
            other.ranks.clear()
            other.lefts.clear()
            changed.extend(other.groups)
        return changed

    def _weights(self, request: Request, kind: Kind, burst: Burst) -> Vector:
        shape = (request.gpus, request.cpus, request.memory)
        weights = self._all.over(PRIOR / PRIOR.sum(), 2.0)
        if shape in self._shapes:
            weights = self._shapes[shape].over(weights, 2.0)
        if (request.user, shape) in self._users:
            weights = self._users[request.user, shape].over(weights, 5.0)
        weights = kind.seen.over(weights, 5.0)
        place = kind.find(request.submitted)
        counts, total = weights, 1.0
        for distance, part in NEIGHBOURS:
            other = place + distance
            if 0 <= other < len(kind.bursts) and kind.bursts[other].seen.total:
                seen = kind.bursts[other].seen
                weight = part * min(1.0, 3.0 / seen.total)
                counts = counts + weight * seen.counts
                total += weight * seen.total
        return burst.seen.over(counts / total, 1.0)

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
