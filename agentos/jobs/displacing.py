"""Whom to stop for whom: running jobs that may be set aside, the worst by rank first."""

from __future__ import annotations

from functools import cached_property
from operator import itemgetter

from agentos.jobs.placing import Room
from agentos.jobs.planning import Plan
from agentos.jobs.scheduling import Request, Running
from agentos.jobs.waiting import due, ran

Standing = tuple[float, float, Running]
"""Rank with the user's share counted in, submission, the job."""


class Victims:
    """The running jobs that may be stopped, node by node; ranked when the first is asked for."""

    def __init__(self, plan: Plan) -> None:
        """Those of the plan's running jobs that are preemptible."""
        self._plan = plan

    @cached_property
    def by_node(self) -> dict[str, list[Standing]]:
        """On each node, the worst last."""
        plan, rank = self._plan, self._plan.queue.outlook.rank
        standings = [
            (rank(request, ran(one, plan.now)) + plan.loss(request.user), request.submitted, one)
            for one in plan.running
            if (request := one.request).preemptible
        ]
        standings.sort(key=itemgetter(0, 1))
        found: dict[str, list[Standing]] = {}
        for standing in standings:
            found.setdefault(standing[2].node, []).append(standing)
        return found

    def worst(self) -> tuple[float, float]:
        """The rank and submission of the worst of all."""
        return max((some[-1][:2] for some in self.by_node.values() if some), default=(float("-inf"), 0.0))

    def clear(self, request: Request, better: tuple[float, float], room: Room, older: float) -> tuple[int, list[str]]:
        """Makes place for one job, at the cost of those worse than `better` and not due by `older`.

        Gives the node's place in the room and whom to stop; -1 and nobody where that is not enough.
        """
        best: tuple[tuple[float, float], int, list[Standing]] | None = None
        for at, name in enumerate(room.names):
            gpus = request.gpus - len(room.gpus[at])
            cpus = request.cpus - room.cpus[at]
            memory = request.memory - room.memory[at]
            chosen: list[Standing] = []
            for one in reversed(self.by_node.get(name, ())):
                if max(gpus, cpus, memory) <= 0 or one[:2] <= better:
                    break
                asked = one[2].request
                if due(asked) > older and (
                    (gpus > 0 and asked.gpus) or (cpus > 0 and asked.cpus) or (memory > 0 and asked.memory)
                ):
                    gpus, cpus, memory = gpus - asked.gpus, cpus - asked.cpus, memory - asked.memory
                    chosen.append(one)
            if max(gpus, cpus, memory) <= 0 and chosen and (best is None or chosen[-1][:2] > best[0]):
                best = (chosen[-1][:2], at, chosen)
        if best is None:
            return -1, []
        _, at, chosen = best
        for one in chosen:
            self.by_node[room.names[at]].remove(one)
            room.give(one[2], at)
        return at, [one[2].request.job for one in chosen]
