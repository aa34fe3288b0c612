"""Tiresias (Gu and others, NSDI 2019): least attained service in two dimensions, in two queues, preemptive."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable

import numpy as np

from agentos.jobs.prediction import Estimate
from agentos.jobs.scheduling import Request

THRESHOLD = 10 * 3600.0
"""GPU-seconds after which a job goes to the second queue: the best of 1 to 40 GPU-hours on the Philly trace."""


class TwoQueues:
    """An outlook by attained service: below the threshold first, then the rest; in each, first come first.

    Args:
        threshold: GPU-seconds.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        """Knows nothing of run times, and learns nothing."""
        self._threshold = threshold

    def group(self, request: Request) -> Hashable:
        """Same shape, same queue."""
        return request.gpus, request.cpus, request.memory, self.rank(request, request.attained)

    def rank(self, request: Request, attained: float) -> float:
        """Which queue it is in."""
        return 0.0 if attained < self.turn_at(request) - 1e-3 else 1.0

    def turn(self, request: Request, attained: float) -> float:
        """When it leaves the first queue."""
        return math.inf if self.rank(request, attained) else self.turn_at(request)

    def turn_at(self, request: Request) -> float:
        """The seconds in which it uses up the threshold."""
        return self._threshold / max(1, request.gpus)

    def left(self, request: Request, elapsed: float) -> float:
        """Unknown: as long again."""
        return max(1.0, elapsed)

    def estimate(self, request: Request) -> Estimate:
        """Unknown."""
        return Estimate(np.array([60.0, 3600.0, 86400.0]), np.full(3, 1 / 3))

    def learn(self, request: Request, seconds: float) -> Iterable[Hashable]:
        """Nothing to learn."""
        return ()
