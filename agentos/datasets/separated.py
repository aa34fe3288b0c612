"""How a file of separated values is written: its separator, its quotes, whether a header comes first."""

from __future__ import annotations

import csv
import io
import re
import statistics
from collections import Counter
from dataclasses import dataclass

from agentos.datasets import roles

SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
NONE = "\x1f"
"""What stands for a separator where there is one column: no text holds it, so that commas are part of a text."""
_NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(?:[eE][-+]?\d+)?%?|\d{4}-\d\d-\d\d.*")


@dataclass(frozen=True)
class Dialect:
    """How values are separated."""

    separator: str
    quoted: bool
    header: bool
    names: tuple[str, ...]
    said: tuple[str, ...]
    """In words."""


def sniff(sample: str, suffix: str, whole: bool) -> Dialect:
    """The dialect of a file from its first lines.

    Args:
        sample: The file's beginning.
        suffix: `.csv` or `.tsv`.
        whole: Whether that is all of it.
    """
    expected = "\t" if suffix in {".tsv", ".tab"} else ","
    best, rows, width = (0.0, 0.0, 0.0), [[""]], 1
    separator, quoted = expected, expected == ","
    for candidate in sorted(SEPARATORS, key=lambda mark: mark != expected):
        for quotes in (True, False):
            if quotes and not _quotes(sample, candidate):
                continue
            found = _rows(sample, candidate, quotes, whole)
            if not found:
                continue
            common, times = Counter(map(len, found)).most_common(1)[0]
            if common < 2:
                continue
            lost = sum(swallowed(cell, candidate, common) for row in found for cell in row) if quotes else 0
            score = (round(times / (len(found) + lost), 2), float(candidate == expected), float(quotes))
            if score > best:
                best, rows, width, separator, quoted = score, found, common, candidate, quotes
    if best[0] == 0.0:
        rows = _rows(sample, expected, quoted, whole) or [[""]]
        width = Counter(map(len, rows)).most_common(1)[0][0]
    if width == 1:
        separator = NONE
    quoted = quoted or separator != "\t" and not _quotes(sample, separator)
    even = [row for row in rows if len(row) == width]
    header = bool(even) and len(rows[0]) == width and _header(even)
    names = _unique(rows[0]) if header else _names(even, width)
    return Dialect(separator, quoted, header, names, (
        f"separator: {SEPARATORS[separator]}" if width > 1 else "separator: none; one column",
        "quotes: values may be quoted" if quoted else "quotes: none; a quote is part of the text",
        "header: the first line" if header else f"header: none; columns are called {', '.join(names)}",
    ))


def swallowed(value: str, separator: str, width: int) -> int:
    """How many lines of a value look like rows, which a quote that is not closed has swallowed."""
    lines = value.split("\n")[1:-1]
    like = sum(1 for line in lines if line.count(separator) == width - 1)
    return len(lines) if width > 1 and len(lines) > 2 and like >= 0.9 * len(lines) else 0


def _quotes(sample: str, separator: str) -> bool:
    """Whether some value is in quotes from end to end."""
    mark = re.escape(separator)
    return re.search(rf'(?:^|{mark})"(?:[^"]|"")*"(?:{mark}|\r?$)', sample, re.M) is not None


def _rows(sample: str, separator: str, quoted: bool, whole: bool) -> list[list[str]]:
    source = io.StringIO(sample, newline="")
    reader = csv.reader(source, delimiter=separator, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) >= 1000:
                return rows
    except csv.Error:
        return rows
    return rows if whole or len(rows) < 2 else rows[:-1]


def _header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns."""
    first, body = rows[0], rows[1:]
    cells = [cell.strip() for cell in first]
    known = any(roles.is_known(cell) for cell in cells)
    if (len(set(cells)) < len(cells) and not known) or any(len(cell) > 64 or "\n" in cell for cell in cells):
        return False
    if any(_NUMBER.fullmatch(cell) for cell in cells) or not any(cells[1:] or cells):
        return False
    if known:
        return True
    if len(cells) == 1:
        return False
    votes = 0
    for index, cell in enumerate(cells):
        values = [row[index].strip() for row in body if row[index].strip()]
        if not values:
            continue
        if sum(1 for value in values if _NUMBER.fullmatch(value)) >= 0.9 * len(values):
            votes += 2
        elif statistics.median(map(len, values)) > 3 * len(cell) + 8:
            votes += 1
        elif cell in values:
            votes -= 2
        elif len(values) >= 10 and len(set(values)) * 4 <= len(values):
            votes += 1
    return votes > 0 or (not body and all(re.fullmatch(r"[^\W\d][\w .-]*", cell) for cell in cells))


def _unique(cells: list[str]) -> tuple[str, ...]:
    names: list[str] = []
    for index, cell in enumerate(cells, 1):
        name = cell.strip().lstrip("\N{ZERO WIDTH NO-BREAK SPACE}") or f"column_{index}"
        again = 2
        base = name
        while name in names:
            name, again = f"{base}_{again}", again + 1
        names.append(name)
    return tuple(names)


def _names(rows: list[list[str]], width: int) -> tuple[str, ...]:
    """Names for columns that have none: `text` and `label` where it is clear which is which."""
    names = [f"column_{index}" for index in range(1, width + 1)]
    columns = {name: [row[index] for row in rows] for index, name in enumerate(names)}
    strings = {name for name, cells in columns.items() if not all(_NUMBER.fullmatch(cell.strip()) for cell in cells)}
    found = roles.guess(columns, strings)
    called = {found.text[0]: "text"} if len(found.text) == 1 else {}
    if found.label and called:
        called[found.label] = "label"
    return tuple(called.get(name, name) for name in names)
