"""Serving by rank: the best first, the oldest a part of the machine, the next big one a place kept free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentos.jobs.displacing import Victims
from agentos.jobs.planning import Plan, Ranks
from agentos.jobs.reserving import Hold, hold
from agentos.jobs.scheduling import Node, Running, Start
from agentos.jobs.waiting import Waiting, ran

NEVER = float("-inf")


@dataclass(frozen=True)
class Ranked:
    """Serves by the ranks that the queue's outlook gives; what runs, runs to its end.

    Args:
        fairness: E-folds of rank that a user loses who has all of the machine; 0 ignores who asks.
        seniors: The part of the machine that the longest overdue get, whatever their rank; 0 lets them starve.
    """

    name: str
    fairness: float = 0.0
    seniors: float = 0.0

    def decide(self, now: float, queue: Waiting, running: Sequence[Running], free: Sequence[Node]) -> list[Start]:
        """The overdue within their part, then the best by rank around what is kept free for the oldest."""
        if not len(queue) or not any(node.cpus > 0 for node in free):
            return []
        plan = Plan(now, queue, running, free, self.fairness)
        held = self._serve_seniors(plan) if self.seniors else None
        ranks = Ranks(plan, everywhere=False)
        while best := ranks.first():
            (_, _, _, bucket), request = best
            at = plan.room.find(*bucket.shape)
            if at >= 0 and held and not held.lets(request, at, queue):
                at = plan.room.find(*bucket.shape, closed=held.at)
            if at < 0:
                ranks.skip()
                continue
            if held and at == held.at:
                held.take(request)
            plan.start(bucket, request, at)
        return plan.starts

    def _serve_seniors(self, plan: Plan) -> Hold | None:
        """Starts overdue jobs, the oldest first, while they and older running ones stay within their part."""
        for _, older, bucket, request in plan.oldest(plan.now):
            if older and older + plan.share(bucket.shape) > self.seniors:
                break
            at = plan.room.find(*bucket.shape)
            if at < 0:
                return hold(request, plan.now, plan.queue, plan.running, plan.room)
            plan.start(bucket, request, at)
        return None


@dataclass(frozen=True)
class Displacing(Ranked):
    """Serves by rank, and sets running jobs aside for better ones where they may be.

    Args:
        margin: E-folds by which a waiting job must be better before a running one is stopped for it; at least
            `fairness`, or two large jobs could take turns.
    """

    margin: float = 0.0

    def preempt(self, now: float, queue: Waiting, running: Sequence[Running], free: Sequence[Node]) -> list[str]:
        """Those that must go for the overdue, within their part, and then for the better by rank."""
        if not len(queue):
            return []
        plan = Plan(now, queue, running, free, self.fairness)
        victims = Victims(plan)
        stops: list[str] = []
        older = self._stop_for_seniors(plan, victims, stops) if self.seniors else NEVER
        ranks = Ranks(plan, everywhere=True)
        while best := ranks.first():
            (grade, submitted, _, bucket), request = best
            at, more = plan.room.find(*bucket.shape), list[str]()
            better = (grade + self.margin, submitted)
            if at < 0 and better < victims.worst():
                at, more = victims.clear(request, better, plan.room, older)
            if at < 0:
                ranks.skip()
                continue
            stops += more
            plan.start(bucket, request, at)
        return stops

    def steady(self) -> Ranked:
        """The same, where nothing may be set aside."""
        return Ranked(self.name, self.fairness, self.seniors)

    def wake(self, now: float, queue: Waiting, running: Sequence[Running]) -> float | None:
        """When the first of the running jobs changes its rank."""
        turn = queue.outlook.turn
        return min(
            (
                one.started - one.request.attained + turn(one.request, ran(one, now))
                for one in running
                if one.request.preemptible
            ),
            default=None,
        )

    def _stop_for_seniors(self, plan: Plan, victims: Victims, stops: list[str]) -> float:
        """Makes place for the oldest within their part; gives the due time up to which nobody may be stopped."""
        for when, older, bucket, request in plan.oldest(plan.now):
            part = plan.share(bucket.shape)
            if older and older + part > self.seniors:
                return self._eldest(plan, when)
            at, more = plan.room.find(*bucket.shape), list[str]()
            if at < 0:
                at, more = victims.clear(request, (NEVER, 0.0), plan.room, when)
            if at < 0:
                return when
            stops += more
            plan.start(bucket, request, at)
        return self._eldest(plan, plan.now)

    def _eldest(self, plan: Plan, until: float) -> float:
        """The due time of the last of the oldest running jobs that together stay within the seniors' part."""
        last, part = NEVER, 0.0
        for when, request in plan.aged():
            part += plan.share((request.gpus, request.cpus, request.memory))
            if when > until or (last != NEVER and part > self.seniors):
                break
            last = when
        return last
