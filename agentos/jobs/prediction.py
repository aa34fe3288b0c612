"""How long jobs will run, learned from how long others did: a distribution, never one number."""

from __future__ import annotations

import math
import re
import shlex
from bisect import bisect_right
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

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
    """The part of a command that says what kind of work it is: no numbers, values or paths of single runs."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    kept = [re.sub(r"\d+", "0", word) for word in words if not word.startswith("-")]
    return " ".join(kept[:3])[:120]


class History:
    """What finished jobs tell of those to come: by burst, then user and key, user and shape, shape, and all."""

    def __init__(self, preemptive: bool = False) -> None:
        """Nothing known yet."""
        self.preemptive = preemptive
        self._all = Tally(0.999)
        self._shapes: dict[Hashable, Tally] = {}
        self._users: dict[Hashable, Tally] = {}
        self._kinds: dict[Hashable, Kind] = {}
        self._serial = 0

    def group(self, request: Request) -> Hashable:
        """Same user, key, shape and priority, and the same burst."""
        kind = self._kind(request)
        burst = self._burst(kind, request.submitted)
        level = int(math.log2(request.attained / 60.0 + 1.0) * 2) + 1 if request.attained > 0 else 0
        group = (burst.serial, request.priority, level)
        burst.groups[group] = None
        return group

    def rank(self, request: Request, group: Hashable) -> float:
        """By priority, then by what it takes per job ended."""
        left = self.estimate(request).after(request.attained)
        effort = left.effort() if self.preemptive else left.typical()
        return RANKS[request.priority] + math.log(max(effort, 1e-3) * size(request))

    def estimate(self, request: Request) -> Estimate:
        """Its whole run time."""
        shape = (request.gpus, request.cpus, request.memory)
        weights = self._all.over(PRIOR / PRIOR.sum(), 2.0)
        if shape in self._shapes:
            weights = self._shapes[shape].over(weights, 2.0)
        if (request.user, shape) in self._users:
            weights = self._users[request.user, shape].over(weights, 5.0)
        kind = self._kinds.get((request.user, request.key, shape))
        if kind is not None:
            weights = kind.seen.over(weights, 5.0)
            at = kind.find(request.submitted)
            near = bisect_right(kind.starts, request.submitted)
            counts, total = np.zeros(len(GRID)), 0.0
            for distance, share in NEIGHBOURS:
                other = (at if at >= 0 else near) + distance
                if 0 <= other < len(kind.bursts) and kind.bursts[other].seen.total:
                    seen = kind.bursts[other].seen
                    weight = share * min(1.0, 3.0 / seen.total)
                    counts = counts + weight * seen.counts
                    total += weight * seen.total
            weights = (counts + weights) / (total + 1.0)
            if at >= 0:
                weights = kind.bursts[at].seen.over(weights, 1.0)
        if request.time_limit is not None:
            return Estimate(np.minimum(GRID, request.time_limit), weights)
        return Estimate(GRID, weights)

    def learn(self, request: Request, seconds: float) -> Iterable[Hashable]:
        """Counts one more run that ended well."""
        at = min(len(GRID) - 1, max(0, round(2 * math.log2(max(seconds, 1.0)))))
        shape = (request.gpus, request.cpus, request.memory)
        self._all.add(at)
        self._shapes.setdefault(shape, Tally(0.99)).add(at)
        self._users.setdefault((request.user, shape), Tally(0.98)).add(at)
        kind = self._kind(request)
        kind.seen.add(at)
        burst = self._burst(kind, request.submitted)
        burst.seen.add(at)
        place = kind.find(request.submitted)
        return [group for other in kind.bursts[max(0, place - 2) : place + 3] for group in other.groups]

    def _kind(self, request: Request) -> Kind:
        return self._kinds.setdefault((request.user, request.key, (request.gpus, request.cpus, request.memory)), Kind())

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
        return burst


NEIGHBOURS = ((-1, 1.0), (1, 1.0), (-2, 0.5), (2, 0.5))

RANKS = {"high": 0.0, "normal": 1000.0, "low": 2000.0}


def size(request: Request) -> float:
    """How much of a machine it takes, in GPUs: eight CPUs or 64 GiB count as one."""
    return max(float(request.gpus), request.cpus / 8, request.memory / 2**36)
