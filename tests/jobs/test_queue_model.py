"""Whatever is done to the queue in whatever order, and wherever it is cut off, it stands as a simple model says."""

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentos.errors import UserError
from agentos.jobs.executor import Ended
from agentos.jobs.queue import Queue
from agentos.jobs.records import ENDED, Spec
from agentos.jobs.retries import MOST_LOST
from agentos.store import Store

NOW = 1_780_000_000.0


@dataclass
class Item:
    """A job of the model."""

    parents: list[int]
    unmet: set[int]
    at: float | None
    retries: int
    state: str = "waiting"
    wake: float | None = None
    blame: int | None = None
    cancelling: bool = False
    attempts: int = 0
    failures: int = 0
    losses: int = 0


@dataclass
class Model:
    """The queue in a dictionary, with no thought of speed or loss."""

    jobs: dict[int, Item] = field(default_factory=dict)

    def ready(self, job: Item, now: float) -> None:
        job.state, job.wake = ("waiting", job.at) if job.at is not None and job.at > now else ("queued", None)

    def submit(self, parents: list[int], at: float | None, retries: int, now: float) -> None:
        unmet = {one for one in parents if self.jobs[one].state != "succeeded"}
        job = self.jobs[len(self.jobs) + 1] = Item(parents, unmet, at, retries)
        broken = [one for one in parents if self.jobs[one].state in ("failed", "cancelled")]
        if broken:
            job.state, job.blame = "failed", self.jobs[broken[0]].blame or broken[0]
        elif not unmet:
            self.ready(job, now)

    def fail_below(self, number: int) -> None:
        root = self.jobs[number].blame or number
        below, found = {number}, True
        while found:
            found = {n for n, job in self.jobs.items() if job.unmet & below} - below
            below |= found
        for one in below:
            if self.jobs[one].state == "waiting":
                self.jobs[one].state, self.jobs[one].blame = "failed", root

    def claim(self, number: int) -> bool:
        job = self.jobs[number]
        if job.state != "queued":
            return False
        job.state, job.attempts = "running", job.attempts + 1
        return True

    def finish(self, number: int, reason: str, code: int, wake: float | None, now: float) -> None:
        job = self.jobs[number]
        if reason == "exited" and code == 0:
            job.state, job.losses = "succeeded", 0
            for other in self.jobs.values():
                if number in other.unmet:
                    other.unmet.discard(number)
                    if not other.unmet and other.state == "waiting":
                        self.ready(other, now)
        elif job.cancelling or reason == "cancelled":
            job.state = "cancelled"
        elif reason == "lost":
            job.losses += 1
            job.state = "failed" if job.losses == MOST_LOST else "queued"
        else:
            job.losses, job.failures = 0, job.failures + 1
            job.state, job.wake = ("waiting", wake) if job.failures <= job.retries else ("failed", None)
        if job.state in ("failed", "cancelled"):
            self.fail_below(number)

    def cancel(self, number: int) -> None:
        job = self.jobs[number]
        if job.state == "running":
            job.cancelling = True
        elif job.state in ("waiting", "queued"):
            job.state, job.wake = "cancelled", None
            self.fail_below(number)

    def retry(self, number: int, now: float) -> bool:
        job = self.jobs[number]
        if job.state not in ENDED or any(self.jobs[one].state in ("failed", "cancelled") for one in job.unmet):
            return False
        job.failures, job.losses, job.blame, job.cancelling, job.state = 0, 0, None, False, "waiting"
        if not job.unmet:
            self.ready(job, now)
        revived = [n for n, other in sorted(self.jobs.items()) if other.blame == number]
        for one in revived:
            self.jobs[one].state, self.jobs[one].blame = "waiting", None
        broken = {p: None for n in revived for p in sorted(self.jobs[n].unmet)
                  if self.jobs[p].state in ("failed", "cancelled")}
        for one in broken:
            self.fail_below(one)
        return True

    def due(self, now: float) -> list[int]:
        woken = [n for n, job in sorted(self.jobs.items()) if job.wake is not None and job.wake <= now]
        for one in woken:
            self.jobs[one].state, self.jobs[one].wake = "queued", None
        return woken


