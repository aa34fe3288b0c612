"""Values that only the head of their column names: CSV, tab-separated text, tables of text, and SQL's INSERT."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from agentos.redact.entity import Hit, Kind
from agentos.redact.patterns import Pattern, holds
from agentos.redact.values import telling

_SEPARATORS = (b"|", b"\t", b";", b",", b"  ")
_RULER = re.compile(rb"[\s|:+=-]+")
_INSERT = Pattern(r"(?i)\binsert\s+(?:or\s+\w+\s+)?into\s+[\w.`\"\[\]]+\s*(\([^()]+\))\s*values\s*\(")
_COPY = Pattern(r"(?i)\bcopy\s+[\w.`\"\[\]]+\s*(\([^()]+\))\s*from\s")
_CELL = re.compile(rb"\s*(?:[NE]?'((?:[^'\\]|''|\\.)*)'|\"([^\"]*)\"|([^,()'\"]*))\s*([,)])")
_NEXT = re.compile(rb"\s*,\s*\(")
_DRESS = b" *`\"'\r"
"""What stands around a cell's value."""
_WIDEST = 30
"""Characters of the longest head of a column; what is longer is prose."""


def _both(head: str) -> str:
    """A head, alone or beside its translation or a remark: `SSN 社安号`, `证件号 (ID No.)`."""
    return (
        rf"(?:[\x{{4e00}}-\x{{9fff}}]{{1,8}}[ /(（]{{0,2}})?(?:{head})"
        r"(?:[ /(（]{0,2}[\x{4e00}-\x{9fff}]{1,8}[)）]?| ?[(（][^()（）|,;\t\n]{1,16}[)）])?"
    )


class Column:
    """A column whose head says that it holds values of one kind."""

    def __init__(self, kind: Kind, head: str, holds: Callable[[bytes], bool]) -> None:
        """`head` is alternatives of a pattern for the whole of a head, `holds` whether a cell looks like a value."""
        self.kind = kind
        self.holds = holds
        self.head = head
        self._whole = Pattern(rf"(?i)\A(?:{_both(head)})\z")

    def heads(self, name: str) -> bool:
        """Whether that is its head."""
        return self._whole.within(name.encode())


class Tables:
    """Tables with any of some columns."""

    def __init__(self, *columns: Column) -> None:
        self.kind = columns[0].kind
        self._columns = columns
        both = _both("|".join(column.head for column in columns))
        self._any = Pattern(rf"(?i)\A(?:{both})\z")
        inner = rf"(?:[|,;\t]|  )[ *`\"']*(?:{both})[ *`\"']*(?:[|,;\t\r\n]|  |\z)"
        first = rf"(?m:^)[ *`\"']*(?:{both})[ *`\"']*(?:[|,;\t]|  )"
        self._heads = Pattern(f"(?i)(?:{inner}|{first})")

    def _wanted(self, names: Iterable[str]) -> list[tuple[int, Column]]:
        """The places of its columns among those with such heads."""
        heads = [(place, name) for place, name in enumerate(names) if name and self._any.within(name.encode())]
        return [(place, each) for place, name in heads for each in self._columns if each.heads(name)]

    def suits(self, data: bytes) -> bool:
        """Whether there is more than one line, or a row of SQL."""
        return b"\n" in data or b"VALUES" in data or b"values" in data

    def hits(self, data: bytes) -> Iterator[Hit]:
        """Every cell under such a head that looks like a value, down to the first line with another number of cells."""
        for names, row in (*_inserted(data), *_copied(data)):
            for place, column in self._wanted(names):
                if place < len(row) and column.holds(data[slice(*row[place])]):
                    yield Hit(column.kind, *row[place], 0.85)
        at = 0
        while (span := self._heads.next(data, at)) is not None:
            start = data.rfind(b"\n", max(0, at - 1), span[0] + 1) + 1
            end = _line(data, span[1] - 1)
            separator = next((each for each in _SEPARATORS if each in data[start:end]), b",")
            cells = [_bare(data, *cell) for cell in _cells(data, start, end, separator)]
            names = [data[first:last].decode(errors="replace") for first, last in cells]
            told = sum(map(bool, names)) > 1 and max(map(len, names)) <= _WIDEST
            wanted = self._wanted(names) if told and _heads(data, start, separator, len(names)) else []
            for row, last in _rows(data, end, separator, len(names)) if wanted else ():
                end = last
                for place, column in wanted:
                    first, stop = _bare(data, *row[place])
                    if column.holds(data[first:stop]):
                        yield Hit(column.kind, first, stop, 0.8)
            at = max(end, span[1])


