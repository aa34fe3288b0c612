"""Keeping a place for a job that does not fit yet, and letting others use it as long as they do not put it off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentos.jobs.placing import Room
from agentos.jobs.scheduling import Request, Running
from agentos.jobs.waiting import Waiting, ran

STRETCH = 4.0
"""A job that has waited this many times what its place still needs to come free lets nobody by any more."""

CAUTION = 0.75
"""Whoever is let by must be through in time in this share of the cases."""


@dataclass
class Hold:
    """A node kept for one job."""

    at: int
    """The node's place in the room."""
    now: float
    when: float
    """When the job is expected to fit, in seconds since the epoch."""
    strict: bool
    gpus: int
    """GPUs, and below CPUs and memory, that will be left over there once it has started."""
    cpus: int
    memory: int

    def lets(self, request: Request, at: int, queue: Waiting) -> bool:
        """Whether this one may start on that node."""
        if at != self.at:
            return True
        if self.strict:
            return False
        return self._beside(request) or self._before(request, queue)

    def take(self, request: Request) -> None:
        """Takes note that it starts on the node kept."""
        if self._beside(request):
            self.gpus -= request.gpus
            self.cpus -= request.cpus
            self.memory -= request.memory

    def _beside(self, request: Request) -> bool:
        return request.gpus <= self.gpus and request.cpus <= self.cpus and request.memory <= self.memory

    def _before(self, request: Request, queue: Waiting) -> bool:
        rest = queue.outlook.estimate(request).after(request.attained)
        return self.now + rest.quantile(CAUTION) <= self.when


def hold(request: Request, now: float, queue: Waiting, running: Sequence[Running], room: Room) -> Hold | None:
    """The node where it is expected to fit first, by when the jobs there end; None when it can on none."""
    ends: dict[str, list[tuple[float, Running]]] = {name: [] for name in room.names}
    for one in running:
        if one.node in ends:
            ends[one.node].append((now + queue.outlook.left(one.request, ran(one, now)), one))
    best: Hold | None = None
    for at, name in enumerate(room.names):
        gpus = len(room.gpus[at]) - request.gpus
        cpus = room.cpus[at] - request.cpus
        memory = room.memory[at] - request.memory
        when = now
        for end, one in sorted(ends[name], key=lambda item: item[0]):
            if min(gpus, cpus, memory) >= 0 or (best is not None and when >= best.when):
                break
            when = end
            gpus += one.request.gpus
            cpus += one.request.cpus
            memory += one.request.memory
        if min(gpus, cpus, memory) >= 0 and (best is None or when < best.when):
            strict = now - request.submitted >= STRETCH * (when - now)
            best = Hold(at, now, when, strict, gpus, cpus, memory)
    return best
