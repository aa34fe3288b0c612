"""Values that only the head of their column names: rows of CSV, tab-separated text and Markdown tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from agentos.redact.entity import Hit, Kind
from agentos.redact.passwords import telling
from agentos.redact.patterns import Pattern

_SEPARATORS = (b"|", b"\t", b";", b",")
_RULER = re.compile(rb"[\s|:+=-]+")
_DRESS = b" *`\"'\r"
"""What stands around a cell's value."""
_WIDEST = 30
"""Characters of the longest head of a column; what is longer is prose."""


class Column:
    """Columns whose head says that they hold values of one kind."""

    def __init__(self, kind: Kind, head: str, holds: Callable[[bytes], bool]) -> None:
        """`head` is alternatives of a pattern for the whole of a head, `holds` whether a cell looks like a value."""
        self.kind = kind
        self._holds = holds
        self._head = re.compile(rf"(?i)(?:{head})\Z")
        inner = rf"[|,;\t][ *`\"']*(?:{head})[ *`\"']*(?:[|,;\t\r\n]|\z)"
        first = rf"(?m:^)[ *`\"']*(?:{head})[ *`\"']*[|,;\t]"
        self._heads = Pattern(f"(?i)(?:{inner}|{first})")

    def suits(self, data: bytes) -> bool:
        """Whether there is more than one line."""
        return b"\n" in data

    def hits(self, data: bytes) -> Iterator[Hit]:
        """Every cell under such a head that looks like a value, down to the first line with another number of cells."""
        at = 0
        while (span := self._heads.next(data, at)) is not None:
            start = data.rfind(b"\n", max(0, at - 1), span[0] + 1) + 1
            end = _line(data, span[1] - 1)
            separator = next((each for each in _SEPARATORS if each in data[start:end]), b",")
            cells = [_bare(data, *cell) for cell in _cells(data, start, end, separator)]
            names = [data[first:last].decode(errors="replace") for first, last in cells]
            wanted = [place for place, name in enumerate(names) if self._head.match(name)]
            if wanted and sum(map(bool, names)) > 1 and max(map(len, names)) <= _WIDEST:
                for row, last in _rows(data, end, separator, len(names)):
                    end = last
                    for place in wanted:
                        first, stop = _bare(data, *row[place])
                        if self._holds(data[first:stop]):
                            yield Hit(self.kind, first, stop, 0.8)
            at = max(end, span[1])


def _rows(data: bytes, end: int, separator: bytes, count: int) -> Iterator[tuple[list[tuple[int, int]], int]]:
    """The cells of each line after `end` that has so many, and where the line ends."""
    while end < len(data):
        start, end = end + 1, _line(data, end + 1)
        cells = _cells(data, start, end, separator)
        if len(cells) != count:
            return
        if not _RULER.fullmatch(data, start, end):
            yield cells, end


def _line(data: bytes, at: int) -> int:
    """Where the line ends."""
    end = data.find(b"\n", at)
    return len(data) if end < 0 else end


def _cells(data: bytes, start: int, end: int, separator: bytes) -> list[tuple[int, int]]:
    """Where the cells of a line are; a separator between quotes is none."""
    cells, first, quoted = [], start, False
    for mark in re.finditer(rb'"|' + re.escape(separator), data[start:end]):
        if mark.group() == b'"':
            quoted = not quoted
        elif not quoted:
            cells.append((first, start + mark.start()))
            first = start + mark.end()
    return [*cells, (first, end)]


def _bare(data: bytes, start: int, end: int) -> tuple[int, int]:
    while start < end and data[start] in _DRESS:
        start += 1
    while end > start and data[end - 1] in _DRESS:
        end -= 1
    return start, end


def _shaped(shape: bytes) -> Callable[[bytes], bool]:
    compiled = re.compile(shape)
    return lambda value: compiled.fullmatch(value) is not None


RULES = (
    Column(
        "PASSWORD",
        r"(?:\w{1,12}[ _-]?)?(?:pass[ _-]?words?|passwd|pwd|pass[ _-]?code|pass)|(?:\w{1,12}[ _-])?pw|"
        r"[^\s|,;]{0,6}(?:密码|口令)",
        telling,
    ),
    Column(
        "PASSPORT", r"passport(?:[ _-]?(?:no\.?|num|number|id))?|护照(?:号码?|编号)?",
        _shaped(rb"[A-Z]{0,3}\d{5,9}[A-Z]?"),
    ),
    Column(
        "ID_CARD", r"(?:居民)?身份证(?:号码?)?|证件号码?|id[ _-]?card(?:[ _-]?(?:no|number))?",
        _shaped(rb"\d{15,18}[\dXx]?"),
    ),
    Column("SSN", r"ssn|social[ _-]security(?:[ _-](?:no|number))?", _shaped(rb"\d{3}[ -]?\d\d[ -]?\d{4}")),
    Column(
        "PHONE",
        r"(?:\w{1,8}[ _-])?(?:phone|mobile|tel|cell)(?:[ _-]?(?:no|num|number))?|[^\s|,;]{0,4}(?:电话|手机号?码?|座机)",
        _shaped(rb"[+(]?\d[\d ().-]{5,17}\d"),
    ),
    Column(
        "BANK_CARD", r"(?:bank[ _-]?|credit[ _-]?)?card(?:[ _-]?(?:no|num|number))?|[^\s|,;]{0,4}(?:银行卡号?|卡号)",
        _shaped(rb"\d[\d -]{11,22}\d"),
    ),
)