def _heads(data: bytes, start: int, separator: bytes, count: int) -> bool:
    """Whether the line that starts there is the first of its kind: a word in the midst of a list heads nothing."""
    if start == 0 or separator in (b"|", b"  "):
        return True
    above = data.rfind(b"\n", 0, start - 1) + 1
    return len(_cells(data, above, start - 1, separator)) != count


def _rows(data: bytes, end: int, separator: bytes, count: int) -> Iterator[tuple[list[tuple[int, int]], int]]:
    """The cells of each line after `end` that has so many, and where the line ends."""
    while end < len(data):
        start, end = end + 1, _line(data, end + 1)
        cells = _cells(data, start, end, separator)
        if _RULER.fullmatch(data, start, end) and end > start:
            continue
        if len(cells) != count:
            return
        yield cells, end


def _inserted(data: bytes) -> Iterator[tuple[list[str], list[tuple[int, int]]]]:
    """The columns' names and the values' spans of each row that SQL inserts."""
    if not holds(data, (b"into",)):
        return
    at = 0
    while (span := _INSERT.next(data, at)) is not None:
        names = _named(data, *span)
        at = data.index(b"(", span[1])
        while True:
            row, at = _row(data, at + 1)
            yield names, row
            more = _NEXT.match(data, at)
            if more is None:
                break
            at = more.end() - 1


def _copied(data: bytes) -> Iterator[tuple[list[str], list[tuple[int, int]]]]:
    """As `_inserted`, of the rows that `COPY table (columns) FROM stdin;` brings."""
    if not holds(data, (b"copy",)):
        return
    at = 0
    while (span := _COPY.next(data, at)) is not None:
        names = _named(data, *span)
        end = _line(data, span[1])
        separator = b"," if b"csv" in data[span[1] : end].lower() else b"\t"
        at = end
        for row, last in _rows(data, end, separator, len(names)):
            at = last
            yield names, row


def _named(data: bytes, start: int, end: int) -> list[str]:
    """The columns between brackets."""
    heads = data[start + 1 : end - 1].decode(errors="replace").split(",")
    return [name.strip(" \t\r\n`\"[]") for name in heads]


def _row(data: bytes, at: int) -> tuple[list[tuple[int, int]], int]:
    """The spans of a row's values, and where it ends; a value that is a call ends it."""
    row = []
    while (cell := _CELL.match(data, at)) is not None:
        row.append(next(cell.span(group) for group in (1, 2, 3) if cell.start(group) >= 0))
        at = cell.end()
        if cell.group(4) == b")":
            break
    return row, at


def _line(data: bytes, at: int) -> int:
    """Where the line ends."""
    end = data.find(b"\n", at)
    return len(data) if end < 0 else end


def _cells(data: bytes, start: int, end: int, separator: bytes) -> list[tuple[int, int]]:
    """Where the cells of a line are; a separator between quotes is none."""
    cells, first, quoted = [], start, False
    for mark in re.finditer(rb'"|' + (b"  +" if separator == b"  " else re.escape(separator)), data[start:end]):
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


