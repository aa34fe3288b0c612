"""PHONE: mobiles and landlines of China, international forms, North America, and what words around call a phone."""

from __future__ import annotations

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Rule, decimal, digits, embedded, sure, tabled
from agentos.redact.words import CALL, COUNTED, NUMBER, NUMBERED, PHONE

_DAY = Pattern(r"\A(?:19|20)\d\d[-./ ]?(?:0?[1-9]|1[0-2])[-./ ]?(?:0?[1-9]|[12]\d|3[01])(?:\D|\z)")
_CODE = Pattern(r"\A\+ |\A0[1-9]")
_CHINESE, _AMERICAN = Pattern(r"\A(?:86)?1[3-9]\d{9}\z"), Pattern(r"\A1?[2-9]\d\d[2-9]\d{6}\z")
_HYPHENED = Pattern(r"\A(?:\d ?){3}-(?: ?\d ?){3}-(?: ?\d){4}\z")
_PROSE = Pattern(r"[A-Za-z]{3}|[\x{4e00}-\x{9fff}]")
_SUM = (b"= ", b"* ", b"/ ", b"< ", b"> ")


def _counted(data: bytes, start: int, end: int) -> bool:
    """Whether it is round, all alike, or followed by a unit."""
    number = digits(data[start:end])
    return len(number) - len(number.rstrip("0")) > 5 or len(set(number)) < 2 or COUNTED.after(data, end)


def _part(data: bytes, start: int, end: int) -> bool:
    """Whether it belongs to something that is no phone."""
    if embedded(data, start, end) or decimal(data[start:end]) or tabled(data, start, end):
        return True
    return NUMBERED.label(data, start)


def _mobile(data: bytes, start: int, end: int) -> Found:
    if CALL.label(data, start):
        return start, end, 0.97
    if _part(data, start, end) or _counted(data, start, end):
        return None
    if data[end : end + 1] == b"*":
        return None
    return None if _CODE.within(data[start:end]) or data[max(0, start - 2) : start] in _SUM else (start, end, 0.92)


def _spelled(data: bytes, start: int, end: int) -> Found:
    """A mobile whose digits stand apart."""
    return (start, end, 0.75) if PHONE.before(data, start) and not embedded(data, start, end) else None


def _single(data: bytes, start: int, end: int) -> Found:
    """A number given digit by digit."""
    if embedded(data, start, end) or tabled(data, start, end) or NUMBERED.label(data, start):
        return None
    number = digits(data[start:end])
    told = PHONE.before(data, start, 72) or NUMBER.before(data, start, 72)
    line = data[max(0, start - 200) : start].rpartition(b"\n")[2]
    if _CHINESE.within(number.encode()):
        return (start, end, 0.75) if told or _PROSE.within(line) else None
    if _AMERICAN.within(number.encode()):
        return (start, end, 0.75) if told or _HYPHENED.within(data[start:end]) else None
    return (start, end, 0.65) if told and number[0] == "0" and 9 < len(number) < 12 else None


def _landline(data: bytes, start: int, end: int) -> Found:
    if CALL.label(data, start):
        return start, end, 0.95
    plain = data[start:end].isdigit()
    if _part(data, start, end) or (plain and not PHONE.before(data, start)):
        return None
    return start, end, 0.7 if plain else 0.85


def _international(data: bytes, start: int, end: int) -> Found:
    if not 8 <= len(digits(data[start:end])) <= 15 or data[max(0, start - 1) : start].isalnum():
        return None
    if embedded(data, start + 1, end) or tabled(data, start, end) or _counted(data, start, end):
        return None
    inner = data[start + 1 : end]
    if CALL.label(data, start):
        return start, end, 0.97
    return None if inner.startswith(b" ") or decimal(inner) or _DAY.within(inner) else (start, end, 0.9)


def _american(data: bytes, start: int, end: int) -> Found:
    if CALL.label(data, start):
        return start, end, 0.95
    if _part(data, start, end) or COUNTED.after(data, end):
        return None
    made = data[start:end]
    if b"-" in made or b"(" in made or made.count(b".") > 1:
        return start, end, 0.85
    return (start, end, 0.7) if PHONE.before(data, start) and not _counted(data, start, end) else None


def _zeroed(data: bytes, start: int, end: int) -> Found:
    """National forms that begin with 0 and are grouped by dashes: 03-1234-5678, 090-1234-5678."""
    return None if _part(data, start, end) or not 10 <= len(digits(data[start:end])) <= 11 else (start, end, 0.75)


