"""Who waits: buckets of like jobs, kept in order as they come and go, so that a decision touches a few of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from itertools import count
from typing import Protocol

from agentos.jobs.prediction import Estimate
from agentos.jobs.scheduling import Request, Running

Shape = tuple[int, int, int]
"""GPUs, CPUs, bytes of memory."""

PATIENCE = {"high": 900.0, "normal": 7200.0, "low": 86400.0}
"""Seconds that a job of each priority may be overtaken; from then on it is overdue."""


class Outlook(Protocol):
    """What is expected of jobs, and so how they are grouped and ranked. `prediction.History` learns it."""

    def group(self, request: Request) -> Hashable:
        """Jobs of one group are alike: same user, shape and priority at least; they are served as they came."""
        ...

    def rank(self, request: Request, attained: float) -> float:
        """Where it stands when it has run for so many seconds; the smallest is served first."""
        ...

    def turn(self, request: Request, attained: float) -> float:
        """The seconds of run time at which its rank changes next; infinity where it does not."""
        ...

    def left(self, request: Request, elapsed: float) -> float:
        """The median of the seconds that it will yet run, when it has for so long."""
        ...

    def estimate(self, request: Request) -> Estimate:
        """How long it will run in all, as a distribution."""
        ...

    def learn(self, request: Request, seconds: float) -> Iterable[Hashable]:
        """Takes note that it ended well after so long a run; gives the groups whose rank may differ now."""
        ...


def due(request: Request) -> float:
    """From when on it is overdue, in seconds since the epoch."""
    return request.submitted + PATIENCE[request.priority]


def ran(running: Running, now: float) -> float:
    """Seconds that it has run for, its earlier attempts' included."""
    return max(0.0, now - running.started) + running.request.attained


class Bucket:
    """Like jobs, in the order in which they came."""

    __slots__ = ("arrival", "entries", "group", "live", "place", "rank", "serial", "shape", "stale", "user")

    def __init__(self, group: Hashable, request: Request, serial: int) -> None:
        """An empty one, for jobs like this one."""
        self.group = group
        self.user = request.user
        self.shape: Shape = (request.gpus, request.cpus, request.memory)
        self.serial = serial
        self.entries: deque[Request] = deque()
        self.live = 0
        self.stale: set[int] = set()
        self.rank = 0.0
        self.place: tuple[float, float, int] | None = None
        self.arrival: tuple[float, int] | None = None

    def __iter__(self) -> Iterator[Request]:
        """The jobs that still wait, first come first."""
        return (entry for entry in self.entries if id(entry) not in self.stale) if self.stale else iter(self.entries)

    def head(self) -> Request:
        """The first."""
        return self.entries[0]

    def add(self, request: Request) -> None:
        """Adds one, nearly always at the end."""
        entries = self.entries
        self.live += 1
        if not entries or entries[-1].submitted <= request.submitted:
            entries.append(request)
            return
        at = len(entries)
        while at and entries[at - 1].submitted > request.submitted:
            at -= 1
        entries.insert(at, request)

    def remove(self, request: Request) -> None:
        """Takes one out; the entries in the middle go when the head comes to them."""
        self.live -= 1
        self.stale.add(id(request))
        while self.entries and id(self.entries[0]) in self.stale:
            self.stale.discard(id(self.entries.popleft()))
        if len(self.stale) > self.live + 8:
            self.entries = deque(self)
            self.stale.clear()


