"""The record of every decision and call: append-only, chained, on disk before the effect can be seen.

Each row's hash covers the row and the hash before it, so that a row that was changed, inserted or
taken out of the middle is found. What calls gave back is kept beside the chain, which holds only its hash.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from agentos.errors import Failed, NotFound
from agentos.policy.since import moment
from agentos.registry import Registry
from agentos.store import Store
from agentos.syscall import Syscall
from agentos.types import Allowed, Approval, AuditRow, AuditRows, Call, Caller, Decision, Json, NeedsPerson

Outcome = Literal["done", "failed", "refused", "interrupted", "confirmed", "cancelled"]
SHOWN = 50
"""Most rows one search gives."""
_LONGEST = 200
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_COLUMNS = (
    "id", "time", "call", "of", "user", "role", "session", "door", "syscall", "decision", "rule", "arguments",
    "approval", "approved_by", "outcome", "detail", "previous",
)
_TYPES = {"id": "integer primary key", "of": "integer not null", "time": "real not null"}
_TABLES = f"""
create table if not exists audit (
    {", ".join(f"{name} {_TYPES.get(name, 'text not null')}" for name in (*_COLUMNS, "hash"))}
);
create index if not exists audit_call on audit(call);
create unique index if not exists audit_of on audit(of) where of != 0;
create trigger if not exists audit_no_update before update on audit
    begin select raise(abort, 'the audit trail is append-only'); end;
create trigger if not exists audit_no_delete before delete on audit
    begin select raise(abort, 'the audit trail is append-only'); end;
