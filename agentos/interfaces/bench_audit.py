"""`agentos bench --only audit`: a durable row beside a bare insert, seconds to verify, tampering that is found."""

from __future__ import annotations

import random
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from agentos.policy.audit import Audit
from agentos.policy.headfile import Heads
from agentos.policy.heads import FOLDER, Mark, own_key
from agentos.policy.trail import COLUMNS, SELECT, TABLES, row_hash
from agentos.policy.verifying import verify, verify_home
from agentos.registry import installed
from agentos.store import Store
from agentos.types import Allowed, Call, Caller

ROUNDS = 5
APPENDS = 1000
"""Rows of a round, of each kind."""
ROWS = 1_000_000
TAMPERINGS = 10_000
TRAIL = 2000
"""Rows of the trail that is tampered with."""
EVERY = 4
"""Rows for each head in a trail that is built: a call that is signed, its outcome, and two of a read."""
KINDS = ("edit", "delete", "insert", "swap", "cut", "forge")


def measure(
    appends: int = APPENDS, rows: int = ROWS, tamperings: int = TAMPERINGS, trail: int = TRAIL
) -> dict[str, Any]:
    """All figures of the part, in milliseconds and seconds as their names say."""
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as folder:
        return {
            **_appends(Path(folder) / "append", appends), "verify": _speed(Path(folder) / "many", rows),
            "tampering": _tampering(Path(folder) / "few", trail, tamperings),
        }


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The part's lines of the table."""
    bare, checked, found = figures["bare"], figures["verify"], figures["tampering"]
    lines = [
        (f"audit row before {what}, median", f"{figures[kind]['median_ms']} ms",
         f"p99 {figures[kind]['p99_ms']} ms; a bare insert + commit: {bare['median_ms']} ms, p99 {bare['p99_ms']} ms")
        for kind, what in (("signed", "an effect, with its signed head"), ("read", "a read"))
    ]
    return [
        *lines,
        ("audit trail verified", f"{checked['seconds']} s", f"{checked['rows']} rows, {checked['heads']} heads"),
        ("tampering found", f"{found['found']} of {found['made']}", f"{found['rows']} rows; at the right row: "
         f"{found['named']}"),
    ]


def tamper(db: sqlite3.Connection, kind: str, dice: random.Random) -> int:
    """Changes a trail as someone would who has the database alone, and gives the first row that is not as it was.

    Where every hash after an edit is made to fit (`forge`), only the next head tells, and names the first row after the
    head before it.
    """
    (count,) = db.execute("select count(*) from audit").fetchone()
    row = dice.randint(1, count)
    if kind == "edit":
        column = dice.choice([*COLUMNS[1:], "hash"])
        (was,) = db.execute(f"select {column} from audit where id = ?", (row,)).fetchone()
        db.execute(f"update audit set {column} = ? where id = ?", (_other(was, dice), row))
    elif kind == "delete":
        db.execute("delete from audit where id = ?", (row,))
    elif kind == "insert":
        _shift(db, row, 1)
        _copy(db, row + 1, row)
    elif kind == "swap":
        row, other = sorted(dice.sample(range(1, count + 1), 2))
        db.execute("update audit set id = -1 where id = ?", (row,))
        db.execute("update audit set id = ? where id = ?", (row, other))
        db.execute("update audit set id = ? where id = -1", (other,))
    elif kind == "cut":
        db.execute("delete from audit where id >= ?", (row,))
    else:  # an edit with every hash after it made to fit
        previous = (db.execute("select hash from audit where id = ?", (row - 1,)).fetchone() or ("",))[0]
        db.execute("update audit set user = user || 'x' where id = ?", (row,))
        for *values, _ in db.execute(f"{SELECT} where id >= ? order by id", (row,)).fetchall():
            fitting = [*values[:-1], previous]
            previous = row_hash(fitting)
            db.execute("update audit set previous = ?, hash = ? where id = ?", (fitting[-1], previous, values[0]))
    return row


def _other(was: Any, dice: random.Random) -> Any:
    if isinstance(was, str):
        at = dice.randint(0, len(was))
        return dice.choice([was + dice.choice("x \0é"), was[:at] + "y" + was[at:], was.encode() or b"\0"])
    return was + dice.choice([1, -1, 3])


def _shift(db: sqlite3.Connection, row: int, by: int) -> None:
    db.execute("update audit set id = -id where id >= ?", (row,))
    db.execute("update audit set id = -id + ? where id < 0", (by,))