def _called(data: bytes, start: int, end: int) -> Found:
    """Any plausible number where a word for it stands before, and no other number between."""
    number = digits(data[start:end])
    if not 7 <= len(number) <= 15 or decimal(data[start:end]) or _DAY.within(data[start : end + 1]):
        return None
    groups = data[start:end].translate(None, b"()").replace(b"-", b" ").split()
    if COUNTED.after(data, end) or any(len(group) < 2 for group in groups[1:]):
        return None
    if CALL.label(data, start):
        return start, end, 0.8
    lead = data[max(0, start - 36) : start]
    if len(number) < 8 or _part(data, start, end) or digits(lead) or b"\n" in lead:
        return None
    return (start, end, 0.65) if PHONE.before(data, start, 36) else None


_S = r"[ .\x{b7}-]{0,3}"
_AREA = r"0?(?:10|2\d|[3-9]\d\d)"
RULES = (
    Rule(
        "PHONE",
        Pattern(
            rf"((?:(?:\+|\b00)86|[(（]\+?86[)）]|\b86)[ -]{{0,2}}1[3-9]\d{_S}\d{{4}}{_S}\d{{4}}|"
            rf"\b0?1[3-9]\d{_S}\d{{4}}{_S}\d{{4}}|\b1[3-9]\d{_S}\d{{3}}{_S}\d{{5}}|\b1[3-9]\d\d{_S}\d{{3}}{_S}\d{{4}}|"
            rf"\b1[3-9]\d{{3}}{_S}\d{{3}}{_S}\d{{3}})\b"
        ),
        _mobile,
    ),
    Rule(
        "PHONE",
        Pattern(
            r"(?i)\b(1[3-9]\d{9})(?:vx|wx|v\b)|"
            r"(?:\A|[^a-z0-9_])(?:v|vx|wx|tel|phone|mobile|ph|call|wechat|whatsapp)(1[3-9]\d{9})\b"
        ),
        sure(0.85),
    ),
    Rule("PHONE", Pattern(r"\b\d(?:(?:[ .\x{b7}/_]|-| - )\d){9,12}\b"), _single),
    Rule(
        "PHONE", Pattern(r"(?:\+?86[ -]?)?\b1[ .\x{b7}/-]?[3-9](?:[ .\x{b7}/-]{0,3}\d){9}\b"), _spelled,
        about=PHONE, near=True,
    ),
    Rule(
        "PHONE",
        Pattern(
            r"(?:(?:\+|\b00)86[ -]{0,2}|\b86[ -]{1,2})?"
            rf"(?:[(（]{_AREA}[)）][ -]{{0,2}}|\b{_AREA}[ .\x{{b7}}-]{{0,2}})"
            r"[2-8]\d{2,3}[ -]?\d{4}(?:(?:-|转| ?ext\.? ?|x| 转 ?)\d{1,6})?\b"
        ),
        _landline,
    ),
    Rule("PHONE", Pattern(r"\b[48]00[ -]?(?:\d{3}[ -]?\d{4}|\d{4}[ -]?\d{3})\b"), _landline),
    Rule(
        "PHONE",
        Pattern(r"\+ ?[1-9](?:[ .()/\x{b7}-]{0,3}\d){7,14}(?:,? ?(?:x|ext\.?|转) ?\d{1,5})?\b"),
        _international,
        b"+",
    ),
    Rule("PHONE", Pattern(r"\b00[1-9]\d{0,2}[ -](?:[ .()-]{0,2}\d){7,12}\b"), _called, b"00"),
    Rule(
        "PHONE",
        Pattern(
            r"(?:\b1[ .-])?(?:\([2-9]\d\d\) ?|\b[2-9]\d\d[ .\x{b7}-]?)[2-9]\d\d[ .\x{b7}-]?\d{4}"
            r"(?:,? ?(?:x|ext\.?) ?\d{1,5})?\b"
        ),
        _american,
    ),
    Rule("PHONE", Pattern(r"\b0\d{1,3}-\d{2,4}-\d{4}\b"), _zeroed, b"-"),
    Rule("PHONE", Pattern(r"\(?\b\d(?:[ .()\x{b7}-]{0,2}\d){6,14}\b"), _called, about=CALL, near=True),
)
