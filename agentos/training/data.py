"""A run's rows: read, held out, and turned into tokens once."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agentos.errors import UserError
from agentos.sealing.files import source
from agentos.training.spec import RunSpec


@dataclass(frozen=True)
class Raw:
    """Rows as they are in the file."""

    texts: list[tuple[str, ...]]
    labels: list[str] | None


@dataclass(frozen=True)
class Row:
    """One row as tokens."""

    at: int
    """Where it stands in its file."""
    ids: np.ndarray[Any, np.dtype[np.int64]]
    kinds: np.ndarray[Any, np.dtype[np.int64]] | None = None
    """Which text of a pair each token is of."""
    label: int = -1
    start: int = 0
    """The first token that is to be learned, of a model that writes."""
    behind: int = -1
    """Which of the corpus' shared beginnings it follows."""


@dataclass
class Corpus:
    """What a run learns from and what it is measured on."""

    train: list[Row]
    held: list[Row]
    labels: tuple[str, ...]
    held_hash: str
    cut: float = 0.0
    """Share of the rows that are longer than what is read of them."""
    notes: list[str] = field(default_factory=list)
    shared: tuple[np.ndarray[Any, np.dtype[np.int64]], ...] = ()
    """Beginnings, each of which many rows follow."""


def read(path: str, text: tuple[str, ...], label: str | None) -> Raw:
    """The rows of a Parquet file; what is missing in a row is an empty text.

    Raises:
        UserError: the file is not there, or lacks a column.
    """
    try:
        with source(Path(path)) as where:
            there = pq.read_schema(where).names
        wanted = [*text, *([label] if label else [])]
        missing = [name for name in wanted if name not in there]
        if missing:
            raise UserError(
                f"{Path(path).name} has no column {missing[0]!r}: it has {', '.join(map(repr, there))}. "
                "Nothing was trained"
            )
        with source(Path(path)) as where:
            table = pq.read_table(where, columns=list(dict.fromkeys(wanted)))
    except OSError as error:
        raise UserError(f"the data cannot be read: {error}. Nothing was trained") from error
    columns = [["" if value is None else str(value) for value in table[name].to_pylist()] for name in text]
    said = None if label is None else ["" if v is None else str(v) for v in table[label].to_pylist()]
    return Raw(list(zip(*columns, strict=True)), said)


def hold_out(raw: Raw, share: float, seed: int) -> tuple[list[int], list[int]]:
    """Numbers of the rows to learn from and to measure on; identical texts stay together, labels in their shares."""
    together: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, texts in enumerate(raw.texts):
        together[texts].append(at)
    by_label: dict[str, list[list[int]]] = defaultdict(list)
    for rows in together.values():
        by_label[raw.labels[rows[0]] if raw.labels is not None else ""].append(rows)
    held: list[int] = []
    for label in sorted(by_label):
        found = by_label[label]
        count = sum(map(len, found))
        wanted = min(max(1, round(share * count)), count - 1) if share > 0 and len(found) > 1 else 0
        order = np.random.default_rng([seed, 1, *label.encode()]).permutation(len(found))
        taken = 0
        for at in order[:-1]:
            if taken >= wanted:
                break
            held += found[at]
            taken += len(found[at])
    kept = set(held)
    return [at for at in range(len(raw.texts)) if at not in kept], sorted(held)


def digest(raw: Raw, rows: list[int]) -> str:
    """A hash of rows' texts and labels: two runs with the same one were measured on the same rows."""
    told = hashlib.sha256()
    for at in rows:
        told.update(json.dumps([raw.texts[at], raw.labels[at] if raw.labels else None]).encode())
    return told.hexdigest()


@dataclass(frozen=True)
class Parts:
    """A run's rows before they are tokens."""

    train: Raw
    train_at: list[int]
    held: Raw
    held_at: list[int]
    labels: tuple[str, ...]
    held_hash: str


def parts(spec: RunSpec) -> Parts:
    """Reads the file and holds rows out, or reads them from a file of their own."""
    label = spec.label if spec.kind == "finetune" else None
    raw = read(spec.data_path, spec.text, label)
    if spec.held_path:
        other = read(spec.held_path, spec.text, label)
        train_at, held_at = list(range(len(raw.texts))), list(range(len(other.texts)))
    else:
        other = raw
        train_at, held_at = hold_out(raw, spec.held_out, spec.seed)
    labels = spec.labels or tuple(sorted(set(raw.labels or ())))
    return Parts(raw, train_at, other, held_at, labels, digest(other, held_at))


def balance(rows: list[Row], count: int) -> list[float]:
    """A weight for each label, so that all labels weigh the same together and a row weighs 1 on average."""
    seen = np.bincount([row.label for row in rows], minlength=count)
    present = int((seen > 0).sum())
    return [float(len(rows) / (present * n)) if n else 0.0 for n in seen]
