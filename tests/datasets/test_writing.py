"""A content's hash is of its rows, however they are packed."""

from __future__ import annotations

import datetime
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from agentos.datasets.writing import Content, read


def made(rng: random.Random) -> dict[str, list[Any]]:
    def some(value: Any) -> Any:
        return None if rng.random() < 0.2 else value

    count = rng.randrange(1, 400)
    return {
        "text": [some("字a" * rng.randrange(5)) for _ in range(count)],
        "raw": [some(bytes(rng.randrange(9))) for _ in range(count)],
        "n": [some(rng.randrange(-9, 9)) for _ in range(count)],
        "x": [some(rng.random()) for _ in range(count)],
        "yes": [some(rng.random() < 0.5) for _ in range(count)],
        "day": [some(datetime.date(2024, 1, rng.randrange(1, 28))) for _ in range(count)],
        "at": [some(datetime.datetime(2024, 1, 1, rng.randrange(24))) for _ in range(count)],
        "said": [
            some([{"role": "user", "content": some("hi" * rng.randrange(3))}] * rng.randrange(3)) for _ in range(count)
        ],
    }


def stored(path: Path, table: pa.Table, rng: random.Random) -> str:
    content = Content(path, table.schema)
    at = 0
    while at < table.num_rows:
        step = rng.randrange(1, 90)
        for batch in table.slice(at, step).to_batches():
            content.write(batch)
        at += step
    return content.finish()


@pytest.mark.parametrize("seed", range(15))
def test_batches_do_not_matter_and_every_value_does(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    columns = made(rng)
    table = pa.table(columns)
    sha = stored(tmp_path / "a", table, rng)
    assert sha == stored(tmp_path / "b", table, rng) and len(sha) == 64
    assert [row for batch in read(tmp_path / "a") for row in batch.to_pylist()] == table.to_pylist()
    name = rng.choice(list(columns))
    row = rng.randrange(table.num_rows)
    other = {key: list(values) for key, values in columns.items()}
    other[name][row] = next(
        (value for value in [*made(rng)[name], None] if repr(value) != repr(columns[name][row])), None
    )
    if repr(other[name]) != repr(columns[name]):
        assert stored(tmp_path / "c", pa.table(other, schema=table.schema), rng) != sha


def test_where_a_value_ends_matters(tmp_path: Path) -> None:
    rng = random.Random(0)
    tables = [pa.table({"a": values}) for values in (["ab", "c"], ["a", "bc"], ["abc", ""], ["abc", None])]
    assert len({stored(tmp_path / str(n), table, rng) for n, table in enumerate(tables)}) == 4
