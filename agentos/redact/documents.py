"""ID_CARD and SSN."""

from __future__ import annotations

from agentos.redact.checks import born, region, resident
from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Rule, digits, embedded, tabled
from agentos.redact.words import IDENTITY, NUMBERED, SOCIAL

_ID = Pattern(r"(?i)\bid[\s:=\"']*\z")


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


_S = r"[ .\x{b7}-]{0,3}"
RULES = (
    Rule(
        "ID_CARD",
        Pattern(
            rf"\b(?:[1-9]\d{{5}}{_S}\d{{4}}{_S}\d\d{_S}\d\d{_S}\d{{3}}{_S}[\dXx]|"
            rf"[1-9]\d\d{_S}\d{{3}}{_S}\d{{4}}{_S}\d{{4}}{_S}\d{{3}}[\dXx]|"
            rf"[1-9]\d{{3}}{_S}\d{{4}}{_S}\d{{4}}{_S}\d{{4}}{_S}\d[\dXx]|"
            r"[1-9](?:[ .\x{b7}_-]\d){16}[ .\x{b7}_-][\dXx])\b"
        ),
        _resident,
    ),
    Rule(
        "ID_CARD", Pattern(r"\b[1-9]\d{7}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}\b"), _former,
        about=IDENTITY, near=True,
    ),
    Rule("ID_CARD", Pattern(r"\b(?:[1-9]\d{15}[\dXx]|[1-9]\d{17}[\dXx])\b"), _mistyped, about=IDENTITY, near=True),
    Rule("ID_CARD", Pattern(r"\b[A-Z]{1,2}\d{6} ?\([0-9A]\)|\b[A-Z][1289]\d{8}\b"), _other),
    Rule("SSN", Pattern(r"\b\d{3}[ .\x{b7}-]{0,2}\d{2}[ .\x{b7}-]{0,2}\d{4}\b"), _social),
    Rule("SSN", Pattern(r"\b(?:\d[ .\x{b7}-]{1,3}){8}\d\b"), _apart, about=SOCIAL, near=True),
)
