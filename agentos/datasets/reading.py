"""Reads whatever a path names into one stored file, and says what was guessed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]

from agentos.datasets import folders, profile, roles, typed
from agentos.datasets.beside import Teller
from agentos.datasets.folders import Folder
from agentos.datasets.records import JsonRows, ParquetRows
from agentos.datasets.shelf import Built, Facts
from agentos.datasets.tables import Lines, Reader, Separated
from agentos.datasets.writing import Content
from agentos.errors import UserError

_READERS: dict[str, Any] = {
    ".csv": Separated, ".tsv": Separated, ".tab": Separated, ".jsonl": JsonRows, ".ndjson": JsonRows,
    ".json": JsonRows, ".parquet": ParquetRows, ".pq": ParquetRows, ".txt": Lines, ".text": Lines, ".md": Lines,
    ".log": Lines,
}
_ROUNDS = 64
"""Times that reading may start again because a column holds more than was known."""


def reader(path: Path, tell: Teller) -> Reader:
    """What reads a path.

    Raises:
        UserError: nothing is there, or nothing can read it.
    """
    if path.is_dir():
        return Folder(path, tell)
    if not path.exists():
        raise UserError(f"there is no file or folder {str(path)!r}; nothing was stored")
    if not path.is_file():
        raise UserError(f"{str(path)!r} is neither a file nor a folder; nothing was stored")
    if path.stat().st_size == 0:
        raise UserError(f"{str(path)!r} is empty; nothing was stored")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if len(suffixes) > 1 and suffixes[-1] == ".gz" else (suffixes or [""])[-1]
    made = _READERS.get(kind)
    if made is None:
        made = Lines  # a binary file is refused there, by what it is
    found: Reader = made(path, tell)
    if kind not in _READERS:
        found.guessed.append(f"format: plain text; {kind or 'no ending'!r} is none that is known")
    return found


def mark(path: Path) -> str:
    """What changes when a file or folder does; "" where it cannot be told."""
    with suppress(OSError):
        if path.is_dir():
            return folders.mark(path)
        facts = path.stat()
        return f"{facts.st_ino}/{facts.st_size}/{facts.st_mtime_ns}/{facts.st_ctime_ns}"
    return ""


def store(path: Path, work: Path, tell: Teller) -> Built:
    """Reads a path into `work`, which holds one Parquet file then.

    Raises:
        UserError: it cannot be read, or has no rows.
        OSError: the disk is full.
    """
    source = reader(path, tell)
    target = work / "data.parquet"
    known: dict[str, Any] = {}
    for _ in range(_ROUNDS):
        try:
            sha256, rows, schema = _write(source, target, known, tell)
            break
        except typed.Widen as more:
            known[more.column] = more.kind
        except typed.Again:
            continue
    else:
        raise UserError(f"the rows of {str(path)!r} differ too much to be one table; nothing was stored")
    if not rows:
        raise UserError(f"{str(path)!r} has no rows; nothing was stored")
    strings = {field.name for field in schema if pa.types.is_string(field.type)}
    medium = source.medium
    columns = profile.sample(target)
    found = roles.guess(columns, strings, medium)
    guessed = [*source.guessed, *(why for why in found.guessed if why)]
    if source.bad:
        named = "; ".join(source.skipped) + ("; …" if source.bad > len(source.skipped) else "")
        guessed.append(f"skipped: {source.bad:,} that could not be read: {named}")
    shape = profile.measure(target, found.text if medium == "text" else (), found.label, tell)
    label = found.label if shape.balance else None
    if found.label and not label:
        guessed = [why for why in guessed if not why.startswith("label:")]
        guessed.append(f"label: none; {found.label!r} has more than {roles.MOST_LABELS:,} values, or none")
    facts = Facts(
        text=found.text, label=label, medium=medium, guessed=tuple(guessed), skipped=source.bad,
        balance=shape.balance, lengths=shape.lengths,
    )
    return Built(target, sha256, rows, {field.name: str(field.type) for field in schema}, facts)


def _write(source: Reader, target: Path, known: dict[str, Any], tell: Teller) -> tuple[str, int, Any]:
    content: Content | None = None
    try:
        for batch in _named(source.batches(known, tell)):
            if content is None:
                known.update({field.name: field.type for field in batch.schema if field.name not in known})
                kinds = {f.name: pa.string() if pa.types.is_null(f.type) else f.type for f in batch.schema}
                schema = pa.schema(list(kinds.items()))
                content = Content(target, schema)
            content.write(batch.cast(content.schema) if batch.schema != content.schema else batch)
        if content is None:
            return "", 0, pa.schema([])
        return content.finish(), content.rows, content.schema
    except pa.ArrowInvalid as error:
        raise UserError(f"the rows cannot be put into columns ({error}); nothing was stored") from error
    finally:
        if content is not None:
            content.close()


def _named(batches: Iterator[Any]) -> Iterator[Any]:
    """Batches whose columns all have a name of their own."""
    for batch in batches:
        names: list[str] = []
        for index, name in enumerate(batch.schema.names, 1):
            base = name.strip() or f"column_{index}"
            names.append(base if base not in names else f"{base}_{index}")
        yield batch if names == batch.schema.names else pa.RecordBatch.from_arrays(batch.columns, names=names)
