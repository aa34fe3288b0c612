"""One decision in the making: what is left of the machines, who is served already, who is overdue."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

from agentos.jobs.placing import Room
from agentos.jobs.scheduling import Node, Request, Running, Start
from agentos.jobs.waiting import Bucket, Lane, Shape, Waiting, due

Candidate = tuple[float, float, int, Bucket]
"""Rank with what the user has counted in, submission, serial, bucket."""


class Plan:
    """Goes through a queue without changing it, and keeps count of what it takes."""

    def __init__(
        self, now: float, queue: Waiting, running: Sequence[Running], free: Sequence[Node], fairness: float = 0.0
    ) -> None:
        """Nothing taken yet; a user who had all of the machine would lose `fairness` e-folds of rank."""
        self.now = now
        self.queue = queue
        self.running = running
        self.room = Room(free)
        self.fairness = fairness
        self.starts: list[Start] = []
        self._served: dict[int, tuple[Request | None, Iterator[Request]]] = {}
        self._shares: dict[Shape, float] = {}
        held: dict[str, list[int]] = {}
        for one in running:
            request = one.request
            mine = held.get(request.user)
            if mine is None:
                mine = held[request.user] = [0, 0, 0]
            mine[0] += request.gpus
            mine[1] += request.cpus
            mine[2] += request.memory
        room = self.room
        self._total = (
            sum(map(len, room.gpus)) + sum(mine[0] for mine in held.values()),
            sum(room.cpus) + sum(mine[1] for mine in held.values()),
            sum(room.memory) + sum(mine[2] for mine in held.values()),
        )
        self._losses = {user: fairness * self._part(mine) for user, mine in held.items()} if fairness else {}

    def share(self, shape: Shape) -> float:
        """The dominant share: the largest of its parts of all GPUs, of all CPUs and of all memory."""
        known = self._shares.get(shape)
        if known is None:
            known = self._shares[shape] = self._part(shape)
        return known

    def loss(self, user: str) -> float:
        """By how much the user's jobs stand back for what the user has already."""
        return self._losses.get(user, 0.0)

    def head(self, bucket: Bucket) -> Request | None:
        """The bucket's first that is not taken yet."""
        known = self._served.get(bucket.serial)
        return known[0] if known else bucket.head()

    def start(self, bucket: Bucket, request: Request, at: int) -> None:
        """Takes the bucket's head and gives it that place."""
        known = self._served.get(bucket.serial)
        if known is None:
            rest = iter(bucket)
            next(rest)
        else:
            rest = known[1]
        self._served[bucket.serial] = (next(rest, None), rest)
        self.starts.append(self.room.take(request, at))
        if self.fairness:
            self._losses[request.user] = self.loss(request.user) + self.fairness * self.share(bucket.shape)

    def skip(self, bucket: Bucket) -> None:
        """Leaves the bucket alone from now on."""
        self._served[bucket.serial] = (None, iter(()))

    def best(self, lane: Lane) -> Candidate | None:
        """The lane's first, when users that have much already stand back."""
        best: Candidate | None = None
        for front in lane.fronts:
            if best is not None and front[0] >= best[0]:
                break
            loss = self.loss(front[3].user)
            if best is not None and front[0] + loss > best[0]:
                continue
            for rank, _, serial, bucket in lane.users[front[3].user]:
                request = self.head(bucket)
                if request is not None:
                    found = (rank + loss, request.submitted, serial, bucket)
                    if best is None or found[:3] < best[:3]:
                        best = found
                    break
        return best

    def oldest(self, until: float) -> Iterator[tuple[float, float, Bucket, Request]]:
        """Due time, the machine's part that older ones have, bucket, job: those due by then, the first due first."""
        arrivals = self.queue.arrivals
        if not arrivals or arrivals[0][0] > until:
            return
        running = self.aged()[::-1]
        again: list[tuple[float, int, Bucket]] = []
        at, older = 0, 0.0
        while True:
            following = arrivals[at] if at < len(arrivals) and arrivals[at][0] <= until else None
            if again and (following is None or again[0][:2] < following[:2]):
                following = heapq.heappop(again)
            elif following is None:
                return
            else:
                at += 1
            when, serial, bucket = following
            while running and running[-1][0] <= when:
                request = running.pop()[1]
                older += self.share((request.gpus, request.cpus, request.memory))
            head = self.head(bucket)
            if head is None:
                continue
            yield when, older, bucket, head
            older += self.share(bucket.shape)
            head = self.head(bucket)
            if head is not None and due(head) <= until:
                heapq.heappush(again, (due(head), serial, bucket))

    def aged(self) -> list[tuple[float, Request]]:
        """The running jobs by their due times, the oldest first."""
        return sorted(((due(one.request), one.request) for one in self.running), key=_first)

    def _part(self, shape: Sequence[int]) -> float:
        return max((part / whole for part, whole in zip(shape, self._total, strict=True) if whole), default=0.0)


class Ranks:
    """Candidates of several lanes, the best first; ranks only get worse while one decision is made."""

    def __init__(self, plan: Plan, everywhere: bool) -> None:
        """The lanes that have place; all of them, where place can be made everywhere."""
        self._plan = plan
        self._skipped: dict[Shape, int] = {}
        self._heap: list[tuple[Candidate, Lane]] = []
        for lane in plan.queue.lanes.values():
            if (everywhere or plan.room.find(*lane.shape) >= 0) and (best := plan.best(lane)) is not None:
                self._heap.append((best, lane))
        heapq.heapify(self._heap)

    def first(self) -> tuple[Candidate, Request] | None:
        """The best now; stays until it is started or skipped."""
        heap = self._heap
        while heap:
            candidate, lane = heap[0]
            current = self._plan.best(lane)
            if current is None:
                heapq.heappop(heap)
            elif current[:3] != candidate[:3]:
                heapq.heapreplace(heap, (current, lane))
            elif (request := self._plan.head(current[3])) is not None:
                return current, request
        return None

    def skip(self) -> None:
        """Goes on without the first one's bucket, and soon without its lane: there a better fit is not worth more."""
        candidate, lane = self._heap[0]
        self._plan.skip(candidate[3])
        tried = self._skipped[lane.shape] = self._skipped.get(lane.shape, 0) + 1
        if tried >= TRIES or self._plan.room.find(*lane.shape) < 0:
            heapq.heappop(self._heap)


TRIES = 8
"""Buckets of about one shape that are tried for a place."""


def _first(item: tuple[float, Request]) -> float:
    return item[0]
