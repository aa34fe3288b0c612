"""The files that a kernel's adapter is trained from, written from the table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agentos.errors import Failed, UserError
from agentos.kernel.corpus.build import Corpus, Row
from agentos.kernel.examples import collect, sayings
from agentos.registry import Registry
from agentos.types import DataFile

COLUMNS = ("table", "sentence", "plan")
ROWS, OTHERS, DEV = 12_000, 120, 240
"""Rows to learn from, tables made of the real one, and rows that are kept to measure on."""
SHARE = 0.65
"""Of the rows, that show the real table as it is: what is asked for most is learned last."""
_MOST = 200_000


@dataclass(frozen=True)
class Lessons:
    """Rows on disk."""

    data: DataFile
    held: Path
    recipe: dict[str, Any]


def write(table: Registry, folder: Path, *, rows: int = ROWS, seed: int = 0, more: Iterable[Row] = ()) -> Lessons:
    """Draws rows and writes them.

    Args:
        table: The syscalls.
        folder: Where the files go; made where it is not.
        rows: How many to learn from.
        seed: Of every draw.
        more: Rows from elsewhere, such as corrections, which are learned too.

    Raises:
        UserError: that many rows cannot be drawn.
        Failed: the files cannot be written.
    """
    if not 16 <= rows <= _MOST:
        raise UserError(f"{rows} rows cannot be drawn; ask for 16 to {_MOST:,}. Nothing was begun")
    examples = [*collect(table), *sayings(table)]
    others = max(2, min(OTHERS, rows // 60))
    learned = [*Corpus(table, examples, seed).rows(rows, others, SHARE), *more]
    held = Corpus(table, examples, seed + 1, dev=True).rows(min(DEV, max(8, rows // 10)), 2, share=0.7)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, some in (("train", learned), ("held", held)):
            _put(folder / f"{name}.parquet", some)
    except OSError as error:
        raise Failed(f"the rows could not be written to {folder}: {error}. Nothing was begun") from error
    digest = hashlib.sha256(json.dumps([[r.shown, r.tail, r.plan] for r in learned]).encode()).hexdigest()
    recipe = {
        "rows": len(learned), "tables": others + 1, "seed": seed, "share": SHARE, "data_sha256": digest,
        "examples": len(examples),
    }
    data = DataFile("kernel-lessons", folder / "train.parquet", digest, len(learned), COLUMNS, None)
    return Lessons(data, folder / "held.parquet", recipe)


def _put(path: Path, rows: Iterable[Row]) -> None:
    listed = list(rows)
    said = ([r.shown for r in listed], [r.tail for r in listed], [r.plan for r in listed])
    columns = dict(zip(COLUMNS, said, strict=True))
    temporary = path.with_suffix(".part")
    pq.write_table(pa.table(columns), temporary)
    temporary.replace(path)