_COLUMNS = (
    Column(
        "PASSWORD",
        r"(?:\w{1,12}[ _-]?)?(?:pass[ _-]?words?|passwd|pwd|pass[ _-]?code|pass)|(?:\w{1,12}[ _-])?pw|"
        r"[^\s|,;]{0,6}(?:密码|口令)",
        lambda value: telling(value) and not (value.isalpha() and value.istitle()),
    ),
    Column(
        "PASSPORT",
        r"(?:\w{1,12}[ _-])?passport(?:[ _-]?(?:no\.?|num|number|id|#))?|ppt(?:[ _-]?no\.?)?|"
        r"travel[ _-]?doc(?:ument)?(?:[ _-]?no\.?)?|"
        r"[^\s|,;]{0,4}(?:护照|通行证|台胞证|回乡证)(?:号码?|编号)?",
        _shaped(rb"(?:[A-Z]{0,3} ?\d[\d ]{4,9}[A-Z]{0,2}|[A-Z0-9]{2}[A-Z0-9]{5,7}\d)"),
    ),
    Column(
        "PASSPORT",
        r"(?:旅客|乘客|乘机人|出行人)?证件(?:号码?|编号)|"
        r"id(?:[ _-]?(?:no\.?|num|number))|(?:document|doc)[ _-]?(?:no\.?|number|id)",
        _shaped(rb"[A-Z]{1,2}\d{7,8}"),
    ),
    Column(
        "ID_CARD",
        r"[^\s|,;]{0,4}身份证(?:号码?)?|[^\s|,;]{0,3}证件号码?|id[ _-]?(?:card(?:[ _-]?(?:no|number))?|no|number)|"
        r"national[ _-]id|sfz",
        _shaped(rb"\d{15}|\d{17}[\dXx]|\d{6}[ -]\d{8}[ -]\d{3}[\dXx]|\d{18}\d?"),
    ),
    Column("SSN", r"ssn|social[ _-]security(?:[ _-](?:no|number))?", _shaped(rb"\d{3}[ -]?\d\d[ -]?\d{4}")),
    Column(
        "PHONE",
        r"(?:\w{1,12}[ _-])?(?:phone|mobile|tel(?:ephone)?|cell|mob|fax|msisdn|whatsapp|contact)(?:[ _-]?(?:no\.?|"
        r"num|number|#))?|"
        r"[^\s|,;]{0,4}(?:电话|手机号?码?|座机|固话|传真|联系方式)(?:号码)?",
        _shaped(rb"[+(]?\d[\d ()./-]{5,19}\d"),
    ),
    Column(
        "BANK_CARD",
        r"(?:bank[ _-]?|credit[ _-]?|debit[ _-]?)?card(?:[ _-]?(?:no\.?|num|number))?|pan|"
        r"[^\s|,;]{0,4}(?:银行卡号?|卡号|银行账号|收款账号|工资卡)",
        _shaped(rb"\d[\d -]{11,22}\d"),
    ),
    Column(
        "LICENSE_PLATE",
        r"(?:(?:licen[cs]e|number|vehicle|car|reg(?:istration)?)[ _-]?)?plates?(?:[ _-]?(?:no\.?|number))?|"
        r"(?:vehicle|car|veh)?[ _-]?reg(?:istration)?(?:[ _-]?(?:no\.?|number|mark))?|vr[mn]|rego|"
        r"[^\s|,;]{0,3}(?:车牌号?码?|车号|号牌|牌照号?)",
        _shaped(rb"(?:[A-Z0-9]{1,4}[ -]?){1,3}\d(?:[ -]?[A-Z0-9]{1,4}){0,2}"),
    ),
)
NUMBERING = Tables(Column(
    "PHONE",
    r"(?:\w{1,12}[ _-])?(?:sku|part|item|order|serial|model|lot|batch|invoice|tracking|article|asset|catalog|stock|"
    r"bin|po|"
    r"job|ticket|case|product|barcode|ean|upc|isbn|awb|waybill|container)(?:[ _-]?(?:no\.?|num|numbers?|#|code|id))?|"
    r"mpn|p/n|s/n|qty|quantity|amount|price|stock|"
    r"[^\s|,;]{0,4}(?:货号|料号|型号|序列号|物料(?:号|编码)|条码|订单号?|单号|批次号?|批号|库位|编码|商品号|产品号|"
    r"[零部备]件号|图号|资产编号|发票号码?|流水号?|"
    r"工单号?|快递单号|运单号|数量|金额|单价|库存)",
    bool,
))
"""Columns of numbers that are no person's, whatever their shape."""
RULES = (Tables(*_COLUMNS),)
