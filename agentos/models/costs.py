"""What remote models cost: a row for each call, in US dollars by the provider's price."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from agentos.errors import Failed
from agentos.store import Store
from agentos.types import Completed, Predicted

_TABLE = """
create table if not exists remote_calls (
    id integer primary key, at real not null, user text not null, model text not null, served_by text not null,
    prompt_tokens integer not null, tokens integer not null, counted integer not null, cost real
);
create index if not exists remote_calls_at on remote_calls (at);
"""


@dataclass(frozen=True)
class Spent:
    """What calls took together."""

    calls: int
    prompt_tokens: int
    tokens: int
    cost: float
    """US dollars, of the calls that have a price."""
    unpriced: int
    """Calls of models for which nobody knows a price."""


class Costs:
    """The calls of remote models in the system's database."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """Makes the table. `clock` gives seconds since 1970."""
        self._store = store
        self._clock = clock
        store.connection.executescript(_TABLE)

    def record(self, user: str, model: str, made: Completed | Predicted) -> None:
        """Notes a call that was answered; it is on disk with the next row that waits for the disk.

        Raises:
            Failed: the database could not be written; the call is not noted, and was answered all the same.
        """
        cost = made.cost
        if cost is not None and not (math.isfinite(cost) and cost >= 0):
            cost = None  # an amount that is none would spoil every sum it is part of
        took = (model, made.tokens, 0, False)
        if isinstance(made, Completed):
            took = (made.served_by or model, made.prompt_tokens, made.tokens, made.counted)
        row = (self._clock(), user, model, *took, cost)
        try:
            with self._store.transaction(lasting=False) as db:
                db.execute(
                    "insert into remote_calls (at, user, model, served_by, prompt_tokens, tokens, counted, cost) "
                    "values (?, ?, ?, ?, ?, ?, ?, ?)", row,
                )
        except (sqlite3.Error, Failed) as error:
            raise Failed(f"a call of {model!r} was answered and its cost could not be noted ({error})") from error

    def total(self, *, model: str | None = None, user: str | None = None, since: float | None = None) -> Spent:
        """What calls took together, of all or of those.

        Args:
            model: Only what this model was asked, whoever answered.
            user: Only what this person asked.
            since: Only from then on, in seconds since 1970.
        """
        asked = [("model = ?", model), ("user = ?", user), ("at >= ?", since)]
        chosen = [(clause, value) for clause, value in asked if value is not None]
        where = " and ".join(clause for clause, _ in chosen) or "true"
        calls, prompt, tokens, cost, priced = self._store.connection.execute(
            "select count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(tokens), 0), total(cost), count(cost) "
            f"from remote_calls where {where}", [value for _, value in chosen],
        ).fetchone()
        return Spent(calls, prompt, tokens, cost, calls - priced)