class Lane:
    """The buckets of about one shape: for every user the best first, and of the users the one with the best first."""

    __slots__ = ("fronts", "shape", "users")

    def __init__(self, shape: Shape) -> None:
        """No buckets; all of them ask for this much, or for less than twice as many CPUs or as much memory."""
        self.shape = shape
        self.users: dict[str, list[tuple[float, float, int, Bucket]]] = {}
        self.fronts: list[tuple[float, float, int, Bucket]] = []

    def place(self, bucket: Bucket) -> None:
        """Puts it where its rank and its head say; takes it out when it is empty."""
        before = bucket.place
        after = (bucket.rank, bucket.head().submitted, bucket.serial) if bucket.live else None
        if before == after:
            return
        mine = self.users.setdefault(bucket.user, [])
        front = mine[0] if mine else None
        if before is not None:
            del mine[bisect_left(mine, (*before,))]
        if after is not None:
            insort(mine, (*after, bucket), key=lambda item: item[:3])
        bucket.place = after
        now = mine[0] if mine else None
        if front != now:
            if front is not None:
                del self.fronts[bisect_left(self.fronts, front[:3], key=lambda item: item[:3])]
            if now is not None:
                insort(self.fronts, now, key=lambda item: item[:3])
        if not mine:
            del self.users[bucket.user]


class Waiting:
    """The jobs that wait for resources. Adding, removing and learning take microseconds at any length."""

    def __init__(self, outlook: Outlook) -> None:
        """Nobody waits; what is expected of jobs comes from there."""
        self.outlook = outlook
        self.lanes: dict[Shape, Lane] = {}
        self.arrivals: list[tuple[float, int, Bucket]] = []
        self._jobs: dict[str, tuple[Request, Bucket]] = {}
        self._buckets: dict[Hashable, Bucket] = {}
        self._serial = count()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._jobs)

    def __contains__(self, job: object) -> bool:
        """Whether that job waits."""
        return job in self._jobs

    def __iter__(self) -> Iterator[Request]:
        """All that wait, in no order."""
        return (request for request, _ in self._jobs.values())

    def __getitem__(self, job: str) -> Request:
        """What that job asks for; KeyError where it does not wait."""
        return self._jobs[job][0]

    def add(self, request: Request) -> None:
        """It waits from now on. ValueError: it already does."""
        if request.job in self._jobs:
            raise ValueError(f"job {request.job!r} is already waiting")
        group = self.outlook.group(request)
        bucket = self._buckets.get(group)
        if bucket is None:
            bucket = self._buckets[group] = Bucket(group, request, next(self._serial))
            bucket.rank = self.outlook.rank(request, request.attained)
        bucket.add(request)
        self._jobs[request.job] = (request, bucket)
        self._place(bucket)

    def remove(self, job: str) -> Request:
        """It waits no longer: it starts, or it is cancelled. KeyError: it does not wait."""
        request, bucket = self._jobs.pop(job)
        bucket.remove(request)
        self._place(bucket)
        if not bucket.live:
            del self._buckets[bucket.group]
        return request

    def learn(self, request: Request, seconds: float) -> None:
        """Job `request` ended well after a run of so many seconds: what is expected of others follows."""
        for group in self.outlook.learn(request, seconds):
            bucket = self._buckets.get(group)
            if bucket is not None:
                bucket.rank = self.outlook.rank(bucket.head(), bucket.head().attained)
                self._place(bucket)

    def remaining(self, running: Running, now: float) -> Estimate:
        """How much longer a running job will take, given how long it has."""
        return self.outlook.estimate(running.request).after(ran(running, now))

    def _place(self, bucket: Bucket) -> None:
        gpus, cpus, memory = bucket.shape
        shape = (gpus, 1 << cpus.bit_length() >> 1, 1 << memory.bit_length() >> 1)
        lane = self.lanes.get(shape)
        if lane is None:
            lane = self.lanes[shape] = Lane(shape)
        lane.place(bucket)
        if not lane.users:
            del self.lanes[shape]
        arrival = (due(bucket.head()), bucket.serial) if bucket.live else None
        if arrival != bucket.arrival:
            if bucket.arrival is not None:
                del self.arrivals[bisect_left(self.arrivals, bucket.arrival)]
            if arrival is not None:
                insort(self.arrivals, (*arrival, bucket))
            bucket.arrival = arrival
