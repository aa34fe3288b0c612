"""Where a job goes: GPU jobs where they fill a node up, the others where most is left."""

from __future__ import annotations

from collections.abc import Iterable

from agentos.jobs.scheduling import Node, Request, Running, Start


class Room:
    """What is left of the nodes while one decision is made; taking from it changes nothing else."""

    __slots__ = ("cpus", "gpus", "memory", "names")

    def __init__(self, free: Iterable[Node]) -> None:
        """As much as is free."""
        self.names: list[str] = []
        self.cpus: list[int] = []
        self.memory: list[int] = []
        self.gpus: list[tuple[int, ...]] = []
        for node in free:
            self.names.append(node.name)
            self.cpus.append(node.cpus)
            self.memory.append(node.memory)
            self.gpus.append(node.gpus)

    def find(self, gpus: int, cpus: int, memory: int, closed: int = -1) -> int:
        """The node for such a job, or -1: the fewest GPUs left over, then the most CPUs left; not the closed one."""
        best, where = (0, 0), -1
        for at, left in enumerate(self.gpus):
            if len(left) >= gpus and self.cpus[at] >= cpus and self.memory[at] >= memory and at != closed:
                grade = (len(left), -self.cpus[at])
                if where < 0 or grade < best:
                    best, where = grade, at
        return where

    def take(self, request: Request, at: int) -> Start:
        """Starts it there; its GPUs are the node's lowest free ones."""
        mine, self.gpus[at] = self.gpus[at][: request.gpus], self.gpus[at][request.gpus :]
        self.cpus[at] -= request.cpus
        self.memory[at] -= request.memory
        return Start(request.job, self.names[at], mine)

    def give(self, stopped: Running, at: int) -> None:
        """Takes back what a job that is stopped there has."""
        self.gpus[at] = tuple(sorted(self.gpus[at] + stopped.gpus))
        self.cpus[at] += stopped.request.cpus
        self.memory[at] += stopped.request.memory
