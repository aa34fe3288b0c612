"""Which rows are copies, or nearly copies, of each other."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from agentos.datasets.beside import Teller
from agentos.datasets.profile import label_of
from agentos.datasets.writing import read

PERMUTATIONS = 128
ALIKE = 0.8
"""Share of pieces that two texts have in common, from which on they are nearly the same."""
APART = 0.7
"""The same, where a split must not part them: an estimate errs by 0.04, and a leak is worse than a detour."""
_CHINESE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_REPRESENTATIVES = 64
"""Rows of one bucket that the others of it are held against, so that no bucket takes the square of its size."""


@dataclass(frozen=True)
class Prints:
    """Of each row: what its exact copies share, a sketch of its text, and its label."""

    keys: Any
    heads: Any
    """What rows share whose first text is the same, where they have two."""
    sketches: Any
    """None where rows have no text."""
    labels: Any


def canonical(text: str) -> str:
    """What copies of a text share: width, case and space do not matter."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def pieces(text: str) -> Any:
    """The hashes of a text's runs of characters: three where it is Chinese, Japanese or Korean, else five."""
    text = canonical(text)
    bare = re.sub(r"[\W_]+", "", text) or text
    size = 3 if len(_CHINESE.findall(bare)) * 4 > len(bare) else 5
    points = numpy.frombuffer(bare.encode("utf-32-le", "surrogatepass"), "<u4")
    count = max(1, len(points) - size + 1)
    mixed = numpy.zeros(count, "u4")
    for offset in range(min(size, len(points))):
        mixed = mixed * numpy.uint32(0x01000193) ^ points[offset : offset + count] * numpy.uint32(0x9E3779B1)
    return numpy.unique(mixed)


def prints(path: Path, text: Sequence[str], label: str | None, work: Path, tell: Teller) -> Prints:
    """Reads the rows once; sketches lie in a file in `work`, so that many rows do not fill the memory."""
    from datasketch import MinHash  # type: ignore[import-untyped]

    base = MinHash(PERMUTATIONS, hashfunc=int)
    keys: list[Any] = []
    heads: list[Any] = []
    labels: list[Any] = []
    codes: dict[str, int] = {}
    rows, sketched = 0, False
    with (work / "sketches").open("wb") as stream:
        for batch in read(path):
            table = batch.to_pydict()
            names = [name for name in text if name in table]
            made: list[bytes] = []
            for index in range(batch.num_rows):
                values = [table[name][index] for name in (names or table)]
                keys.append(_hash([canonical(v) if isinstance(v, str) else v for v in values]))
                heads.append(_hash([canonical(values[0])]) if len(names) > 1 and values[0] else keys[-1])
                labels.append(codes.setdefault(label_of(table[label][index]), len(codes)) if label else 0)
                if names and not isinstance(values[0], bytes):
                    sketch = MinHash(hashfunc=int, permutations=base.permutations, scheme=base.scheme,
                                     num_perm=PERMUTATIONS)
                    sketch.update_batch(pieces("\n".join(map(_words, values))).tolist())
                    made.append(sketch.hashvalues.astype("<u4").tobytes())
            sketched = sketched or bool(made)
            stream.write(b"".join(made))
            rows += batch.num_rows
            tell(f"looking for copies: {rows:,} rows")
    shape = (rows, PERMUTATIONS)
    sketches = numpy.memmap(work / "sketches", "<u4", "r", shape=shape) if sketched else None
    return Prints(numpy.array(keys, "u8"), numpy.array(heads, "u8"), sketches, numpy.array(labels, "i4"))


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _hash(values: list[Any]) -> int:
    digest = hashlib.blake2b(digest_size=8)
    for value in values:
        raw = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return int.from_bytes(digest.digest(), "little")


def firsts(keys: Any) -> Any:
    """Of each row, the first row with the same key."""
    _, first, inverse = numpy.unique(keys, return_index=True, return_inverse=True)
    return first[inverse]


def pairs(found: Prints, rows: Any, least: float, tell: Teller, *, labels: Any = None) -> Iterator[tuple[int, int]]:
    """Rows that are nearly the same, each pair once, the earlier first.

    Args:
        found: What is known of all rows.
        rows: Those that are looked at.
        least: The share of pieces that both have.
        tell: Told how far it is.
        labels: Where given, a row stands for those alone that have its label.
    """
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=least, num_perm=PERMUTATIONS, weights=(0.1, 0.9))
    seen: set[int] = set()
    total = len(found.keys)
    for band in range(index.b):
        tell(f"looking for near copies: part {band + 1} of {index.b}")
        values = numpy.ascontiguousarray(found.sketches[rows, band * index.r : (band + 1) * index.r]).astype("u8")
        mixed = numpy.zeros(len(rows), "u8")
        for column in values.T:
            mixed = (mixed ^ column) * numpy.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> numpy.uint64(29)
        order = numpy.argsort(mixed, kind="stable")
        for run in _runs(order, numpy.flatnonzero(numpy.diff(mixed[order])) + 1):
            for one, others in _facing(found.sketches, numpy.sort(rows[run]), least, labels):
                for other in others.tolist():
                    pair = one * total + other
                    if pair not in seen:
                        seen.add(pair)
                        yield one, other


def _runs(order: Any, ends: Any) -> Iterator[Any]:
    starts = numpy.concatenate([[0], ends])
    stops = numpy.concatenate([ends, [len(order)]])
    for where in numpy.flatnonzero(stops - starts > 1):
        yield order[starts[where] : stops[where]]


def _facing(sketches: Any, run: Any, least: float, labels: Any) -> Iterator[tuple[int, Any]]:
    """The first row of a bucket and those like it; then the first of the others, and so on."""
    for _ in range(_REPRESENTATIVES):
        if len(run) < 2:
            return
        one, rest = int(run[0]), run[1:]
        alike = numpy.mean(sketches[rest] == sketches[one], axis=1) >= least
        yield one, rest[alike]
        run = rest[~alike if labels is None else ~(alike & (labels[rest] == labels[one]))]


class Groups:
    """Rows that belong together, through others if need be."""

    def __init__(self, rows: int) -> None:
        self._above = list(range(rows))

    def top(self, row: int) -> int:
        """The row that stands for a row's group."""
        while self._above[row] != row:
            self._above[row] = self._above[self._above[row]]
            row = self._above[row]
        return row

    def join(self, one: int, other: int) -> None:
        """Puts two groups together."""
        first, second = sorted((self.top(one), self.top(other)))
        self._above[second] = first


def groups(found: Prints, tell: Teller) -> list[int]:
    """Of each row, the first row of those it must not be parted from."""
    rows = len(found.keys)
    together = Groups(rows)
    for keys in (found.keys, found.heads):
        for row, first in enumerate(firsts(keys).tolist()):
            together.join(first, row)
    if found.sketches is not None:
        alone = numpy.unique(firsts(found.keys))
        for one, other in pairs(found, alone, APART, tell):
            together.join(one, other)
    return [together.top(row) for row in range(rows)]
