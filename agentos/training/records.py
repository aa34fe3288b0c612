"""What runs there are and were: a row of the database for each, written before its job is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentos.errors import unknown
from agentos.store import Store
from agentos.types import RunState

_TABLE = """
create table if not exists training_runs (
    number integer primary key, call text not null unique, kind text not null, model text not null, base text not null,
    dataset text not null, method text not null, user text not null, job text not null, state text not null,
    created real not null, ended real, summary text not null
);
create index if not exists training_runs_model on training_runs(model);
"""
_COLUMNS = "number, kind, model, base, dataset, method, user, job, state, created, ended, summary"
OPEN = ("queued", "running")


@dataclass(frozen=True)
class Record:
    """One run."""

    number: int
    kind: str
    model: str
    base: str
    dataset: str
    method: str
    user: str
    job: str
    """Empty until the job is on disk."""
    state: RunState
    created: float
    ended: float | None
    summary: dict[str, Any]
    """What it came to: the worker's result, or `error`."""

    @property
    def run(self) -> str:
        """What people call it."""
        return f"t{self.number}"


class Records:
    """Reads and writes the table of runs."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """Makes the table."""
        self._store = store
        self._clock = clock
        store.connection.executescript(_TABLE)

    def begin(
        self, call: str, kind: str, user: str, *, model: str, base: str = "", dataset: str = "", method: str = ""
    ) -> Record:
        """A new run; the same call never makes two."""
        with self._store.transaction() as db:
            db.execute(
                "insert or ignore into training_runs"
                " (call, kind, model, base, dataset, method, user, job, state, created, summary)"
                " values (?, ?, ?, ?, ?, ?, ?, '', 'queued', ?, '{}')",
                (call, kind, model, base, dataset, method, user, self._clock()),
            )
        found = self.of_call(call)
        assert found is not None
        return found

    def submitted(self, run: str, job: str) -> None:
        """The run's job is on disk."""
        self._set(run, "job = ?", job)

    def state(self, run: str, state: RunState) -> None:
        """The run is in another state."""
        self._set(run, "state = ?", state)

    def end(self, run: str, state: RunState, summary: dict[str, Any]) -> None:
        """The run has ended."""
        text = json.dumps(summary, ensure_ascii=False)
        self._set(run, "state = ?, ended = ?, summary = ?", state, self._clock(), text)

    def get(self, run: str) -> Record:
        """A run.

        Raises:
            NotFound: there is none of that name.
        """
        number = run.removeprefix("t")
        found = self._find("number = ?", int(number)) if number.isdecimal() and len(number) <= 18 else []
        if not found:
            raise unknown("run", run, [record.run for record in self._find("1 order by number desc limit 20")])
        return found[0]

    def of_call(self, call: str) -> Record | None:
        """The run that a call began, if it did."""
        return next(iter(self._find("call = ?", call)), None)

    def open(self) -> list[Record]:
        """Runs that have not ended."""
        return self._find("state in ('queued', 'running') order by number")

    def of_model(self, model: str) -> list[Record]:
        """Runs that made a model or measured it, newest first."""
        return self._find("model = ? or base = ? order by number desc", model, model)

    def all(self, model: str | None, limit: int) -> tuple[list[Record], int]:
        """The newest runs, of one model or all, and how many there are."""
        where, given = ("model = ? or base = ?", (model, model)) if model else ("1", ())
        counted = f"select count(*) from training_runs where {where}"
        (total,) = self._store.connection.execute(counted, given).fetchone()
        return self._find(f"{where} order by number desc limit {limit}", *given), int(total)

    def making(self, model: str) -> Record | None:
        """The run that is making a model now."""
        found = self._find("model = ? and kind != 'evaluate' and state in ('queued', 'running')", model)
        return found[0] if found else None

    def _set(self, run: str, change: str, *values: object) -> None:
        with self._store.transaction() as db:
            db.execute(f"update training_runs set {change} where number = ?", (*values, int(run.removeprefix("t"))))

    def _find(self, where: str, *given: object) -> list[Record]:
        rows = self._store.connection.execute(f"select {_COLUMNS} from training_runs where {where}", given)
        return [Record(*(*row[:-1], json.loads(row[-1]))) for row in rows]


