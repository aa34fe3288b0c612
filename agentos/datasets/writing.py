"""Rows into one Parquet file, and the hash of what they say."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agentos.sealing.files import source

GROUP = 8 << 20
"""Bytes of a row group, so that reading needs no more memory at a time, whatever a row weighs."""


class Content:
    """Writes rows and hashes their content: what is in the rows, and not how Parquet packs them."""

    def __init__(self, path: Path, schema: Any) -> None:
        heavy = any(pa.types.is_binary(field.type) for field in schema)
        self._path = path
        self.schema = schema.remove_metadata()
        self._writer = pq.ParquetWriter(
            path, self.schema, compression="none" if heavy else "zstd", compression_level=None if heavy else 1,
            use_dictionary=not heavy, write_statistics=False,
        )
        self._hashes: dict[str, Any] = {}
        self._waiting: list[Any] = []
        self._bytes = 0
        self.rows = 0

    def write(self, batch: Any) -> None:
        """Adds rows."""
        if not batch.num_rows:
            return
        batch = pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)
        for field, column in zip(self.schema, batch.columns, strict=True):
            self._feed(field.name, column)
        self.rows += batch.num_rows
        self._waiting.append(batch)
        self._bytes += batch.nbytes
        if self._bytes >= GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self.schema))
        self._waiting, self._bytes = [], 0

    def finish(self) -> str:
        """Puts it on disk; the hash of the content."""
        self._flush()
        self._writer.close()
        with self._path.open("rb") as stream:
            os.fsync(stream.fileno())
        parts = [[field.name, str(field.type)] for field in self.schema]
        sums = {key: item.hexdigest() for key, item in sorted(self._hashes.items())}
        return hashlib.sha256(json.dumps([self.rows, parts, sums]).encode()).hexdigest()

    def close(self) -> None:
        """Gives up what is open; after `finish` it does nothing."""
        self._waiting = []
        try:
            self._writer.close()
        except (OSError, pa.ArrowException):
            return  # what could not be written is thrown away anyway

    def _feed(self, key: str, array: Any) -> None:
        """Each column feeds streams of its own, so that it does not matter how rows come in batches."""
        self._add(f"{key}/null", numpy.asarray(array.is_null()).tobytes())
        kind = array.type
        if pa.types.is_string(kind) or pa.types.is_binary(kind):
            filled = pc.fill_null(array, "" if pa.types.is_string(kind) else b"") if array.null_count else array
            lengths = numpy.asarray(pc.binary_length(filled)).astype("<i8")
            self._add(f"{key}/lengths", lengths.tobytes())
            start, data = _data(filled)
            self._add(f"{key}/data", memoryview(data)[start : start + int(lengths.sum())] if data else b"")
        elif pa.types.is_list(kind):
            self._add(f"{key}/lengths", numpy.asarray(pc.fill_null(pc.list_value_length(array), 0), "<i8").tobytes())
            self._feed(f"{key}/item", array.flatten())
        elif pa.types.is_struct(kind):
            for index, inner in enumerate(array.flatten()):
                self._feed(f"{key}.{kind.field(index).name}", inner)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            self._add(f"{key}/data", numpy.asarray(pc.fill_null(array, 0)).tobytes())
        elif pa.types.is_boolean(kind):
            self._add(f"{key}/data", numpy.asarray(pc.fill_null(array, False).cast(pa.uint8())).tobytes())
        elif pa.types.is_temporal(kind) and kind.bit_width in {32, 64}:
            self._feed(f"{key}/count", array.view(pa.int64() if kind.bit_width == 64 else pa.int32()))
        else:
            said = "".join(f"{value!r}\n" for value in array.to_pylist())
            self._add(f"{key}/data", said.encode("utf-8", "surrogatepass"))

    def _add(self, key: str, data: Any) -> None:
        self._hashes.setdefault(key, hashlib.sha256()).update(data)


def _data(array: Any) -> tuple[int, Any]:
    """Where the bytes of a string or binary array start in its buffer, and that buffer."""
    _, offsets, data = array.buffers()
    if offsets is None or not len(array):
        return 0, None
    starts = numpy.frombuffer(offsets, dtype="<i4")
    return int(starts[array.offset]), data


def read(path: Path, columns: list[str] | None = None) -> Iterator[Any]:
    """The rows of a stored file in batches, a part of it in memory at a time."""
    with source(path) as where, pq.ParquetFile(where) as file:
        for group in range(file.num_row_groups):
            yield from file.iter_batches(8192, row_groups=[group], columns=columns, use_threads=False)
