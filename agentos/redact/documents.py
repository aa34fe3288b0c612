"""ID_CARD, SSN, PASSPORT and LICENSE_PLATE."""

from __future__ import annotations

import re

from agentos.redact.checks import born, region, resident
from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Rule, digits, embedded, tabled
from agentos.redact.words import CAR, COUNTED, IDENTITY, NUMBERED, PASSPORT, PLATE, SOCIAL, UNDATED

_NUMBERS = re.compile(rb"\b(?:[A-Z]{1,2}[ -]?\d{3,4}[ -]?\d{4,5}|\d{9})\b")
_DATE = Pattern(r"\A(?:19|20)\d{6}\z")
_ID = Pattern(r"(?i)\bid[\s:=\"']*\z")
_PREFIXES = tuple(map(str.encode, "最更全创崭里讯为度上有重刷翻焕华清革多合边"))
"""Characters that make another word of a 新 or 云 after them."""


def _resident(data: bytes, start: int, end: int) -> Found:
    number = digits(data[start:end]) + ("X" if data[end - 1] in b"xX" else "")
    if len(number) != 18:
        return None
    dated = region(number) and born(number[6:10], number[10:12], number[12:14])
    right = resident(number)
    if IDENTITY.before(data, start):
        return (start, end, 0.99 if right else 0.85) if right or region(number) or number[17] == "X" else None
    if not dated or embedded(data, start, end) or tabled(data, start, end):
        return None
    counted = NUMBERED.label(data, start) and not _ID.within(data[max(0, start - 8) : start])
    return None if counted and not right else (start, end, 0.98 if right else 0.8)


def _former(data: bytes, start: int, end: int) -> Found:
    """Resident ids of 15 digits, as they were made until 1999."""
    number = digits(data[start:end])
    if not region(number) or not born("19" + number[6:8], number[8:10], number[10:12]):
        return None
    return (start, end, 0.75) if IDENTITY.before(data, start) and not embedded(data, start, end) else None


def _mistyped(data: bytes, start: int, end: int) -> Found:
    """Resident ids with a digit too few or too many, where words tell."""
    number = digits(data[start:end])
    dated = region(number) and born(number[6:10], number[10:12], number[12:14])
    return (start, end, 0.75) if dated and IDENTITY.before(data, start) and not embedded(data, start, end) else None


def _apart(data: bytes, start: int, end: int) -> Found:
    """Social security numbers whose digits stand apart."""
    return (start, end, 0.75) if SOCIAL.before(data, start) and not embedded(data, start, end) else None


def _other(data: bytes, start: int, end: int) -> Found:
    """Hong Kong's, whose check digit is in brackets; Taiwan's where words tell."""
    if embedded(data, start, end):
        return None
    if data[start:end].endswith(b")"):
        return start, end, 0.85
    return (start, end, 0.7) if IDENTITY.label(data, start) else None


def _social(data: bytes, start: int, end: int) -> Found:
    number = digits(data[start:end])
    if embedded(data, start, end):
        return None
    if SOCIAL.before(data, start):
        return start, end, 0.9
    possible = number[:3] not in ("000", "666") and number[0] != "9" and number[3:5] != "00" and number[5:] != "0000"
    dashed = data[start:end].count(b"-") == 2
    return (start, end, 0.8) if dashed and possible and not NUMBERED.label(data, start) else None