class Pair:
    """The queue and its model, driven together."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng, self.copies = folder, rng, 0
        self.store = Store(folder / "0" / "agentos.db")
        self.queue, self.model, self.now = Queue(self.store), Model(), NOW
        self.results: dict[str, object] = {}

    def cut_off(self) -> None:
        """What a killed process leaves: the files as they are now, without a word of farewell."""
        self.copies += 1
        target = self.folder / str(self.copies)
        target.mkdir()
        for file in self.store.path.parent.iterdir():
            if not file.name.endswith("-shm"):
                shutil.copy(file, target)
        self.store.close()
        self.store = Store(target / "agentos.db")
        self.queue = Queue(self.store)

    def step(self) -> None:
        self.now += self.rng.choice([0.0, 0.5, 20.0])
        common = [self.submit, self.claim, self.claim, self.claim, self.finish, self.finish, self.due]
        act = self.rng.choice([*common, *common, self.cancel, self.retry, self.retry, self.broken_off])
        act()
        self.agree()
        if self.rng.random() < 0.05:
            self.cut_off()
            self.agree()

    def some(self) -> int:
        return self.rng.randint(max(1, len(self.model.jobs) - 12), max(1, len(self.model.jobs)))

    def submit(self) -> None:
        specs, count = [], self.rng.randint(1, 4)
        for position in range(count):
            old = {self.some() for _ in range(self.rng.randint(0, 2))} if self.model.jobs else set()
            if self.rng.random() < 0.9:
                old = {one for one in old if self.model.jobs[one].state not in ("failed", "cancelled")}
            beside = set(self.rng.sample(range(position), k=self.rng.randint(0, min(2, position))))
            at = self.now + self.rng.choice([-5.0, 15.0]) if self.rng.random() < 0.3 else None
            after = (*map(str, old), *beside)
            specs.append(Spec("true", "ann", after=after, not_before=at, retries=self.rng.randint(0, 2)))
        first = len(self.model.jobs) + 1
        made = self.queue.submit(specs, self.now)
        for spec, job in zip(specs, made, strict=True):
            parents = [int(one) if isinstance(one, str) else first + one for one in spec.after]
            self.model.submit(parents, spec.not_before, spec.retries, self.now)
            assert [int(one) for one in job.spec.after] == parents

    def claim(self) -> None:
        number = self.some()
        if self.model.jobs:
            got = self.queue.claim(str(number), node="n", gpus=(), owner="me", until=self.now, now=self.now)
            assert (got is not None) == self.model.claim(number)

    def finish(self) -> None:
        running = [n for n, job in self.model.jobs.items() if job.state == "running"]
        if not running:
            return
        number = self.rng.choice(running)
        attempt = f"{number}.{self.model.jobs[number].attempts}"
        reason = self.rng.choice(["exited"] * 8 + ["signal", "timeout", "cancelled", "lost", "lost"])
        code = self.rng.choice([0, 0, 0, 1])
        ended = Ended(attempt, reason, code, None, None, self.now - 1, self.now, "")
        change = self.queue.finish(ended, self.now)
        assert change.recorded and not self.queue.finish(ended, self.now).recorded
        self.model.finish(number, reason, code, change.job.wake, self.now)
        self.results[attempt] = self.queue.find.attempt(attempt)

    def cancel(self) -> None:
        if self.model.jobs:
            number = self.some()
            if self.model.jobs[number].state in ("succeeded", "failed"):
                with pytest.raises(UserError):
                    self.queue.cancel(str(number), "bob", self.now)
            else:
                self.queue.cancel(str(number), "bob", self.now)
                self.model.cancel(number)

    def retry(self) -> None:
        if self.model.jobs:
            number = self.some()
            if self.model.retry(number, self.now):
                self.queue.retry(str(number), self.now)
            else:
                with pytest.raises(UserError):
                    self.queue.retry(str(number), self.now)

    def due(self) -> None:
        assert [int(job.id) for job in self.queue.due(self.now)] == self.model.due(self.now)

    def broken_off(self) -> None:
        """A transaction that the power cut in the middle leaves nothing."""
        before = self.store
        with pytest.raises(ZeroDivisionError), self.queue.transaction():
            self.queue.submit([Spec("true", "ann"), Spec("true", "ann")], self.now)
            for job in list(self.queue.find.queued()):
                self.queue.claim(job.id, node="n", gpus=(), owner="me", until=self.now, now=self.now)
            if self.rng.random() < 0.3:
                self.store.connection.execute("pragma cache_spill = 1")
                self.store = Store(self._mid_flight())
            raise ZeroDivisionError
        if self.store is not before:
            before.close()
            self.queue = Queue(self.store)

    def _mid_flight(self) -> Path:
        self.copies += 1
        target = self.folder / str(self.copies)
        target.mkdir()
        for file in self.store.path.parent.iterdir():
            if not file.name.endswith("-shm"):
                shutil.copy(file, target)
        return target / "agentos.db"

    def agree(self) -> None:
        db = self.store.connection
        rows = {n: rest for n, *rest in db.execute(
            "select id, state, blame, pending, attempts, failures, losses, wake, cancelled_by is not null from jobs"
        )}
        assert rows.keys() == self.model.jobs.keys()
        for number, job in self.model.jobs.items():
            state, blame, pending, attempts, failures, losses, wake, _ = rows[number]
            assert (state, blame, pending, wake) == (job.state, job.blame, len(job.unmet), job.wake), number
            assert attempts == job.attempts
            if state not in ENDED:
                assert (failures, losses) == (job.failures, job.losses)
            if state == "waiting":
                assert (wake is None) == bool(job.unmet), "nobody waits for ever"
                assert not any(rows[one][0] in ("failed", "cancelled") for one in job.unmet)
        open_now = [job for (job,) in db.execute("select job from job_attempts where outcome is null order by job")]
        assert open_now == sorted(n for n, job in self.model.jobs.items() if job.state == "running")
        for attempt, result in self.results.items():
            assert self.queue.find.attempt(attempt) == result
        assert self.queue.next_due() == min((job.wake for job in self.model.jobs.values() if job.wake), default=None)


@pytest.mark.parametrize("seed", range(12))
def test_the_queue_and_a_simple_model_never_differ(tmp_path, seed):
    pair = Pair(tmp_path, random.Random(seed))
    for _ in range(250):
        pair.step()
    assert {"succeeded", "failed"} <= {job.state for job in pair.model.jobs.values()}
    pair.store.close()
