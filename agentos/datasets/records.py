"""Reads JSON lines, JSON arrays and Parquet, a part at a time."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agentos.datasets import encoding, typed
from agentos.datasets.beside import Teller
from agentos.datasets.tables import BATCH, LINES, SAMPLE, Skips, lines_of
from agentos.errors import UserError

_BETWEEN = re.compile(r"[\s,]*")


class JsonRows(Skips):
    """JSON lines, or one JSON array."""

    def __init__(self, path: Path, tell: Teller) -> None:
        super().__init__()
        self._path = path
        self._encoding = encoding.guess(path, tell)
        with encoding.Recoded(path, self._encoding) as stream:
            start = io.BufferedReader(stream).read(4096).decode("utf-8", "ignore").lstrip()
        self._array = start.startswith("[")
        self.guessed = [self._encoding.said, "rows: a JSON array" if self._array else "rows: one JSON object a line"]

    def batches(self, known: Mapping[str, Any], tell: Teller) -> Iterator[Any]:
        """The rows, a few thousand at a time."""
        self.again()
        found = self._from_array(tell) if self._array else self._from_lines(tell)
        rows: list[dict[str, Any]] = []
        weight, good = 0, 0
        for row, size in found:
            rows.append(row)
            weight += size
            good += 1
            if len(rows) >= LINES or weight >= BATCH:
                yield self._batch(rows, known)
                rows, weight = [], 0
        if self.bad > good:
            raise UserError(
                f"{self.bad:,} of {self.bad + good:,} lines of {str(self._path)!r} are no JSON objects "
                f"({'; '.join(self.skipped)}); nothing was stored"
            )
        if rows:
            yield self._batch(rows, known)

    def _batch(self, rows: list[dict[str, Any]], known: Mapping[str, Any]) -> Any:
        names: dict[str, None] = dict.fromkeys(known)
        for row in rows:
            names |= dict.fromkeys(row)
        made = {name: typed.given(name, [row.get(name) for row in rows], known) for name in names}
        for name, array in made.items():
            if known and name not in known:
                raise typed.Widen(name, array.type)
        return pa.RecordBatch.from_arrays(list(made.values()), names=list(made))

    def _row(self, value: Any, where: str) -> dict[str, Any] | None:
        if isinstance(value, str):
            return {"text": value}
        if isinstance(value, dict) and value:
            return {key.encode("utf-8", "replace").decode(): inner for key, inner in value.items()}
        self.skip(f"{where} is no object")
        return None

    def _from_lines(self, tell: Teller) -> Iterator[tuple[dict[str, Any], int]]:
        number = 0
        for lines in lines_of(self._path, self._encoding, tell):
            for line in lines:
                number += 1
                if not line.strip():
                    continue
                try:
                    value = json.loads(line)
                except (ValueError, RecursionError):
                    self.skip(f"line {number} is no JSON: {line[:40]!r}")
                    continue
                row = self._row(value, f"line {number}")
                if row is not None:
                    yield row, len(line)

    def _from_array(self, tell: Teller) -> Iterator[tuple[dict[str, Any], int]]:
        decoder, number, text, at = json.JSONDecoder(), 0, "", 0
        with encoding.Recoded(self._path, self._encoding) as raw:
            stream = io.TextIOWrapper(io.BufferedReader(raw, SAMPLE), "utf-8")
            text, ended = stream.read(SAMPLE).lstrip(), False
            at = 1
            while True:
                match = _BETWEEN.match(text, at)
                at = match.end() if match else at
                if at < len(text) and text[at] == "]":
                    return
                try:
                    value, end = decoder.raw_decode(text, at)
                    whole = end < len(text) or ended
                except (ValueError, RecursionError):
                    value, end, whole = None, at, False
                if whole:
                    number += 1
                    row = self._row(value, f"item {number}")
                    if row is not None:
                        yield row, end - at
                    at = end
                    continue
                if ended:
                    break
                more = stream.read(max(SAMPLE, len(text) - at))
                ended = not more
                text, at = text[at:] + more, 0
                tell(f"reading {self._path.name}: {number:,} rows", raw.done, raw.total, "B")
        where = text[at : at + 40]
        raise UserError(
            f"{str(self._path)!r} breaks off or is no JSON after item {number:,} ({where!r}); nothing was stored"
        )


class ParquetRows(Skips):
    """A Parquet file."""

    def __init__(self, path: Path, tell: Teller) -> None:
        super().__init__()
        self._path = path
        try:
            with pq.ParquetFile(path) as file:
                self._rows = file.metadata.num_rows
                names = file.schema_arrow.names
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{str(path)!r} cannot be read as Parquet ({error}); nothing was stored") from None
        if not self._rows or not names:
            raise UserError(f"{str(path)!r} is empty: it has no rows; nothing was stored")
        self.guessed = ["types: those of the Parquet file"]

    def batches(self, known: Mapping[str, Any], tell: Teller) -> Iterator[Any]:
        """The rows, as many at a time as are small enough."""
        done = 0
        size = max(16, min(8192, int(self._rows * BATCH / max(self._path.stat().st_size, 1))))
        try:
            with pq.ParquetFile(self._path) as file:
                names = file.schema_arrow.names
                for batch in file.iter_batches(size, use_threads=False):
                    columns = [typed.plain(column) for column in batch.columns]
                    yield pa.RecordBatch.from_arrays(columns, names=names)
                    done += batch.num_rows
                    tell(f"reading {self._path.name}: {done:,} rows", done, self._rows, "")
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{str(self._path)!r} cannot be read as Parquet ({error}); nothing was stored") from None
