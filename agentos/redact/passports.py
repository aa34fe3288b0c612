"""PASSPORT: as words tell, after a nationality, and in the lines that machines read (ICAO Doc 9303)."""

from __future__ import annotations

import re

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Judge, Rule, digits, embedded
from agentos.redact.words import COUNTED, PASSPORT, UNDATED

_NUMBERS = re.compile(rb"\b(?:[A-Z]{1,2}[ -]?\d{3,4}[ -]?\d{4,5}|\d{9})\b")
_DATE = Pattern(r"\A(?:19|20)\d{6}\z")
_KNOWN = re.compile(
    rb"[A-Z]{1,3}[ -]?\d{6,9}|[A-Z]{1,2}[ -]?\d{3,4}[ -]?\d{3,5}|[a-z]{1,2}\d{6,9}|\d{9}|\d{2}[A-Z]{2}\d{5}|"
    rb"[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}|[A-Z]\d{3}[A-Z]\d{4}|[A-Z]\d{6,7}[A-Z]{1,2}"
)
_NATION = Pattern(
    r"(?:\b(?:GBR|DEU|FRA|ITA|ESP|PRT|NLD|BEL|AUT|CHE|SWE|NOR|DNK|FIN|POL|CZE|GRC|TUR|RUS|UKR|IRL|ROU|HUN|BGR|USA|"
    r"CAN|MEX|"
    r"BRA|ARG|CHL|COL|PER|CHN|HKG|MAC|TWN|JPN|KOR|IND|PAK|BGD|LKA|NPL|IDN|MYS|SGP|THA|VNM|PHL|KHM|MMR|AUS|NZL|ZAF|"
    r"NGA|KEN|"
    r"EGY|MAR|ISR|SAU|ARE|IRN|KAZ|GHA|ETH)\b|(?i:\b(?:british|german|french|italian|spanish|portuguese|dutch|"
    r"belgian|swiss|"
    r"austrian|swedish|norwegian|danish|finnish|polish|czech|greek|turkish|russian|ukrainian|irish|american|us|uk|"
    r"canadian|"
    r"mexican|brazilian|chinese|japanese|korean|indian|pakistani|indonesian|malaysian|singaporean?|thai|vietnamese|"
    r"filipino|philippine|australian|new zealand|south african|nigerian|kenyan|egyptian|israeli)\b)|"
    r"[美英德法意日韩俄泰越印加澳新]国?籍?)[\s:,，、;|/()（）\"'-]{0,8}\z"
)
_NATION_AFTER = Pattern(
    r"\A[\s,，、;|/(（\"'-]{1,4}"
    r"(?:GBR|DEU|FRA|ITA|ESP|NLD|USA|CAN|CHN|JPN|KOR|IND|ZAF|AUS|NZL|VNM|BRA|D<<)\b"
)
_YEARLY = re.compile(rb"\A..(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")


def _passport(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    labelled = PASSPORT.label(data, start)
    if len(digits(value)) < (1 if labelled else 4) or _DATE.within(value):
        return None
    if embedded(data, start, end) or COUNTED.after(data, end):
        return None
    if labelled:
        return start, end, 0.9
    return _unlabelled(data, start, end) if _KNOWN.fullmatch(value) else None


def _unlabelled(data: bytes, start: int, end: int) -> Found:
    """A passport whose word stands farther off."""
    value = data[start:end]
    if UNDATED.label(data, start):
        return None
    if _NATION.within(data[max(0, start - 32) : start]) or _NATION_AFTER.within(data[end : end + 12]):
        return start, end, 0.8
    lettered = value[:1].isalpha()
    if len(digits(value)) < 5 or (not lettered and len(value) != 9):
        return None
    lead = data[max(0, start - 48) : start]
    named = max(lead.lower().rfind(b"passport"), lead.rfind("照".encode()), lead.rfind("证".encode()), 0)
    others = _NUMBERS.sub(b"", lead[named:])  # one passport may follow another
    if PASSPORT.before(data, start) and not digits(others):
        return start, end, 0.75
    return (start, end, 0.7) if lettered and PASSPORT.after(data, end) else None


def _dated(birth: int, least: int) -> Judge:
    """A line that machines read: its number, which is followed by dates `birth` characters on.

    What stands for a digit may have been misread as the letter that looks like it.
    """

    def judge(data: bytes, start: int, end: int) -> Found:
        read = data[start:end].translate(bytes.maketrans(b"OIL", b"011"))
        if not _YEARLY.match(read[birth:]) or len(digits(read)) < least:
            return None
        return start, start + len(data[start:end].rstrip(b"<")), 0.95

    return judge


def _card(data: bytes, start: int, end: int) -> Found:
    """The number in the first of three lines."""
    stop = start + len(data[start:end].rstrip(b"<"))
    return (start, stop, 0.9) if len(digits(data[start:stop])) > 4 else None


def _other(data: bytes, start: int, end: int) -> Found:
    """Another one than the one that the word stood before: `the old one was X`, `旧的 X`."""
    return (start, end, 0.7) if PASSPORT.before(data, start, 240) and not embedded(data, start, end) else None


_DIGIT = "[0-9OIL]"
RULES = (
    Rule(
        "PASSPORT",
        Pattern(
            r"\b(?:[A-Z]{1,3}[ -]?\d{6,9}|[A-Z]{1,2}[ -]?\d{3,4}[ -]?\d{3,5}|[a-z]{1,2}\d{6,9}|\d{7,9}|"
            r"\d{2} ?\d{2} \d{6}|\d{2} \d{7}|[A-Z0-9]{7,10})\b"
        ),
        _passport,
        about=PASSPORT,
    ),
    Rule(
        "PASSPORT",
        Pattern(
            r"(?i:\b(?:old|new|current|previous|expired|other|second|renewed|replacement|valid|former)(?: one| "
            r"passport|"
            r" number| no\.?|'s|s)?|[旧新原老][的本证]?(?:号码?|护照)?|[另第前后]一?[本个二]|换发)"
            r"(?i:[ ]?(?:is|was|are|now|:|：|=|-|=>|->|是|为|换成|改成)){0,2}[ ]?"
            r"([A-Z]{1,2}\d{7,8}|[A-Z]\d{7,8}|\d{9}|\d{2}[A-Z]{2}\d{5})(?:\b|\z)"
        ),
        _other,
        about=PASSPORT,
    ),
    Rule(
        "PASSPORT",
        Pattern(
            rf"\b([A-Z0-9][A-Z0-9<]{{8}}[0-9O<][A-Z<]{{3}}{_DIGIT}{{7}}[MFX<]{_DIGIT}{{6}}[0-9OIL<]"
            rf"(?:[A-Z0-9<]{{0,16}}))(?:[^A-Z0-9<]|\z)"
        ),
        _dated(13, 15),
        b"<",
    ),
    Rule(
        "ID_CARD",
        Pattern(r"\b[IAC][A-Z<][A-Z]{3}([A-Z0-9][A-Z0-9<]{8}[0-9O<][A-Z0-9<]{15})(?:[^A-Z0-9<]|\z)"),
        _card,
        b"<",
    ),
)
