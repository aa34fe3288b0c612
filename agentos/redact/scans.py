"""Numbers that a scan or the end of a line broke: letters read for digits, and values that go on in the next line."""

from __future__ import annotations

from agentos.redact.checks import born, iban, issuer, luhn, region, resident
from agentos.redact.entity import Kind
from agentos.redact.patterns import Pattern
from agentos.redact.rules import Family, Found, Judge, Rule, digits
from agentos.redact.words import CALL, CARD, IDENTITY, NUMBERED, PHONE, SOCIAL, Words

_READ = bytes.maketrans(b"OoQDIlZSB", b"000011258")
_MARKS = b" .-\t\r\n|>*+"
_MOBILE = Pattern(r"\A(?:86)?1[3-9]\d{9}\z|\A1?[2-9]\d\d[2-9]\d{6}\z|\A0\d{9,10}\z")


def _meant(value: bytes) -> str:
    """The digits that letters were read for."""
    return digits(value.translate(_READ)) + ("X" if value[-1:] in b"xX" else "")


def _whole(kind: Kind, number: str) -> bool:
    """Whether such digits can be a value of that kind."""
    size = len(number)
    if kind == "ID_CARD":
        if size == 15:
            return region(number) and born("19" + number[6:8], number[8:10], number[10:12])
        whole = size == 18 and number[:17].isdigit() and region(number)
        return whole and born(number[6:10], number[10:12], number[12:14])
    if not number.isdigit():
        return False
    if kind == "BANK_CARD":
        return 13 <= size <= 19 and issuer(number)
    return size == 9 if kind == "SSN" else _MOBILE.within(number.encode())


def _misread(kind: Kind, words: Words) -> Judge:
    """Digits with some letters that look like digits, after a word that says what they are."""

    def judge(data: bytes, start: int, end: int) -> Found:
        value = data[start:end]
        bare = value.translate(None, _MARKS)
        letters = len(bare) - len(digits(bare)) - (bare[-1:] in b"xX")
        if not letters or letters > len(bare) // 2 or not words.before(data, start, 64):
            return None
        return (start, end, 0.75) if _whole(kind, _meant(bare)) else None

    return judge


def _wrapped(kind: Kind, words: Words) -> Judge:
    """Digits that go on in the next line, where words or check digits tell."""

    def judge(data: bytes, start: int, end: int) -> Found:
        value = data[start:end].translate(None, _MARKS)
        number = digits(value) + ("X" if value[-1:] in b"xX" else "")
        if not _whole(kind, number) or NUMBERED.label(data, start):
            return None
        right = resident(number) if len(number) == 18 and kind == "ID_CARD" else kind == "BANK_CARD" and luhn(number)
        sure = right or kind == "ID_CARD" or (kind == "BANK_CARD" and b" " in data[start:end].strip())
        told = words.before(data, start, 160) if sure else words.label(data, start)
        return (start, end, 0.8) if told or (right and kind == "ID_CARD") else None

    return judge


def _account(data: bytes, start: int, end: int) -> Found:
    """An IBAN that goes on in the next line; its check digits must be right."""
    number = data[start:end].translate(None, _MARKS).decode().upper()
    return (start, end, 0.95) if 15 <= len(number) <= 34 and iban(number) else None


_S = r"[ .-]?"
_LETTER = "[OoQDIlZSB]"
_LIKE = "[0-9OoQDIlZSB]"
_BREAK = r"[ \t|]{0,40}\r?\n[ \t|>*]{0,80}"
_NUMBERS: tuple[tuple[Kind, Words, str], ...] = (
    ("ID_CARD", IDENTITY, rf"\b[1-9IlZSB]{_LIKE}(?:{_S}{_LIKE}){{12,15}}{_S}[0-9OoQDIlZSBXx]\b"),
    ("BANK_CARD", CARD, rf"\b[2-6IlZSB](?:{_S}{_LIKE}){{12,18}}\b"),
    ("SSN", SOCIAL, rf"\b{_LIKE}{{3}}[ -]{_LIKE}{{2}}[ -]{_LIKE}{{4}}\b"),
    ("PHONE", PHONE, rf"(?:\b|\+|\()(?:86[ -]?)?[01Il2-9](?:[ .()-]{{0,2}}{_LIKE}){{9,10}}\b"),
)
MISREAD = Family(
    Pattern(rf"\d{_LETTER}+[ .-]?\d|\b{_LETTER}{{1,3}}\d\d|\d\d{_LETTER}{{1,3}}\b"),
    tuple(Rule(kind, Pattern(shape), _misread(kind, words), about=words, near=True) for kind, words, shape in _NUMBERS),
)
WRAPPED = Family(
    Pattern(rf"[A-Z0-9] ?{_BREAK}[A-Z0-9]{{2}}"),
    (
        Rule("ID_CARD", Pattern(rf"\b[1-9]\d{{3,16}}{_BREAK}\d{{1,14}}[\dXx]\b"), _wrapped("ID_CARD", IDENTITY)),
        Rule(
            "BANK_CARD",
            Pattern(
                rf"\b[2-6]\d{{3}}(?:[ -]?\d{{4}}){{0,3}}[ -]?{_BREAK}"
                rf"\d{{4}}(?:[ -]?\d{{4}}){{0,3}}(?:[ -]?\d{{1,3}})?\b|\b[2-6]\d{{5,17}}{_BREAK}\d{{1,13}}\b"
            ),
            _wrapped("BANK_CARD", CARD),
            about=CARD,
        ),
        Rule(
            "PHONE",
            Pattern(rf"\b1[3-9]\d[ -]?\d{{0,4}}[ -]?{_BREAK}\d{{0,4}}[ -]?\d{{4}}\b"),
            _wrapped("PHONE", CALL),
            about=PHONE,
        ),
        Rule(
            "IBAN",
            Pattern(
                rf"\b[A-Z]{{2}}\d\d(?: ?[A-Z0-9]{{2,4}}){{2,6}} ?{_BREAK}[A-Z0-9]{{2,4}}(?: ?[A-Z0-9]{{1,4}}){{0,6}}\b"
            ),
            _account,
        ),
    ),
)
