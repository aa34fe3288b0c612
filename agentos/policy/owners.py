"""Whose things are whose: who made a model, a data set or a job is its owner."""

from __future__ import annotations

import time
from collections.abc import Callable

from agentos.policy.schema import SUBJECTS
from agentos.store import Store
from agentos.syscall import Syscall

_TABLE = """
create table if not exists owners (
    kind text not null, name text not null, user text not null, since real not null, primary key (kind, name)
);
"""


class Owners:
    """What policy asks about a thing's owner; a thing's first maker keeps it until it is deleted."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """Makes the table."""
        self._store = store
        self._clock = clock
        store.connection.executescript(_TABLE)

    def of(self, kind: str, name: str) -> str | None:
        """Who owns a thing (`Model`, `Dataset`, `Job`, `Thing`), or None where nobody knows."""
        row = self._store.connection.execute(
            "select user from owners where kind = ? and name = ?", (kind, name)
        ).fetchone()
        return row[0] if row else None

    def record(self, kind: str, name: str, user: str) -> None:
        """Makes a user the owner of a thing that has none."""
        with self._store.transaction() as db:
            db.execute("insert or ignore into owners values (?, ?, ?, ?)", (kind, name, user, self._clock()))

    def forget(self, kind: str, name: str) -> None:
        """A thing is gone for good: whoever makes the next of that name owns it."""
        with self._store.transaction() as db:
            db.execute("delete from owners where kind = ? and name = ?", (kind, name))

    def made(self, entry: Syscall, result: object, user: str) -> None:
        """Makes the caller the owner of what a finished call made.

        A result also names what a call only used (`models.load`), so it counts where the syscall takes
        no such thing, where it has an `output`, or where the result says that it was `fetched`.
        """
        if entry.effect not in ("write", "execute"):
            return
        takes = {param.name for param in entry.params}
        for field, kind in SUBJECTS.items():
            name = getattr(result, field, None)
            new = field not in takes or "output" in takes or getattr(result, "fetched", False) is True
            if new and field in entry.fields and isinstance(name, str) and name:
                self.record(kind, name, user)
