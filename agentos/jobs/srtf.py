"""Shortest remaining time first by an oracle: what no scheduler that must guess can do better by much."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping

import numpy as np

from agentos.jobs.prediction import Estimate
from agentos.jobs.scheduling import Request


class Oracle:
    """An outlook that knows every run time.

    Args:
        seconds: By job.
    """

    def __init__(self, seconds: Mapping[str, float]) -> None:
        """Knows these."""
        self._seconds = seconds

    def group(self, request: Request) -> Hashable:
        """Every job by itself."""
        return request.job

    def rank(self, request: Request, attained: float) -> float:
        """The GPU time that is left, as its logarithm."""
        return math.log(max(1e-3, self._seconds[request.job] - attained) * max(1, request.gpus))

    def turn(self, request: Request, attained: float) -> float:
        """Never: one that runs only gets better."""
        return math.inf

    def left(self, request: Request, elapsed: float) -> float:
        """Exactly what is left."""
        return max(0.0, self._seconds[request.job] - elapsed)

    def estimate(self, request: Request) -> Estimate:
        """Its run time."""
        return Estimate(np.array([self._seconds[request.job]]), np.ones(1))

    def learn(self, request: Request, seconds: float) -> Iterable[Hashable]:
        """Nothing to learn."""
        return ()
