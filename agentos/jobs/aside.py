"""Jobs that are set aside: those submitted as preemptible leave when the policy names them, and run again later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agentos.jobs.executor import Ended
from agentos.jobs.ledger import Ledger
from agentos.jobs.scheduling import Node, Policy, Preemptive
from agentos.jobs.waiting import Waiting


class Aside:
    """Who has been told to leave."""

    def __init__(self, policy: Policy, ledger: Ledger) -> None:
        """Nobody; a policy that stops no job never has anybody leave."""
        self._policy = policy if isinstance(policy, Preemptive) else None
        self._ledger = ledger
        self._leaving: set[str] = set()

    def choose(self, now: float, waiting: Waiting, available: Sequence[Node]) -> list[str]:
        """Attempts to be stopped now; until those are gone no more are named, for their room is not seen yet."""
        if self._policy is None or self._leaving or not self._possible(waiting):
            return []
        running = list(self._ledger.running.values())
        named = self._policy.preempt(now, waiting, running, self._ledger.free(available))
        self._leaving = {job for job in named if job in self._ledger.started}
        return [self._ledger.attempts[job] for job in named if job in self._leaving]

    def wake(self, now: float, waiting: Waiting) -> float | None:
        """When to ask again though nothing happens; None: not."""
        if self._policy is None or not self._possible(waiting):
            return None
        return self._policy.wake(now, waiting, list(self._ledger.running.values()))

    def told(self, end: Ended) -> Ended:
        """An end as it is meant: a preemptible job that was cancelled has been set aside.

        Where a person wants it gone the queue knows, and so it does after a restart.
        """
        job = end.attempt.partition(".")[0]
        self._leaving.discard(job)
        running = self._ledger.running.get(job)
        if end.reason == "cancelled" and running is not None and running.request.preemptible:
            return replace(end, reason="preempted")
        return end

    def _possible(self, waiting: Waiting) -> bool:
        return len(waiting) > 0 and any(one.request.preemptible for one in self._ledger.running.values())
