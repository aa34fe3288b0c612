"""The durable queue: every step of a job's life is one transaction, on disk before it is told to anyone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice

from agentos.errors import NotFound, UserError
from agentos.jobs import schema
from agentos.jobs.executor import Ended
from agentos.jobs.finding import Finding
from agentos.jobs.graph import Batch, blame
from agentos.jobs.records import COLUMNS, ENDED, Change, Job, Rows, Spec, check
from agentos.jobs.retries import verdict
from agentos.store import Store
from agentos.types import JobState, Timestamp

_INSERT = f"insert into jobs ({COLUMNS}) values ({', '.join('?' * len(COLUMNS.split(',')))})"
_ATTEMPT = (
    "insert into job_attempts (job, attempt, node, gpus, owner, until, claimed, detail, dropped)"
    " values (?, ?, ?, ?, ?, ?, ?, '', 0)"
)
_RESULT = (
    "update job_attempts set outcome = ?, exit_code = ?, signal = ?, peak_memory = ?, started = ?, finished = ?,"
    " detail = ?, dropped = ? where job = ? and attempt = ? and outcome is null"
)
FAIL_BELOW = f"""
with recursive below(id) as (
    select child from job_edges where parent = ? and met = 0
    union select edge.child from below join job_edges as edge on edge.parent = below.id where edge.met = 0
)
update jobs set state = 'failed', reason = ?, blame = ?, ended = ?
where id in (select id from below) and +state = 'waiting' returning {COLUMNS}
"""
MET = f"""
update jobs set pending = pending - 1,
    state = case when state = 'waiting' and pending = 1 and coalesce(not_before, 0) <= :now
        then 'queued' else state end,
    ready = case when state = 'waiting' and pending = 1 and coalesce(not_before, 0) <= :now then :now else ready end,
    wake = case when state = 'waiting' and pending = 1 and not_before > :now then not_before else wake end
