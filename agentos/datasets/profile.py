"""What a stored file's columns look like: lengths of texts, balance of labels, its first rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from agentos.datasets.beside import Teller
from agentos.datasets.roles import MOST_LABELS
from agentos.datasets.writing import read
from agentos.types import Json, Lengths
from agentos.types.units import show_bytes

SAMPLED = 5000
_LONGEST = 1 << 20


@dataclass(frozen=True)
class Shape:
    """What there is of a label and of texts."""

    balance: dict[str, int]
    """Rows by label, the most frequent first; empty where there are too many."""
    lengths: list[Lengths]


def label_of(value: Any) -> str:
    """A label as it is compared: as text."""
    return "" if value is None else str(value)


def sample(path: Path) -> dict[str, list[Any]]:
    """Some rows of a stored file, by column; of bytes, that there are some."""
    columns: dict[str, list[Any]] = {}
    rows = 0
    for whole in read(path):
        batch = whole.slice(0, SAMPLED - rows)
        rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            values = [b"" for _ in range(len(column))] if pa.types.is_binary(column.type) else column.to_pylist()
            columns.setdefault(name, []).extend(values)
        if rows >= SAMPLED or sum(sum(map(len, map(str, values))) for values in columns.values()) > 64 << 20:
            break
    return columns


def measure(path: Path, text: Sequence[str], label: str | None, tell: Teller) -> Shape:
    """Counts labels and lengths over all rows."""
    counts: Counter[str] = Counter()
    sizes: dict[str, Any] = {name: numpy.zeros(1024, "i8") for name in text}
    wanted = [*text, *([label] if label else [])]
    done, many = 0, False
    if not wanted:
        return Shape({}, [])
    for batch in read(path, wanted):
        for name in text:
            column = batch.column(name)
            if pa.types.is_string(column.type):
                found = numpy.minimum(numpy.asarray(pc.fill_null(pc.utf8_length(column), 0)), _LONGEST)
                counted = numpy.bincount(found, minlength=len(sizes[name]))
                counted[: len(sizes[name])] += sizes[name]
                sizes[name] = counted
        if label and not many:
            for item in pc.value_counts(batch.column(label)).to_pylist():
                counts[label_of(item["values"])] += item["counts"]
            many = len(counts) > MOST_LABELS
        done += batch.num_rows
        tell(f"measuring: {done:,} rows")
    balance = {} if many or set(counts) == {""} else dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    return Shape(balance, [_lengths(name, sizes[name]) for name in text if sizes[name].any()])


def _lengths(column: str, counted: Any) -> Lengths:
    summed = numpy.cumsum(counted)
    total = int(summed[-1])

    def at(share: float) -> int:
        return int(numpy.searchsorted(summed, max(1, math.ceil(share * total))))

    return Lengths(column, at(0), at(0.5), at(0.95), at(1))


def labels(balance: dict[str, int]) -> tuple[str, ...]:
    """Labels in order: by number where all are numbers, else by the alphabet."""
    found = [label for label in balance if label != ""]
    try:
        return tuple(sorted(found, key=float))
    except ValueError:
        return tuple(sorted(found))


def first(path: Path, rows: int) -> list[Json]:
    """The first rows, fit to be shown."""
    found: list[Json] = []
    for batch in read(path):
        wanted = batch.slice(0, rows - len(found)).to_pylist()
        found += [{name: shown(value) for name, value in row.items()} for row in wanted]
        if len(found) >= rows:
            break
    return found


def shown(value: Any) -> Json:
    """A value as JSON; bytes by their size, long texts by their beginning."""
    if isinstance(value, bytes):
        return f"<{show_bytes(len(value))}>"
    if isinstance(value, str):
        return value if len(value) <= 1000 else f"{value[:1000]}…"
    if isinstance(value, dict):
        return {str(key): shown(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [shown(inner) for inner in value]
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
