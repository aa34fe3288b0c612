"""Reading the queue: one job, listings, what runs, and what history tells."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from agentos.errors import NotFound, UserError
from agentos.jobs.records import ATTEMPT_COLUMNS, COLUMNS, Attempt, Job, Rows, attempt_of
from agentos.store import Store
from agentos.types import JobState

_ONE = f"select {COLUMNS} from jobs where id = ?"
_CALL = f"select {COLUMNS} from jobs where call = ? and user = ?"
BROKEN = f"""
select {COLUMNS} from jobs where id in (select parent from job_edges where child = ? and met = 0)
and +state in ('failed', 'cancelled') order by id
"""
QUEUED = f"select {COLUMNS} from jobs where state = 'queued' order by id"
RUNNING = f"select {ATTEMPT_COLUMNS} from job_attempts where outcome is null and until > -1"
_GROUPS: dict[str, tuple[JobState, ...]] = {"queued": ("queued", "waiting")}
"""To people, a job that waits for another or for a time is queued as well."""


class Finding:
    """What the queue holds; changes nothing."""

    def __init__(self, store: Store, rows: Rows) -> None:
        """Reads from there."""
        self._db = store.connection
        self._job = rows.job

    def get(self, job: str) -> Job:
        """A job by its id, or by its name where it is the only one of that name.

        Raises:
            NotFound: there is none; the message says which are near.
            UserError: several bear the name; the message gives their ids.
        """
        said = job.strip()
        if said.isascii() and said.isdigit() and len(said) <= 18:
            row = self._db.execute(_ONE, (int(said),)).fetchone()
            if row is not None:
                return self._job(row)
        named = self.named(said)
        if len(named) > 1:
            listed = ", ".join(named[:5]) + (", …" if len(named) > 5 else "")
            raise UserError(f"several jobs are called {said!r}: {listed} (newest first); say which by its id")
        if named:
            return self.by_id(int(named[0]))
        raise self._unknown(said)

    def by_id(self, number: int) -> Job:
        """The job of that number, which exists."""
        return self._job(self._db.execute(_ONE, (number,)).fetchone())

    def by_call(self, call: str, user: str) -> Job | None:
        """The job that a user's call made."""
        row = self._db.execute(_CALL, (call, user)).fetchone()
        return None if row is None else self._job(row)

    def named(self, name: str) -> list[str]:
        """The ids of the newest few jobs of that name, newest first."""
        rows = self._db.execute("select id from jobs where name = ? order by id desc limit 6", (name,))
        return [str(number) for (number,) in rows]

    def broken_parents(self, number: int) -> list[Job]:
        """Those that it waits for and that will not succeed unless retried."""
        return [self._job(row) for row in self._db.execute(BROKEN, (number,))]

    def listing(
        self, state: str = "all", user: str | None = None, limit: int = 50, before: str | None = None
    ) -> list[Job]:
        """Jobs, newest first.

        Args:
            state: One of the states, or `all`; `queued` takes in those that wait.
            user: Whose; everybody's where None.
            limit: How many at most.
            before: The last id of the page before.
        """
        states = _GROUPS.get(state, (state,)) if state != "all" else (None,)
        found: list[Job] = []
        for one in states:
            clauses, values = ["id < ?"], [int(before) if before else 2**62]
            if one is not None:
                clauses.append("state = ?")
                values.append(one)  # type: ignore[arg-type]
            if user is not None:
                clauses.append("user = ?")
                values.append(user)  # type: ignore[arg-type]
            sql = f"select {COLUMNS} from jobs where {' and '.join(clauses)} order by id desc limit ?"
            found += map(self._job, self._db.execute(sql, (*values, limit)))
        return sorted(found, key=lambda job: -int(job.id))[:limit]

    def counts(self, user: str | None = None) -> dict[JobState, int]:
        """How many jobs there are in each state that has any."""
        if user is None:
            return dict(self._db.execute("select state, count(*) from jobs group by state"))
        return dict(self._db.execute("select state, count(*) from jobs where user = ? group by state", (user,)))

    def queued(self) -> Iterator[Job]:
        """All that wait for room alone, in the order of their ids; nothing is written before the last was taken."""
        return map(self._job, self._db.execute(QUEUED))

    def running(self) -> list[tuple[Job, Attempt]]:
        """All that run, as far as is recorded, each with its open attempt."""
        open_now = [attempt_of(row) for row in self._db.execute(RUNNING)]
        return [(self.by_id(int(attempt.job)), attempt) for attempt in open_now]

    def attempts(self, job: str) -> list[Attempt]:
        """A job's attempts, the first one first."""
        sql = f"select {ATTEMPT_COLUMNS} from job_attempts where job = ? order by attempt"
        return [attempt_of(row) for row in self._db.execute(sql, (int(job),))]

    def attempt(self, attempt: str) -> Attempt | None:
        """An attempt by its id, `JOB.N`."""
        job, _, number = attempt.partition(".")
        sql = f"select {ATTEMPT_COLUMNS} from job_attempts where job = ? and attempt = ?"
        row = self._db.execute(sql, (int(job), int(number))).fetchone()
        return None if row is None else attempt_of(row)

    def history(self, limit: int = 20_000) -> Iterator[Job]:
        """The newest jobs that succeeded, in the order in which they ended; `runtime` says how long each took."""
        rows = self._db.execute(
            f"select {COLUMNS} from jobs where state = 'succeeded' order by id desc limit ?", (limit,)
        ).fetchall()
        yield from sorted(map(self._job, rows), key=lambda job: job.ended or 0.0)

    def _unknown(self, said: str) -> NotFound:
        newest = self._db.execute("select id, name from jobs order by id desc limit 1000").fetchall()
        if not newest:
            return NotFound(f"there is no job {said!r}; none has been submitted yet")
        names = {name: number for number, name in reversed(newest)}
        near = difflib.get_close_matches(said, names, n=3, cutoff=0.5)
        shown = [f"{name!r} ({names[name]})" for name in near] or [f"{number} ({name})" for number, name in newest[:5]]
        hint = f"Did you mean {' or '.join(shown)}?" if near else f"The newest are {', '.join(shown)}."
        return NotFound(f"there is no job {said!r}. {hint}")
