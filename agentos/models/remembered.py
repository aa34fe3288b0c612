"""What models were measured to take, kept in the database for the next estimate."""

from __future__ import annotations

from dataclasses import dataclass

from agentos.store import Store

_TABLE = """
create table if not exists model_needs (
    model text not null, engine text not null, device text not null, context integer not null,
    weights text not null, loaded integer not null, peak integer not null, gpu integer not null,
    primary key (model, engine, device, context)
) without rowid
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
    gpu: int


class Remembered:
    """Measured needs."""

    def __init__(self, store: Store) -> None:
        """Over the system's database."""
        self._store = store
        store.connection.execute(_TABLE)

    def get(self, key: Key) -> Measure | None:
        """What was measured, or None."""
        row = self._store.connection.execute(
            "select loaded, peak, gpu from model_needs where model=? and engine=? and device=? and context=? "
            "and weights=?", (key.model, key.engine, key.device, key.context, key.weights),
        ).fetchone()
        return None if row is None else Measure(*row)

    def put(self, key: Key, seen: Measure) -> None:
        """Notes what was measured; a peak that was higher before stands."""
        old = self.get(key)
        peak = max(seen.peak, seen.loaded, old.peak if old else 0)
        if old == Measure(seen.loaded, peak, seen.gpu):
            return
        with self._store.transaction() as connection:
            connection.execute(
                "insert or replace into model_needs values (?, ?, ?, ?, ?, ?, ?, ?)",
                (key.model, key.engine, key.device, key.context, key.weights, seen.loaded, peak, seen.gpu),
            )