where id in (select child from job_edges where parent = :parent and met = 0) returning {COLUMNS}
"""
WAKE = f"update jobs set state = 'queued', reason = '', ready = ?, wake = null where wake <= ? returning {COLUMNS}"
RENEW = "update job_attempts set until = ? where outcome is null and owner = ?"
EXPIRED = "select job || '.' || attempt from job_attempts where outcome is null and until <= ? order by until"


class Queue:
    """Jobs in the system's own database; used from the event loop's thread.

    Each method is a transaction of its own, or part of the one that `transaction` opened: what happens
    within that block is on disk, all of it or nothing, when the block has been left. A method that raises
    one of agentos.errors has written nothing, so a block may go on to its next job.
    """

    def __init__(self, store: Store) -> None:
        """Makes the tables."""
        self._store = store
        self._sealer = schema.make(store)
        self._rows = Rows(self._sealer)
        self.find = Finding(store, self._rows)
        """Reads."""

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Several steps in one, at the price of one write to disk.

        Raises:
            Failed: the disk is full or refuses; nothing of the block was written.
        """
        if self._store.connection.in_transaction:
            yield self._store.connection
        else:
            with self._store.transaction() as db:
                yield db

    def submit(self, specs: Sequence[Spec], now: Timestamp) -> list[Job]:
        """Puts jobs on disk, all or none; for a user's call that has made its job before, that job.

        A job whose parent has failed already is kept and fails with it, as it would have a moment earlier.

        Raises:
            UserError: a job is not in order, or some wait for one another in a circle.
            NotFound: a job to wait for does not exist.
        """
        for spec in specs:
            check(spec)
        return self._insert(specs, now)

    def submit_each(self, requests: Sequence[Sequence[Spec]], now: Timestamp) -> list[list[Job] | UserError]:
        """Submissions of many callers, in one write to disk: each one's jobs, or why it has none.

        A request does not see the others of the same write; what is wrong with one leaves them be.
        """
        answers: list[list[Job] | UserError] = [[] for _ in requests]
        with self.transaction():
            plain: list[int] = []
            for at, specs in enumerate(requests):
                try:
                    if any(spec.after for spec in specs):
                        answers[at] = self.submit(specs, now)
                    else:
                        for spec in specs:
                            check(spec)
                        plain.append(at)
                except UserError as error:
                    answers[at] = error
            # Those that wait for nothing share one insertion, which halves their price.
            made = iter(self._insert([spec for at in plain for spec in requests[at]], now))
            for at in plain:
                answers[at] = list(islice(made, len(requests[at])))
        return answers

    def _insert(self, specs: Sequence[Spec], now: Timestamp) -> list[Job]:
        self._sealer.ready()
        with self.transaction() as db:
            (last,) = db.execute("select coalesce(max(id), 0) from jobs").fetchone()
            known: dict[int, Job] = {}
            calls: dict[tuple[str, str], int] = {}
            numbers: list[int] = []
            for spec in specs:
                number = None
                if spec.call is not None:
                    number = calls.get((spec.call, spec.user))
                    if number is None and (job := self.find.by_call(spec.call, spec.user)):
                        number = int(job.id)
                        known[number] = job
                if number is None:
                    number = last = last + 1
                if spec.call is not None:
                    calls[spec.call, spec.user] = number
                numbers.append(number)
            batch = Batch(specs, numbers, known)
            db.executemany(_INSERT, map(self._rows.row, batch.arrange(self.find, now)))
            if batch.edges:
                db.executemany("insert into job_edges values (?, ?, ?)", batch.edges)
        return [batch.jobs[number] for number in numbers]

    def claim(
        self, job: str, *, node: str, gpus: Sequence[int], owner: str, until: Timestamp, now: Timestamp
    ) -> str | None:
        """The id of a new attempt, whose lease `owner` holds; None where the job is not queued, and nothing changed."""
        with self.transaction() as db:
            row = db.execute(
                "update jobs set state = 'running', reason = '', attempts = attempts + 1, started = ?, ended = null,"
                " done = null, total = null, message = '' where id = ? and state = 'queued' returning attempts",
                (now, int(job)),
            ).fetchone()
            if row is None:
                return None
            db.execute(_ATTEMPT, (int(job), row[0], node, json.dumps(list(gpus)), owner, until, now))
        return f"{job}.{row[0]}"

    def renew(self, owner: str, until: Timestamp) -> int:
        """Prolongs all leases of an owner; how many those are."""
        with self.transaction() as db:
            return db.execute(RENEW, (until, owner)).rowcount

    def take(self, attempt: str, owner: str, until: Timestamp) -> bool:
        """Makes a running attempt an owner's, whoever had it; False where it has ended."""
        job, number = _attempt(attempt)
        with self.transaction() as db:
            found = db.execute(
                "update job_attempts set owner = ?, until = ? where job = ? and attempt = ? and outcome is null",
                (owner, until, job, number),
            )
        return found.rowcount == 1

    def expired(self, now: Timestamp) -> list[str]:
        """Attempts whose lease has run out, the longest ago first."""
        return [name for (name,) in self._store.connection.execute(EXPIRED, (now,))]

    def finish(self, ended: Ended, now: Timestamp) -> Change:
        """Records an attempt's end, once, and what follows from it: for the job, and for those that wait for it.

        A second end of the same attempt changes nothing, and the answer says so. Retries, losses and
        backoff are as in `retries.verdict`.

        Raises:
            NotFound: there never was such an attempt.
        """
        number, attempt = _attempt(ended.attempt)
        with self.transaction() as db:
            recorded = db.execute(
                _RESULT,
                (ended.reason, ended.exit_code, ended.signal, ended.peak_memory, ended.started, ended.finished,
                 ended.detail, ended.dropped, number, attempt),
            ).rowcount
            if not recorded:
                if db.execute(
                    "select 1 from job_attempts where job = ? and attempt = ?", (number, attempt)
                ).fetchone() is None:
                    raise NotFound(f"there is no attempt {ended.attempt!r}; nothing was changed")
                return Change(self.find.by_id(number), recorded=False)
            was = self.find.by_id(number)
            after = verdict(
                ended, retries=was.spec.retries, failures=was.failures, losses=was.losses, backoff=was.spec.backoff,
                cancelled_by=was.cancelled_by,
            )
            wake = None if after.wait is None else now + after.wait
            ready = was.ready if after.state == "queued" else None
            job = _one(db, self._rows, (
                "update jobs set state = ?, reason = ?, failures = ?, losses = ?, wake = ?, ready = ?, started = ?,"
                f" ended = ?, attained = attained + ? where id = ? and state = 'running' returning {COLUMNS}"
            ), (after.state, after.reason, after.failures, after.losses, wake, ready, ended.started, ended.finished,
                max(0.0, ended.finished - ended.started) if ended.reason == "preempted" else 0.0, number))
            queued = [job] if job.state == "queued" else []
            if job.state == "succeeded":
                queued = _met(db, self._rows, number, now)
            failed = _fail_below(db, self._rows, job, now) if job.state in ("failed", "cancelled") else []
        return Change(job, queued=tuple(queued), failed=tuple(failed))

    def cancel(self, job: str, user: str, now: Timestamp) -> Change:
        """Ends a job that does not run, and those that wait for it; of one that runs, notes who wants it to end.

        A running job stays `running` until its attempt has ended: whoever runs it ends that, and it does
        not run again, even if the system dies in between. A job that was cancelled before is left as it is.

        Raises:
            NotFound: there is no such job, or several bear the name.
            UserError: it has succeeded or failed.
        """
        with self.transaction() as db:
            was = self.find.get(job)
            if was.state in ("succeeded", "failed"):
                raise UserError(f"job {was.id} ({was.spec.name}) has {was.state} already; there is nothing to cancel")
            if was.state == "cancelled" or was.cancelled_by is not None:
                return Change(was, recorded=False)
            if was.state == "running":
                sql = f"update jobs set cancelled_by = ? where id = ? returning {COLUMNS}"
                return Change(_one(db, self._rows, sql, (user, int(was.id))))
            now_is = _one(db, self._rows, (
                "update jobs set state = 'cancelled', reason = ?, cancelled_by = ?, ended = ?, wake = null,"
                f" ready = null where id = ? returning {COLUMNS}"
            ), (f"cancelled by {user}", user, now, int(was.id)))
            failed = _fail_below(db, self._rows, now_is, now)
        return Change(now_is, failed=tuple(failed))

    def retry(self, job: str, now: Timestamp) -> Change:
        """Runs an ended job again, as a new attempt with all its retries.

        Those that failed because it did wait for it again. Those that have run on its success, or wait
        for others since, are left alone: a success once had still counts.

        Raises:
            NotFound: there is no such job, or several bear the name.
            UserError: it has not ended, or a job that it waits for has failed.
        """
        with self.transaction() as db:
            was = self.find.get(job)
            number = int(was.id)
            if was.state not in ENDED:
                raise UserError(f"job {was.id} ({was.spec.name}) has not ended, it is {was.state}; nothing was changed")
            bad = self.find.broken_parents(number)
            if bad:
                root = self.find.by_id(int(bad[0].blame or bad[0].id))
                raise UserError(
                    f"job {was.id} ({was.spec.name}) cannot run: {blame(root)}. Retry job {root.id}, which brings back"
                    " those that failed because of it; nothing was changed."
                )
            at = was.spec.not_before if was.spec.not_before is not None and was.spec.not_before > now else None
            state: JobState = "waiting" if was.pending or at is not None else "queued"
            again = _one(db, self._rows, (
                "update jobs set state = ?, reason = '', failures = 0, losses = 0, attained = 0, blame = null,"
                " cancelled_by = null, wake = ?, ready = ?, started = null, ended = null where id = ?"
                f" returning {COLUMNS}"
            ), (state, None if was.pending else at, now if state == "queued" else None, number))
            revived = _many(
                db, self._rows,
                "update jobs set state = 'waiting', reason = '', blame = null, ended = null where blame = ?"
                f" returning {COLUMNS}", (number,),
            )
            # One that hangs on a second failure too must not wait for what never comes.
            others = {bad.id: bad for one in revived for bad in self.find.broken_parents(int(one.id))}
            failed = list(chain.from_iterable(_fail_below(db, self._rows, bad, now) for bad in others.values()))
            gone = {one.id for one in failed}
        return Change(
            again, queued=(again,) if state == "queued" else (),
            revived=tuple(one for one in revived if one.id not in gone),
        )

    def due(self, now: Timestamp) -> list[Job]:
        """Those whose time has come, which are queued from now on, in the order of their ids."""
        first = self.next_due()
        if first is None or first > now:
            return []
        with self.transaction() as db:
            return _many(db, self._rows, WAKE, (now, now))

    def next_due(self) -> Timestamp | None:
        """When `due` should be asked again; None: when something has changed."""
        (at,) = self._store.connection.execute("select min(wake) from jobs where wake is not null").fetchone()
        return None if at is None else float(at)

    def progress(self, job: str, done: float | None, total: float | None, message: str = "") -> bool:
        """Notes how far a running job is, as it says; False where it does not run."""
        with self.transaction() as db:
            return db.execute(
                "update jobs set done = ?, total = ?, message = ? where id = ? and state = 'running'",
                (done, total, message, int(job)),
            ).rowcount == 1


