"""What models were measured to take and how they are used, kept in the database for the next start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentos.store import Store

_TABLE = """
create table if not exists model_memory (
    model text not null, engine text not null, device text not null, context integer not null,
    weights text not null, loaded integer not null, peak integer not null,
    loading integer not null, gpu integer not null,
    primary key (model, engine, device, context)
) without rowid;
create table if not exists model_uses (id integer primary key check (id = 1), uses text not null);
"""


@dataclass(frozen=True)
class Key:
    """What decides how much memory a model takes."""

    model: str
    engine: str
    device: str
    context: int
    weights: str
    """Hash of its files: other files are another model."""


@dataclass(frozen=True)
class Measure:
    """Bytes a model was seen to take."""

    loaded: int
    """Just after loading."""
    peak: int
    """At most, while it was used."""
    loading: int
    """At most, while it was loaded."""
    gpu: int


class Remembered:
    """Measured needs, and uses."""

    def __init__(self, store: Store) -> None:
        """Over the system's database."""
        self._store = store
        store.connection.executescript(_TABLE)

    def get(self, key: Key) -> Measure | None:
        """What was measured, or None."""
        row = self._store.connection.execute(
            "select loaded, peak, loading, gpu from model_memory where model=? and engine=? and device=? and context=? "
            "and weights=?", (key.model, key.engine, key.device, key.context, key.weights),
        ).fetchone()
        return None if row is None else Measure(*row)

    def put(self, key: Key, seen: Measure) -> None:
        """Notes what was measured; a peak that was higher before stands."""
        old = self.get(key)
        peak = max(seen.peak, seen.loaded, old.peak if old else 0)
        if old == Measure(seen.loaded, peak, seen.loading, seen.gpu):
            return
        with self._store.transaction() as connection:
            connection.execute(
                "insert or replace into model_memory values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (key.model, key.engine, key.device, key.context, key.weights, seen.loaded, peak, seen.loading,
                 seen.gpu),
            )

    def keep(self, uses: Mapping[str, Any]) -> None:
        """Notes what is known of how models are used, in the place of what was noted before."""
        text = json.dumps(uses)
        if self._store.connection.execute("select 1 from model_uses where uses = ?", (text,)).fetchone() is not None:
            return
        with self._store.transaction() as connection:
            connection.execute("insert or replace into model_uses values (1, ?)", (text,))

    def uses(self) -> dict[str, Any]:
        """What `keep` noted; nothing where that was never, or cannot be read."""
        row = self._store.connection.execute("select uses from model_uses").fetchone()
        try:
            found = json.loads(row[0]) if row is not None else {}
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
