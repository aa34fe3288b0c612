"""First in, first out: the yardstick. The head waits for its place, and all behind it wait too."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from agentos.jobs.planning import Plan
from agentos.jobs.prediction import Estimate, History
from agentos.jobs.reserving import Hold, hold
from agentos.jobs.scheduling import Node, Request, Running, Start
from agentos.jobs.waiting import Waiting


class Unranked:
    """An outlook that ranks nobody; jobs of one shape and of one predicted length are served as they came.

    Args:
        history: What predicts lengths; it learns as jobs end. A prediction is made when the job comes.
    """

    def __init__(self, history: History) -> None:
        """Expects what that history does."""
        self._history = history

    def group(self, request: Request) -> Hashable:
        """Same shape, priority and predicted length, to a factor of 1.4."""
        self._history.group(request)
        length = round(2 * math.log2(self.estimate(request).quantile(0.75)))
        return request.gpus, request.cpus, request.memory, request.priority, length

    def rank(self, request: Request, attained: float) -> float:
        """The same for all."""
        return 0.0

    def turn(self, request: Request, attained: float) -> float:
        """Never."""
        return math.inf

    def left(self, request: Request, elapsed: float) -> float:
        """The median of what is left."""
        return self._history.left(request, elapsed)

    def estimate(self, request: Request) -> Estimate:
        """The history's."""
        return self._history.estimate(request)

    def learn(self, request: Request, seconds: float) -> Iterable[Hashable]:
        """Teaches the history; nobody moves."""
        self._history.learn(request, seconds)
        return ()


@dataclass(frozen=True)
class Fifo:
    """Serves in the order of arrival, within a priority.

    Args:
        backfill: EASY: while the head waits for its place, those behind it start when they are not predicted to put
            it off (Lifka, 1995).
    """

    name: str = "fifo"
    backfill: bool = False

    def decide(self, now: float, queue: Waiting, running: Sequence[Running], free: Sequence[Node]) -> list[Start]:
        """From the head on, as many as fit; with `backfill` others around the first that does not."""
        if not len(queue) or not any(node.cpus > 0 for node in free):
            return []
        plan = Plan(now, queue, running, free)
        for _, _, bucket, request in plan.oldest(math.inf):
            at = plan.room.find(*bucket.shape)
            if at < 0:
                if self.backfill and (held := hold(request, now, queue, running, plan.room)):
                    self._fill(plan, held)
                break
            plan.start(bucket, request, at)
        return plan.starts

    def _fill(self, plan: Plan, held: Hold) -> None:
        held.strict = False
        for _, _, bucket in plan.queue.arrivals:
            while (request := plan.head(bucket)) is not None:
                at = plan.room.find(*bucket.shape)
                if at >= 0 and not held.lets(request, at, plan.queue):
                    at = plan.room.find(*bucket.shape, closed=held.at)
                if at < 0:
                    break
                if at == held.at:
                    held.take(request)
                plan.start(bucket, request, at)
