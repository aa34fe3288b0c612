"""Which of several jobs submitted together waits for which, and how each one begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter

from agentos.errors import UserError
from agentos.jobs.finding import Finding
from agentos.jobs.records import Job, Spec, name_for
from agentos.types import Timestamp


@dataclass
class Batch:
    """Jobs that are submitted together, each with the number that it is given."""

    specs: Sequence[Spec]
    numbers: Sequence[int]
    jobs: dict[int, Job]
    """Those that a call made before; `arrange` adds the new ones, and those that they wait for."""
    edges: list[tuple[int, int, bool]] = field(default_factory=list)
    """Parent, child, and whether the parent has succeeded."""

    def arrange(self, find: Finding, now: Timestamp) -> list[Job]:
        """The new jobs as they begin, in the order of their numbers.

        Raises:
            NotFound: one waits for a job that does not exist.
            UserError: some wait for one another in a circle, or it is not clear for which one.
        """
        fresh: dict[int, Spec] = {}
        for number, spec in zip(self.numbers, self.specs, strict=True):
            if number not in self.jobs:
                fresh.setdefault(number, spec if spec.name else replace(spec, name=name_for(spec.command)))
        parents = {number: self._parents(number, spec, find) if spec.after else [] for number, spec in fresh.items()}
        for number in ordered({number: spec.name for number, spec in fresh.items()}, parents):
            job = _begin(number, fresh[number], [self.jobs[parent] for parent in parents[number]], now)
            self.jobs[number] = job
            self.edges += [(parent, number, self.jobs[parent].state == "succeeded") for parent in parents[number]]
        return [self.jobs[number] for number in sorted(fresh)]

    def _parents(self, number: int, spec: Spec, find: Finding) -> list[int]:
        found: dict[int, None] = {}
        for said in spec.after:
            if isinstance(said, int):
                if not 0 <= said < len(self.numbers):
                    many = len(self.numbers)
                    raise UserError(f"{spec.name!r} waits for position {said} of {many}; nothing was submitted")
                found[self.numbers[said]] = None
                continue
            beside = {at for at, other in zip(self.numbers, self.specs, strict=True) if other.name == said != ""}
            others = beside - {number}
            if len(others) > 1:
                raise UserError(f"{spec.name!r} waits for {said!r}, and several are called so; nothing was submitted")
            if others or (beside and not find.named(said)):
                found[(others or beside).pop()] = None
                continue
            parent = find.get(said)
            self.jobs[int(parent.id)] = parent
            found[int(parent.id)] = None
        return list(found)


def ordered(names: Mapping[int, str], parents: Mapping[int, Sequence[int]]) -> list[int]:
    """Numbers so that each comes after those of them that it waits for.

    Args:
        names: What to call each in a message.
        parents: What each one waits for; those without a name are left out.

    Raises:
        UserError: they wait for one another in a circle, which the message shows.
    """
    graph = {number: [parent for parent in parents[number] if parent in names] for number in names}
    if not any(graph.values()):
        return list(names)
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " after ".join(repr(names[number]) for number in reversed(error.args[1]))
    raise UserError(f"these jobs wait for one another and none could ever start: {circle}; nothing was submitted")


def blame(job: Job) -> str:
    """What is said of those that cannot run because this job failed or was cancelled."""
    if job.blame is not None:
        return job.reason
    if job.state == "cancelled":
        return f"job {job.id} ({job.spec.name}) was {job.reason or 'cancelled'}"
    return f"job {job.id} ({job.spec.name}) failed: {job.reason}"


def _begin(number: int, spec: Spec, parents: Sequence[Job], now: Timestamp) -> Job:
    if spec.after:
        spec = replace(spec, after=tuple(parent.id for parent in parents))
    name, pending = str(number), sum(parent.state != "succeeded" for parent in parents)
    broken = next((parent for parent in parents if parent.state in ("failed", "cancelled")), None)
    if broken is not None:
        root = broken.blame or broken.id
        return Job(name, spec, "failed", blame(broken), now, None, None, pending, blame=root, ended=now)
    if pending:
        return Job(name, spec, "waiting", "", now, None, None, pending)
    if spec.not_before is not None and spec.not_before > now:
        return Job(name, spec, "waiting", "", now, None, spec.not_before, 0)
    return Job(name, spec, "queued", "", now, now, None, 0)