def _copy(db: sqlite3.Connection, source: int, row: int) -> None:
    rest = ", ".join(name for name in (*COLUMNS[1:], "hash") if name not in ("of", "user"))
    copy = f"insert into audit (id, of, user, {rest}) select ?, 0, 'mallory', {rest} from audit where id = ?"
    db.execute(copy, (row, source))


def unlocked(db: sqlite3.Connection) -> None:
    """Takes away what refuses changes, as who tampers would."""
    for name in ("trigger audit_no_update", "trigger audit_no_delete", "index audit_of"):
        db.execute(f"drop {name.replace(' ', ' if exists ')}")


def build(home: Path, count: int) -> Path:
    """A trail of calls and their outcomes with a head at each fourth row, made at once; its database."""
    home.mkdir(mode=0o700)
    database = home / "agentos.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.executescript("pragma journal_mode=wal;" + TABLES)
        heads = Heads(home / FOLDER)
        heads.open(Mark(0, ""))
        db.execute("begin")
        previous = ""
        for row in range(1, count + 1):
            plain = _values(row, previous)
            previous = row_hash(plain)
            db.execute(f"insert into audit values ({', '.join('?' * 18)})", [*plain, previous])
            if row % EVERY == 0 or row == count:
                heads.write(row, previous)
        mark = heads.mark
        db.execute("insert or replace into audit_head values (1, ?, ?)", (mark.number, mark.digest))
        db.execute("commit")
    return database


def _values(row: int, previous: str) -> list[Any]:
    at, call = 1_780_000_000 + row * 0.37, f"r{row // 2:08d}.s1"
    if row % 2 == 0:
        return [row, at, call, row - 1, *[""] * 10, "done", "ab" * 32, previous]
    said = f'{{"engine":"auto","model":"model-{row % 97}"}}'
    return [row, at, call, 0, f"user{row % 23}", "operator", "terminal-4711", "cli", "models.load", "allow",
            "operator-works", said, "", "", "pending", "", previous]


def _appends(home: Path, count: int) -> dict[str, Any]:
    """A row before an effect, one before a read, and a bare one of the same size, taking turns."""
    store, plain = Store(home / "agentos.db"), Store(home / "bare.db")
    audit = Audit(store, installed())
    plain.connection.execute("create table bare (id integer primary key, said text not null)")
    times: dict[str, list[list[float]]] = {"signed": [], "read": [], "bare": []}
    caller, yes = Caller("oscar", "operator", "terminal-4711", "cli"), Allowed("operator-works")
    for turn in range(ROUNDS):
        for spent in times.values():
            spent.append([])
        for at in range(count):
            name = f"r{turn}-{at}.s1"
            for kind, call in (
                ("signed", Call(name, "models.load", {"model": "smollm2-135m"}, caller)),
                ("read", Call(f"{name}r", "models.show", {"model": "smollm2-135m"}, caller)),
            ):
                begun = time.perf_counter()
                row = audit.decided(call, yes)
                times[kind][-1].append(time.perf_counter() - begun)
            written = store.connection.execute("select * from audit where id = ?", (row,)).fetchone()
            size = sum(len(str(one)) for one in written)
            begun = time.perf_counter()
            with plain.transaction() as db:
                db.execute("insert into bare (said) values (?)", ("x" * size,))
            times["bare"][-1].append(time.perf_counter() - begun)
    store.close()
    plain.close()
    return {kind: _spread(spent) for kind, spent in times.items()}


def _spread(rounds: list[list[float]]) -> dict[str, float]:
    """The median round's median and 99th percentile."""
    def of(share: float) -> float:
        return statistics.median(sorted(one)[min(len(one) - 1, int(share * len(one)))] for one in rounds)

    return {"median_ms": round(1000 * of(0.5), 3), "p99_ms": round(1000 * of(0.99), 3)}


def _speed(home: Path, count: int) -> dict[str, Any]:
    database = build(home, count)
    begun = time.perf_counter()
    found = verify_home(database)
    assert found.ok, found.reason
    return {"rows": found.rows, "heads": found.heads, "seconds": round(time.perf_counter() - begun, 2)}


def _tampering(home: Path, count: int, made: int) -> dict[str, Any]:
    database, dice = build(home, count), random.Random(7)
    found = named = 0
    folder = home / FOLDER
    key = own_key(folder)
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        unlocked(db)
        for at in range(made):
            db.execute("begin")
            kind = KINDS[at % len(KINDS)]
            row = tamper(db, kind, dice)
            said = verify(db, folder, key)
            found += not said.ok
            first = said.first_bad or 0
            named += row - EVERY < first <= row if kind == "forge" else first == row
            db.execute("rollback")
    return {"rows": count, "made": made, "found": found, "named": named}
