"""The audit trail's rows: their columns, tables, and what a row's hash is of."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence

COLUMNS = (
    "id", "time", "call", "of", "user", "role", "session", "door", "syscall", "decision", "rule", "arguments",
    "approval", "approved_by", "outcome", "detail", "previous",
)
"""What a row's hash covers, in this order; rows that are written already hold it, so it never changes."""
_TYPES = {"id": "integer primary key", "of": "integer not null", "time": "real not null"}
TABLES = f"""
create table if not exists audit (
    {", ".join(f"{name} {_TYPES.get(name, 'text not null')}" for name in (*COLUMNS, "hash"))}
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
create table if not exists audit_head (
    only integer primary key check (only = 1), number integer not null, digest text not null
);
"""
SELECT = f"select {', '.join(COLUMNS)}, hash from audit"
_BEFORE = 2**63
_QUICK = f"select id, time, json_array({', '.join(COLUMNS[2:-1])}), previous, hash from audit order by id"


def compact(value: object) -> str:
    """JSON in the one form that is hashed and signed."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def row_hash(values: Sequence[object]) -> str:
    """SHA-256 (hex) of the values of `COLUMNS` as compact JSON."""
    return hashlib.sha256(compact(list(values)).encode()).hexdigest()


def read(db: sqlite3.Connection) -> Iterator[tuple[int, str, str, bool]]:
    """Every row in order: its number, the hash before it, its own, and whether that is the row's.

    SQLite writes the JSON, which takes half the time; where that gives another hash (it leaves what is not ASCII
    as it is), the row is read again and hashed as it was when it was written.

    Raises:
        sqlite3.Error: the next row cannot be read.
    """
    digest, last = hashlib.sha256, -_BEFORE
    try:
        for at, time, rest, previous, said in db.execute(_QUICK):
            last, quick = at, f'[{at},{time!r},{rest[1:-1]},"{previous}"]'
            yield at, previous, said, digest(quick.encode("utf-8", "replace")).hexdigest() == said or _again(db, at)
    except sqlite3.Error:  # of this row or the next, which is read ahead
        one = "select id, previous, hash from audit where id > ? order by id limit 1"
        while row := db.execute(one, (last,)).fetchone():
            last = row[0]
            yield *row, _again(db, last)


def _again(db: sqlite3.Connection, at: object) -> bool:
    *values, said = db.execute(f"{SELECT} where id = ?", (at,)).fetchone()
    try:
        return bool(row_hash(values) == said)
    except TypeError:  # bytes, where there was a text
        return False