def _attempt(attempt: str) -> tuple[int, int]:
    job, _, number = attempt.partition(".")
    return int(job), int(number)


def _many(db: sqlite3.Connection, rows: Rows, sql: str, values: Sequence[object]) -> list[Job]:
    return sorted(map(rows.job, db.execute(sql, values).fetchall()), key=lambda job: int(job.id))


def _one(db: sqlite3.Connection, rows: Rows, sql: str, values: Sequence[object]) -> Job:
    (job,) = _many(db, rows, sql, values)
    return job


def _met(db: sqlite3.Connection, rows: Rows, parent: int, now: Timestamp) -> list[Job]:
    """Those that wait for nothing more, now that this one has succeeded."""
    met = db.execute(MET, {"parent": parent, "now": now}).fetchall()
    if met:
        db.execute("update job_edges set met = 1 where parent = ? and met = 0", (parent,))
    return sorted((job for job in map(rows.job, met) if job.state == "queued"), key=lambda job: int(job.id))


def _fail_below(db: sqlite3.Connection, rows: Rows, job: Job, now: Timestamp) -> list[Job]:
    """Fails all that wait for a job that will not succeed, however far down."""
    root = int(job.blame or job.id)
    return _many(db, rows, FAIL_BELOW, (int(job.id), blame(job), root, now))