create table if not exists results (
    call text primary key, row integer not null, outcome text not null, detail text not null
);
"""


@dataclass(frozen=True)
class Recorded:
    """What became of a call."""

    row: int
    outcome: str
    """`pending` (it may be running now), `done`, `failed`, `cancelled`, `interrupted`."""
    detail: Json = None
    """What it gave back, or its error."""


@dataclass(frozen=True)
class Verified:
    """Whether the trail is what was written."""

    ok: bool
    rows: int
    """Rows that were checked and are right."""
    first_bad: int | None = None
    reason: str = ""


class Audit:
    """Writes and reads the trail."""

    def __init__(self, store: Store, registry: Registry, clock: Callable[[], float] = time.time) -> None:
        """Makes the tables; `recover` is called once, at boot."""
        self._store = store
        self._registry = registry
        self._clock = clock
        store.connection.executescript(_TABLES)

    def decided(self, call: Call, decision: Decision, approval: Approval | None = None) -> int:
        """Records a decision; when it returns, the row is on disk and the effect may begin.

        A call that is held again keeps the row it has; the next decision on it closes that row.

        Raises:
            Failed: the disk refuses; the call must not run.
        """
        word = ruling(decision)
        with self._store.transaction() as db:
            held = self._held(db, call.id)
            if held and word == "confirm":
                return held
            if held:
                self._finish(db, held, "confirmed" if word == "allow" else "refused", None)
            entry = entry_of(self._registry, call.syscall)
            caller = call.caller
            return self._append(
                db, call=call.id, user=caller.user, role=caller.role, session=caller.session, door=caller.door,
                syscall=call.syscall, decision=word, rule=decision.rule,
                arguments=_json(audited_args(entry, call.args)),
                approval=approval.id if approval else "", approved_by=approval.by if approval else "",
                outcome="refused" if word == "deny" else "pending",
            )

    def finished(self, row: int, outcome: Outcome, detail: Json = None) -> None:
        """Records what became of an allowed call, and what it gave back; a row is finished once.

        Raises:
            Failed: the row is unknown or finished already, or the disk refuses.
        """
        with self._store.transaction() as db:
            self._finish(db, row, outcome, detail)

    def refused(self, call: str, by: str) -> None:
        """Records that a person said no to a held call; the next decision on it would be another one."""
        with self._store.transaction() as db:
            held = self._held(db, call)
            if held:
                self._finish(db, held, "refused", f"refused by {by}")

    def recover(self) -> int:
        """At boot: calls that were let through and never finished become `interrupted`; how many there were."""
        with self._store.transaction() as db:
            open_rows = db.execute(
                "select id from audit a where of = 0 and decision = 'allow'"
                " and not exists (select 1 from audit f where f.of = a.id and f.of != 0) order by id"
            ).fetchall()
            for (row,) in open_rows:
                self._finish(db, row, "interrupted", None)
        return len(open_rows)

    def outcome_of(self, call: str) -> Recorded | None:
        """What became of a call that was let through, so that it never has its effect twice; None where it was not."""
        row = self._store.connection.execute(
            "select d.id, coalesce(r.outcome, 'pending'), r.detail from audit d left join results r on r.row = d.id"
            " where d.call = ? and d.of = 0 and d.decision = 'allow' order by d.id desc limit 1",
            (call,),
        ).fetchone()
        return Recorded(row[0], row[1], json.loads(row[2]) if row[2] else None) if row else None

    def search(
        self, *, user: str | None, syscall: str | None, decision: str | None, since: str | None, caller: Caller
    ) -> AuditRows:
        """Rows that match, newest first; who is no administrator sees only their own.

        Raises:
            UserError: `since` is not a time.
        """
        start = moment(since, self._clock()) if since else None
        own = None if caller.role == "admin" else caller.user
        wanted = {"user": user, "own": own, "syscall": syscall, "decision": decision, "start": start}
        where = (
            "d.of = 0 and (:user is null or d.user = :user) and (:own is null or d.user = :own)"
            " and (:syscall is null or d.syscall = :syscall or d.syscall like :syscall || '.%')"
            " and (:decision is null or d.decision = :decision) and (:start is null or d.time >= :start)"
        )
        found = self._store.connection.execute(
            "select d.id, d.time, d.user, d.syscall, d.decision, d.rule, coalesce(f.outcome, d.outcome), d.call,"
            f" d.door, d.arguments from audit d left join audit f on f.of = d.id and f.of != 0 where {where}"
            f" order by d.id desc limit {SHOWN}",
            wanted,
        )
        rows = [AuditRow(*(*row[:-1], json.loads(row[-1]))) for row in found]
        (total,) = self._store.connection.execute(f"select count(*) from audit d where {where}", wanted).fetchone()
        return AuditRows(rows, total)

    def verify(self) -> Verified:
        """Reads the whole trail and names the first row that is not what was written.

        Rows cut off the end leave a shorter trail that is right in itself; only a signed head can tell.
        """
        previous, expected = "", 0
        query = f"select {', '.join(_COLUMNS)}, hash from audit order by id"
        for values in self._store.connection.execute(query):
            *plain, said = values
            expected += 1
            if plain[0] != expected:
                return Verified(False, expected - 1, expected, "a row is missing")
            if plain[-1] != previous:
                return Verified(False, expected - 1, expected, "it does not follow from the row before it")
            if _hash(plain) != said:
                return Verified(False, expected - 1, expected, "it was changed after it was written")
            previous = said
        return Verified(True, expected)

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
        text = _json(detail)
        digest = "" if detail is None else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        self._append(db, call=call, of=row, outcome=outcome, detail=digest)
        if decision == "allow":
            db.execute("insert or replace into results values (?, ?, ?, ?)", (call, row, outcome, text))

    def _append(self, db: sqlite3.Connection, **values: str | int) -> int:
        last = db.execute("select id, hash from audit order by id desc limit 1").fetchone() or (0, "")
        row = {"id": last[0] + 1, "time": float(self._clock()), "of": 0, "previous": last[1], **values}
        plain = [row.get(name, "") for name in _COLUMNS]
        marks = ", ".join("?" * (len(plain) + 1))
        db.execute(f"insert into audit ({', '.join(_COLUMNS)}, hash) values ({marks})", [*plain, _hash(plain)])
        return int(last[0]) + 1


def entry_of(registry: Registry, name: str) -> Syscall | None:
    """The table's entry, or None where there is none of that name."""
    try:
        return registry[name]
    except NotFound:
        return None


def audited_args(entry: Syscall | None, args: Mapping[str, Json]) -> dict[str, Json]:
    """Arguments as the trail keeps them: private text by length and hash, and so is what no signature names."""
    kinds = {param.name: param.kind for param in entry.params} if entry else {}
    return {
        name: _hidden(value) if kinds.get(name, "private") == "private" else _plain(value)
        for name, value in args.items()
        if value is not None
    }


def _plain(value: Json) -> Json:
    if isinstance(value, str):
        said = _CREDENTIALS.sub("***", value)
        return said if len(said) <= _LONGEST else said[:_LONGEST] + f"… ({len(said)} characters)"
    if isinstance(value, list):
        return [_plain(item) for item in value[:SHOWN]]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _hidden(value: Json) -> Json:
    text = value if isinstance(value, str) else _json(value)
    return {"length": len(text), "sha256": hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]}


def ruling(decision: Decision) -> str:
    """A decision as one word: `allow`, `confirm` or `deny`."""
    if isinstance(decision, Allowed):
        return "allow"
    return "confirm" if isinstance(decision, NeedsPerson) else "deny"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def _hash(values: list[object]) -> str:
    return hashlib.sha256(_json(values).encode()).hexdigest()
