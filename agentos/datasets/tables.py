"""Reads files of separated values and of plain lines, a part at a time."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.csv as pcsv  # type: ignore[import-untyped]

from agentos.datasets import encoding, separated, typed
from agentos.datasets.beside import Teller
from agentos.errors import UserError

SAMPLE = 1 << 20
LINES = 4096
"""Rows of a batch that is made in Python."""
BATCH = 8 << 20
"""Most bytes of such a batch."""
_LONGEST = 32 << 20
"""Most bytes of a row of separated values."""


class Reader(Protocol):
    """Reads a source from its beginning, as often as it is asked to."""

    medium: str
    guessed: list[str]
    skipped: list[str]
    """What could not be read, each in words."""
    bad: int
    """How many those are; only the first ones are in `skipped`."""

    def batches(self, known: Mapping[str, Any], tell: Teller) -> Iterator[Any]:
        """The rows, in the types that are known of columns so far.

        Raises:
            Widen: a column holds more than was known.
            UserError: it cannot be read.
        """
        ...


class Skips:
    """What could not be read."""

    medium = "text"

    def __init__(self) -> None:
        self.guessed: list[str] = []
        self.skipped: list[str] = []
        self.bad = 0

    def again(self) -> None:
        """Forgets what an earlier reading skipped."""
        self.skipped, self.bad = [], 0

    def skip(self, why: str) -> None:
        """Counts one, and keeps the first ones' reasons."""
        self.bad += 1
        if len(self.skipped) < 3:
            self.skipped.append(why)


class Separated(Skips):
    """A CSV or TSV file."""

    def __init__(self, path: Path, tell: Teller) -> None:
        super().__init__()
        self._path = path
        self._block = SAMPLE
        self._encoding = encoding.guess(path, tell)
        with encoding.Recoded(path, self._encoding) as stream:
            raw = io.BufferedReader(stream, SAMPLE).read(SAMPLE)
        suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
        text = raw.decode("utf-8", "ignore")
        self._dialect = separated.sniff(text, suffix.lower(), len(raw) < SAMPLE)
        self.guessed = [self._encoding.said, *self._dialect.said]

    def batches(self, known: Mapping[str, Any], tell: Teller) -> Iterator[Any]:
        """The rows, a few megabytes at a time."""
        self.again()
        how = self._dialect
        rows = 0

        def invalid(row: Any) -> str:
            start = re.sub(r"\s+", " ", row.text)[:40]
            if how.separator != row.text.strip():
                self.skip(f"row {row.number} has {row.actual_columns} values, not {row.expected_columns}: {start!r}")
            return "skip"

        with encoding.Recoded(self._path, self._encoding) as stream:
            source = io.BufferedReader(stream, SAMPLE)
            try:
                with pcsv.open_csv(
                    source,
                    pcsv.ReadOptions(column_names=list(how.names), use_threads=False, block_size=self._block,
                                     skip_rows_after_names=1 if how.header else 0),
                    pcsv.ParseOptions(delimiter=how.separator, quote_char='"' if how.quoted else False,
                                      newlines_in_values=how.quoted, invalid_row_handler=invalid),
                    pcsv.ConvertOptions(column_types=dict.fromkeys(how.names, pa.string()), strings_can_be_null=False,
                                        check_utf8=False),
                ) as reader:
                    for batch in reader:
                        columns = [typed.said(name, batch.column(name), known) for name in how.names]
                        self._runaway(batch, rows)
                        yield pa.RecordBatch.from_arrays(columns, names=list(how.names))
                        rows += batch.num_rows
                        tell(f"reading {self._path.name}: {rows:,} rows", stream.done, stream.total, "B")
            except pa.ArrowInvalid as error:
                named = str(self._path)
                if "straddl" not in str(error):
                    raise UserError(f"{named!r} cannot be read as a table ({error}); nothing was stored") from None
                if self._block < _LONGEST:
                    self._block = _LONGEST
                    raise typed.Again from None
                raise UserError(
                    f"{named!r}: a quote near row {rows + 1:,} is never closed, or a row is longer than 32 MiB; "
                    "nothing was stored. Mend the quotes there, then add it again."
                ) from None
        if self.bad > rows:
            named = separated.SEPARATORS.get(how.separator, "none")
            raise UserError(
                f"{self.bad:,} of {self.bad + rows:,} lines of {str(self._path)!r} do not have {len(how.names)} values "
                f"({'; '.join(self.skipped)}), so it was not read as a table with the separator "
                f"{named}; nothing was stored. Quote values that hold the separator."
            )

    def _runaway(self, batch: Any, before: int) -> None:
        """Says so where a value holds what look like rows: a quote that is not closed has swallowed them."""
        how = self._dialect
        if not how.quoted or any("never closed" in said for said in self.guessed):
            return
        for column in batch.columns:
            if not pc.any(pc.match_substring(column, "\n")).as_py():
                continue
            many = pc.indices_nonzero(pc.greater(pc.count_substring(column, "\n"), 3)).to_pylist()
            for index in many:
                lost = separated.swallowed(column[index].as_py(), how.separator, len(how.names))
                if lost:
                    self.guessed.append(
                        f"look at row {before + index + 1:,}: a quote there may be never closed, its text holds "
                        f"{lost:,} lines that look like rows"
                    )
                    return


class Lines(Skips):
    """A text file, a row for each line."""

    def __init__(self, path: Path, tell: Teller) -> None:
        super().__init__()
        self._path = path
        self._encoding = encoding.guess(path, tell)
        self.guessed = [self._encoding.said, "rows: one for each line"]

    def batches(self, known: Mapping[str, Any], tell: Teller) -> Iterator[Any]:
        """The lines, a few thousand at a time."""
        done = 0
        for lines in lines_of(self._path, self._encoding, tell):
            yield pa.RecordBatch.from_arrays([pa.array(lines, pa.string())], names=["text"])
            done += len(lines)


def lines_of(path: Path, how: encoding.Encoding, tell: Teller) -> Iterator[list[str]]:
    """The lines of a file without their ends, some at a time."""
    done = 0
    with encoding.Recoded(path, how) as raw:
        stream = io.TextIOWrapper(io.BufferedReader(raw, SAMPLE), "utf-8")
        while lines := stream.readlines(BATCH // 4):
            done += len(lines)
            for start in range(0, len(lines), LINES):
                yield [line.removesuffix("\n") for line in lines[start : start + LINES]]
            tell(f"reading {path.name}: {done:,} lines", raw.done, raw.total, "B")