def _passport(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    labelled = PASSPORT.label(data, start)
    if len(digits(value)) < (3 if labelled else 5) or _DATE.within(value):
        return None
    if embedded(data, start, end) or COUNTED.after(data, end):
        return None
    if labelled:
        return start, end, 0.9
    lettered = value[:1].isalpha()
    if not lettered and len(value) != 9:
        return None
    lead = data[max(0, start - 48) : start]
    named = max(lead.lower().rfind(b"passport"), lead.rfind("照".encode()), lead.rfind("证".encode()), 0)
    others = _NUMBERS.sub(b"", lead[named:])  # one passport may follow another
    if PASSPORT.before(data, start) and not digits(others) and not UNDATED.label(data, start):
        return start, end, 0.75
    return (start, end, 0.7) if lettered and PASSPORT.after(data, end) else None


def _chinese(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    province, rest = value[:3].decode(), value[4:]
    if len(digits(rest)) < (3 if rest[-1:].isalnum() else 2) or data[end : end + 1].isalnum():
        return None
    if PLATE.before(data, start):
        return start, end, 0.97
    if data[end : end + 1] in (b".", b"-", b"_") and data[end + 1 : end + 2].isalnum():
        return None
    if CAR.before(data, start) or CAR.after(data, end):
        return start, end, 0.95
    word = province in "新云" and data[max(0, start - 3) : start].endswith(_PREFIXES)
    return None if word or value[3:4].islower() else (start, end, 0.9)


def _foreign(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    count, size = len(digits(value)), sum(chr(byte).isalnum() for byte in value)
    if not count or not 4 <= size <= 9 or (count == size and size < 5) or embedded(data, start, end):
        return None
    return (start, end, 0.75) if PLATE.label(data, start) else None


_S = r"[ .\x{b7}-]{0,3}"
_ANY = "[A-HJ-NP-Za-hj-np-z0-9]"
RULES = (
    Rule("ID_CARD", Pattern(rf"\b[1-9]\d{{5}}{_S}\d{{4}}{_S}\d\d{_S}\d\d{_S}\d{{3}}{_S}[\dXx]\b"), _resident),
    Rule("ID_CARD", Pattern(rf"\b[1-9]\d\d{_S}\d{{3}}{_S}\d{{4}}{_S}\d{{4}}{_S}\d{{3}}[\dXx]\b"), _resident),
    Rule("ID_CARD", Pattern(rf"\b[1-9]\d{{3}}{_S}\d{{4}}{_S}\d{{4}}{_S}\d{{4}}{_S}\d[\dXx]\b"), _resident),
    Rule(
        "ID_CARD", Pattern(r"\b[1-9]\d{7}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}\b"), _former,
        about=IDENTITY, near=True,
    ),
    Rule("ID_CARD", Pattern(r"\b(?:[1-9]\d{15}[\dXx]|[1-9]\d{17}[\dXx])\b"), _mistyped, about=IDENTITY, near=True),
    Rule("ID_CARD", Pattern(r"\b[A-Z]{1,2}\d{6} ?\([0-9A]\)|\b[A-Z][1289]\d{8}\b"), _other),
    Rule("SSN", Pattern(r"\b\d{3}[ .\x{b7}-]{0,2}\d{2}[ .\x{b7}-]{0,2}\d{4}\b"), _social),
    Rule("SSN", Pattern(r"\b(?:\d[ .\x{b7}-]{1,3}){8}\d\b"), _apart, about=SOCIAL, near=True),
    Rule(
        "PASSPORT",
        Pattern(
            r"\b(?:[A-Z]{1,3}[ -]?\d{6,9}|[A-Z]{1,2}[ -]?\d{3,4}[ -]?\d{4,5}|[a-z]{1,2}\d{6,9}|\d{7,9}|"
            r"[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}|\d{2}[A-Z]{2}\d{5})\b"
        ),
        _passport,
        about=PASSPORT,
    ),
    Rule(
        "LICENSE_PLATE",
        Pattern(
            r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使][A-Ha-hJ-Nj-nP-Zp-z][ .\x{b7}-]{0,2}"
            rf"(?:[A-HJKa-hjk]{_ANY}\d{{4}}|\d{{5}}[A-HJKa-hjk]|{_ANY}{{4}}(?:[挂学警港澳领使]|{_ANY}\b))"
        ),
        _chinese,
    ),
    Rule(
        "LICENSE_PLATE",
        Pattern(
            r"\b(?:[A-Z]{1,3}[ \x{b7}-]{0,3}[A-Z]{0,3}[ -]?\d{1,4}[ -]?[A-Z]{0,3}|\d{1,4}[ -]?[A-Z]{2,3}[ -]?\d{0,4}|"
            r"[A-Z]{2}\d{2}[ -]?[A-Z]{3}|[A-Z0-9]{5,8})\b"
        ),
        _foreign,
        about=PLATE,
        near=True,
    ),
)
