"""LICENSE_PLATE: of China in all its series, and of other countries where words tell."""

from __future__ import annotations

import re
from urllib.parse import quote

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Rule, digits, embedded, sure
from agentos.redact.words import CAR, COUNTED, NUMBERED, PLATE, VEHICLE

_PREFIXES = tuple(map(str.encode, "最更全创崭里讯为度上有重刷翻焕华清革多合边"))
"""Characters that make another word of a 新 or 云 after them."""
_MARKS = " .-·".encode()
_LAST = re.compile(rb" ?[\x80-\xff]+\Z")
_LISTED = re.compile(rb"\b[A-Z0-9][A-Z0-9 -]{3,9}(?: ?[,;/&] ?| (?:and|or) |\xe3\x80\x81|\xe5\x92\x8c)\Z")
"""Another plate before one."""
_NAMED = re.compile(rb"\b(?:19|20)\d\d\b|LBS|RPM|PSI|KMH|MPH|KGS|CSL|GTI|SUV|VIN|DOT")
"""Years, units and models."""
_REACH = 110
"""Bytes before a plate in which a vehicle may be spoken of."""
_LOOSE = re.compile(rb"[OIoi -]")
"""What a plate holds only where it was misread, or written with gaps in its middle."""


def _chinese(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    if value.startswith("临".encode()):
        value = value[3:]
    province, rest = value[:3].decode(), value[3:].lstrip(_MARKS)[1:].lstrip(_MARKS)
    if len(digits(rest)) < (3 if rest[-1:].isalnum() else 2) or data[end : end + 1].isalnum():
        return None
    if PLATE.before(data, start):
        return start, end, 0.97
    joined = data[end : end + 1] in (b".", b"-", b"_") and data[end + 1 : end + 2].isalnum()
    if joined or _LOOSE.search(_LAST.sub(b"", rest)):
        return None
    if CAR.before(data, start) or CAR.after(data, end):
        return start, end, 0.95
    word = province in "新云" and data[max(0, start - 3) : start].endswith(_PREFIXES)
    lower = value[3:].lstrip(_MARKS)[:1].islower() and (province in "新云" or len(digits(rest)) < 4)
    return None if word or lower else (start, end, 0.9)


def _apart(data: bytes, start: int, end: int) -> Found:
    """A plate whose characters stand apart."""
    value = data[start:end]
    stop = start + len(value.rstrip()) if value[-1:].isspace() or value[-1:].isalnum() else end - 1
    return (start, stop, 0.85) if len(digits(value)) > 2 or PLATE.before(data, start) else None


def _told(data: bytes, start: int, end: int) -> bool:
    """Whether a vehicle is spoken of near it."""
    return VEHICLE.before(data, start, _REACH) or VEHICLE.before(data, min(len(data), end + 32), 32)


def _mission(data: bytes, start: int, end: int) -> Found:
    """Embassies': 使 and six digits, which may also be a verb and a number."""
    number = digits(data[start:end])
    if COUNTED.after(data, end) or number.endswith("000") or data[end : end + 1].isalnum():
        return None
    bare = end - start == 9
    return (start, end, 0.85) if bare or _told(data, start, end) else None


def _service(data: bytes, start: int, end: int) -> Found:
    """Of the army, and whatever else is a plate only where a vehicle is spoken of."""
    if embedded(data, start, end) or NUMBERED.label(data, start) or not _told(data, start, end):
        return None
    return start, end, 0.8


def _foreign(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    count, size = len(digits(value)), sum(chr(byte).isalnum() for byte in value)
    if not count or not 4 <= size <= 9 or (count == size and size < 5) or embedded(data, start, end):
        return None
    first = _LISTED.search(data, max(0, start - 24), start)
    return (start, end, 0.75) if PLATE.label(data, first.start() if first is not None else start) else None


def _shaped(data: bytes, start: int, end: int) -> Found:
    """A plate's shape by itself tells little: a vehicle must be spoken of, and no thing be numbered by it."""
    if embedded(data, start, end) or COUNTED.after(data, end) or NUMBERED.label(data, start):
        return None
    if _NAMED.search(data, start, end):
        return None
    return (start, end, 0.75) if _told(data, start, end) else None


_S = r"[ .\x{b7}-]{0,2}"
_PROVINCE = "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使]"
_ANY = r"[A-Za-z0-9幺零洞拐]\x{b7}?"
_TAIL = "(?:[挂学警港澳领使试超临]|应急)"
_STATES = (
    "(?:AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|"
    "PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|ON|QC|BC|AB|NSW|VIC|QLD)"
)
_INDIAN = (
    "(?:AP|AR|AS|BR|CG|CH|DL|GA|GJ|HP|HR|JH|JK|KA|KL|LD|MH|ML|MN|MP|MZ|NL|OD|PB|PY|RJ|SK|TN|TR|TS|UK|UP|WB)"
)
_QUOTED = "|".join(quote(province) for province in "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼")
"""Provinces as links write them."""
_CYRILLIC = "[АВЕКМНОРСТУХ]"
RULES = (
    Rule(
        "LICENSE_PLATE",
        Pattern(
            rf"临?{_PROVINCE}[ \x{{b7}}]?[A-Za-z]{_S}(?:临{_S})?"
            rf"(?:[A-Ka-k]\x{{b7}}?{_ANY}(?:\d\x{{b7}}?){{3}}\d|(?:\d\x{{b7}}?){{5}}[A-Ka-k]|"
            rf"{_ANY}[ -]?{_ANY}[ -]?{_ANY}[ -]?{_ANY}[ -]?(?:{_TAIL}|[A-Za-z0-9](?:[学挂临试]|\b)))"
        ),
        _chinese,
    ),
    Rule(
        "LICENSE_PLATE",
        Pattern(rf"(?i:{_QUOTED})(?:%20|%C2%B7|%C2%A0|\+|\x{{b7}})?[A-Z](?:%20|%C2%B7|\+|\x{{b7}})?[A-HJ-NP-Z0-9]{{5,6}}\b"),
        sure(0.9),
        b"%",
    ),
    Rule("LICENSE_PLATE", Pattern(rf"{_PROVINCE} ?[A-Z](?: ?[A-Z])?(?: [A-Z0-9]){{4,6}}(?:\b|[^A-Z0-9])"), _apart),
    Rule("LICENSE_PLATE", Pattern(r"使[ .\x{b7}-]?\d{3}\x{b7}?\d{3}\b|\b\d{3}\x{b7}?\d{3}使"), _mission, "使".encode()),
    Rule(
        "LICENSE_PLATE",
        Pattern(
            rf"\bWJ{_S}(?:{_PROVINCE}{_S}\d{{4}}[0-9A-Z]\b|\d\d{_S}[警消边通森电水金]?\d{{4,5}}\b)|"
            rf"民航{_S}[A-Z]?\d{{4}}\b|[\x{{4e00}}-\x{{9fff}}]{{2,4}} ?\d{{2,3}} ?[ぁ-ん] ?[\d\x{{b7}}]{{1,2}}-?\d\d\b|"
            rf"\b\d{{2,3}}[가-힣] ?\d{{4}}\b|{_CYRILLIC} ?\d{{3}} ?{_CYRILLIC}{{2}} ?\d{{2,3}}\b"
        ),
        sure(0.85),
    ),
    Rule(
        "LICENSE_PLATE",
        Pattern(
            r"\b[VKHBSLJNGCEZ][A-EHJ-NPRV]\x{b7}?\d{5}\b|"
            r"[军空海沈北兰济南广成][A-Z][ .\x{b7}-]?\d{5}\b|"
            r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"
            r"(?:[A-Z]\x{b7}?\d{6}|\d\d[ .\x{b7}-]?\d{5}|\d{7})\b"
        ),
        _service,
        about=VEHICLE,
    ),
    Rule(
        "LICENSE_PLATE",
        Pattern(
            rf"\b(?:{_STATES}[ :#-]{{1,2}}[A-Z0-9]{{2,4}}(?:[ -]?[A-Z0-9]{{2,4}})?|"
            r"[A-Z0-9]{1,3}-[A-Z0-9]{2,3}-[A-Z0-9]{1,3}|\d[A-Z]{2}[ -]?\d[A-Z]{2}|"
            r"[A-Z]{1,3}[ \x{b7}-]{0,3}[A-Z]{0,3}[ -]?\d{1,4}[ -]?[A-Z]{0,3}|\d{1,4}[ -]?[A-Z]{2,3}[ -]?\d{0,4}|"
            r"[A-Z]{2}\d{2}[ -]?[A-Z]{3}|[A-Z0-9]{5,8}|[A-Z]{2}[ -]\d\d[ -][A-Z]{1,3}[ -]\d{4}|"
            r"[A-Z]{2,3}[ -]\d[A-Z]\d\d)\b"
        ),
        _foreign,
        about=PLATE,
        near=True,
    ),
    Rule(
        "LICENSE_PLATE",
        Pattern(
            r"\b(?:[A-Z]{2}\d\d ?[A-Z]{3}|[A-Z]{2}[ -]\d{3}[ -][A-Z]{2}|[A-Z]{1,3}-[A-Z]{1,2}[ -]?\d{2,4}[EH]?|"
            r"\d{4}[ -][B-DF-HJ-NPR-TV-Z]{3}|[A-Z]{2}-\d{3}-[A-Z]|[A-Z]-\d{3}-[A-Z]{2}|\d\d-[A-Z]{3}-\d|"
            r"\d-[A-Z]{3}-\d\d|"
            rf"{_INDIAN}[ -]?\d\d[ -]?[A-Z]{{1,3}}[ -]?\d{{4}}|S[A-Z]{{2}} ?\d{{3,4}} ?[A-Z]|[A-Z]{{3}}\d[A-Z]\d\d|"
            rf"{_STATES}[ :#-]{{1,2}}(?:[A-Z]{{2,4}}[ -]?\d{{2,4}}|\d{{2,4}}[ -]?[A-Z]{{2,4}}|\d[A-Z]{{3}}\d{{3}})|"
            r"[A-Z]{1,2} \d{3,4} [A-Z]{2,3}|\d[A-Z]{3}\d{3})\b"
        ),
        _shaped,
        about=VEHICLE,
    ),
)
