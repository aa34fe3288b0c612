"""The record of every decision and call: append-only, chained, signed, on disk before the effect can be seen.

Each row's hash covers the row and the hash before it, and signed heads outside of the database say what the newest
row was (heads.py; covering.py says when), so that what was changed, put in, taken out, cut off or put back is found.
What calls gave back is kept beside the chain, which holds only its hash.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from agentos.errors import Failed, NotFound
from agentos.policy import exporting, verifying
from agentos.policy.audited import audited_args, from_outside, named_args
from agentos.policy.covering import Cover
from agentos.policy.headfile import Heads
from agentos.policy.heads import FOLDER, Head, own_key
from agentos.policy.since import moment
from agentos.policy.trail import COLUMNS, TABLES, compact, row_hash
from agentos.policy.verifying import Verified
from agentos.registry import Registry
from agentos.sealing import Sealer
from agentos.store import Store
from agentos.syscall import Syscall
from agentos.types import Allowed, Approval, AuditRow, AuditRows, Call, Caller, Decision, Json, NeedsPerson

Outcome = Literal["done", "failed", "refused", "interrupted", "confirmed", "cancelled"]
SHOWN = 50
"""Most rows one search gives."""


@dataclass(frozen=True)
class Recorded:
    """What became of a call."""

    row: int
    outcome: str
    """`pending` (it may be running now), `done`, `failed`, `cancelled`, `interrupted`."""
    detail: Json = None
    """What it gave back, or its error."""


class Audit:
    """Writes and reads the trail."""

    def __init__(self, store: Store, registry: Registry, clock: Callable[[], float] = time.time) -> None:
        """Makes the tables; `recover` is called once, at boot."""
        self._store = store
        self._registry = registry
        self._clock = clock
        store.connection.executescript(TABLES)
        self._folder = store.path.parent / FOLDER
        self._sealer = Sealer(store.path.parent, "results")
        self._cover = Cover(Heads(self._folder, clock), store.connection, sync=store.sync)

    def decided(
        self, call: Call, decision: Decision, approval: Approval | None = None, *, awaited: bool = False,
        named: bool = False,
    ) -> int:
        """Records a decision; when it returns, the row is on disk and the effect may begin.

        Unless it lets a read through, a signed head covers it, too. A call that is held again keeps the row it has; the
        next decision on it closes that row. A call that is let through and `awaited` has no effect but its answer, of
        which nothing is let out before `lasting` has returned: its row need not be on disk before that. The arguments
        of what is `named` (administration, which is no syscall) say what it is on, and are kept as names.

        Raises:
            Failed: the disk refuses, or somebody else changed the trail; the call must not run.
        """
        word, entry = ruling(decision), entry_of(self._registry, call.syscall)
        awaited = awaited and word == "allow"
        with self._writing(lasting=not awaited) as db:
            held = self._held(db, call.id)
            if held and word == "confirm":
                return held
            if held:
                self._finish(db, held, "confirmed" if word == "allow" else "refused", None)
            caller = call.caller
            row = self._append(
                db, call=call.id, user=caller.user, role=caller.role, session=caller.session, door=caller.door,
                syscall=call.syscall, decision=word, rule=decision.rule,
                arguments=compact(
                    named_args(call.args, exact=word == "allow") if named
                    else audited_args(entry, call.args) | from_outside(call)
                ),
                approval=approval.id if approval else "", approved_by=approval.by if approval else "",
                outcome="refused" if word == "deny" else "pending",
            )
        if awaited:
            return row
        try:
            self._cover.after(must=word != "allow" or entry is None or entry.effect != "read")
        except Failed:
            if word == "allow":
                with suppress(Failed), self._writing() as db:
                    self._finish(db, row, "failed", "it was not run, as no signed head could be written")
            raise
        return row

    async def lasting(self, row: int) -> None:
        """Returns once a row is on disk and a signed head covers it.

        Raises:
            Failed: the disk refuses; nothing that the call gives may be let out.
        """
        await self._cover.covered(row)

    def finished(self, row: int, outcome: Outcome, detail: Json = None, *, lasting: bool = True) -> None:
        """Records what became of an allowed call, and what it gave back; a row is finished once.

        Args:
            row: Of the decision.
            outcome: What became of it.
            detail: What it gave back, or its error.
            lasting: Whether it is on disk when this returns; else it is with the next row that is, within a second.

        Raises:
            Failed: the row is unknown or finished already, or the disk refuses.
        """
        with self._writing(lasting=lasting) as db:
            self._finish(db, row, outcome, detail)
        self._cover.quietly_after()

    def refused(self, call: str, by: str) -> None:
        """Records that a person said no to a held call; the next decision on it would be another one."""
        with self._writing() as db:
            held = self._held(db, call)
            if held:
                self._finish(db, held, "refused", f"refused by {by}")
        self._cover.quietly_after()

    def recover(self) -> int:
        """At boot: calls that were let through and never finished become `interrupted`; how many there were.

        Raises:
            Failed: the trail's key or heads are missing, another's or readable by others.
        """
        with self._writing() as db:
            open_rows = db.execute(
                "select id from audit a where of = 0 and decision = 'allow'"
                " and not exists (select 1 from audit f where f.of = a.id and f.of != 0) order by id"
            ).fetchall()
            for (row,) in open_rows:
                self._finish(db, row, "interrupted", None)
        self.sign()
        return len(open_rows)

    def outcome_of(self, call: str) -> Recorded | None:
        """What became of a call that was let through, so that it never has its effect twice; None where it was not."""
        row = self._store.connection.execute(
            "select d.id, coalesce(r.outcome, 'pending'), r.detail from audit d left join results r on r.row = d.id"
            " where d.call = ? and d.of = 0 and d.decision = 'allow' order by d.id desc limit 1",
            (call,),
        ).fetchone()
        if row is None:
            return None
        return Recorded(row[0], row[1], json.loads(self._sealer.plain(row[2], call)) if row[2] else None)

    def search(
        self, *, user: str | None, syscall: str | None, decision: str | None, since: str | None, caller: Caller,
        limit: int = SHOWN,
    ) -> AuditRows:
        """Rows that match, newest first; who is no administrator sees only their own.

        Raises:
            UserError: `since` is not a time.
        """
        start = moment(since, self._clock()) if since else None
        own = None if caller.role == "admin" else caller.user
        wanted = {"user": user, "own": own, "syscall": syscall, "decision": decision, "start": start, "limit": limit}
        where = (
            "d.of = 0 and (:user is null or d.user = :user) and (:own is null or d.user = :own)"
            " and (:syscall is null or d.syscall = :syscall or d.syscall like :syscall || '.%')"
            " and (:decision is null or d.decision = :decision) and (:start is null or d.time >= :start)"
        )
        found = self._store.connection.execute(
            "select d.id, d.time, d.user, d.syscall, d.decision, d.rule, coalesce(f.outcome, d.outcome), d.call,"
            f" d.door, d.arguments from audit d left join audit f on f.of = d.id and f.of != 0 where {where}"
            f" order by d.id desc limit :limit",
            wanted,
        )
        rows = [AuditRow(*(*row[:-1], json.loads(row[-1]))) for row in found]
        (total,) = self._store.connection.execute(f"select count(*) from audit d where {where}", wanted).fetchone()
        return AuditRows(rows, total)

    def sign(self) -> Head | None:
        """A signed head that covers the newest row; None where there are no rows.

        Raises:
            Failed: it could not be put on disk.
        """
        return self._cover.sign()

    def verify(self) -> Verified:
        """Reads the whole trail and its heads, and names the first row that is not what was written."""
        self.sign()
        return verifying.verify(self._store.connection, self._folder, own_key(self._folder))

    def export(self, user: str | None, since: str | None) -> Iterator[str]:
        """The trail as lines of JSON with a signed head at the end, some lines at once; see exporting.py.

        Raises:
            UserError: `since` is not a time.
            Failed: no head could be signed.
        """
        start = moment(since, self._clock()) if since else None
        head, key = self.sign(), own_key(self._folder)
        assert key is not None
        return exporting.lines(self._store.path, head, key, user, start)

    async def close(self) -> None:
        """Signs what no head covers yet."""
        await self._cover.ended()
        self._cover.quietly()

    @contextmanager
    def _writing(self, *, lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction; what is remembered of the newest row goes back with it where it fails."""
        before = self._cover.written
        try:
            with self._store.transaction(lasting) as db:
                yield db
            self._cover.loose |= not lasting
        except BaseException:
            self._cover.back(before)
            raise

    def _held(self, db: sqlite3.Connection, call: str) -> int:
        """The row by which a call is held, or 0."""
        row = db.execute(
            "select id from audit a where call = ? and of = 0 and decision = 'confirm'"
            " and not exists (select 1 from audit f where f.of = a.id and f.of != 0)",
            (call,),
        ).fetchone()
        return int(row[0]) if row else 0

    def _finish(self, db: sqlite3.Connection, row: int, outcome: Outcome, detail: Json) -> None:
        opened = db.execute("select call, decision from audit where id = ? and of = 0", (row,)).fetchone()
        if opened is None or db.execute("select 1 from audit where of = ? and of != 0", (row,)).fetchone():
            raise Failed(f"audit row {row} is unknown or finished already; nothing was recorded")
        call, decision = opened
        text = compact(detail)
        digest = "" if detail is None else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        self._append(db, call=call, of=row, outcome=outcome, detail=digest)
        if decision == "allow":
            kept = self._sealer.text(text, call) if text else text
            db.execute("insert or replace into results values (?, ?, ?, ?)", (call, row, outcome, kept))

    def _append(self, db: sqlite3.Connection, **values: str | int) -> int:
        last = self._cover.check()
        row = {"id": last.row + 1, "time": float(self._clock()), "of": 0, "previous": last.hash, **values}
        plain = [row.get(name, "") for name in COLUMNS]
        marks, hash = ", ".join("?" * (len(plain) + 1)), row_hash(plain)
        db.execute(f"insert into audit ({', '.join(COLUMNS)}, hash) values ({marks})", [*plain, hash])
        self._cover.append(last.row + 1, hash)
        return last.row + 1


def entry_of(registry: Registry, name: str) -> Syscall | None:
    """The table's entry, or None where there is none of that name."""
    try:
        return registry[name]
    except NotFound:
        return None


def ruling(decision: Decision) -> str:
    """A decision as one word: `allow`, `confirm` or `deny`."""
    if isinstance(decision, Allowed):
        return "allow"
    return "confirm" if isinstance(decision, NeedsPerson) else "deny"
