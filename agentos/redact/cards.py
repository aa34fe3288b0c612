"""BANK_CARD and IBAN."""

from __future__ import annotations

from agentos.redact.checks import IBANS, iban, issuer, luhn
from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Rule, decimal, digits, embedded, tabled
from agentos.redact.words import ACCOUNT, CARD, COUNTED, NUMBERED

_ARGUMENT = Pattern(r"\w\(\z")


def _card(data: bytes, start: int, end: int) -> Found:
    number = digits(data[start:end])
    if len(set(number)) < 2 or not 13 <= len(number) <= 19 or decimal(data[start:end]):
        return None
    if embedded(data, start, end) or COUNTED.after(data, end):
        return None
    right, known = luhn(number), issuer(number)
    counted = NUMBERED.label(data, start)
    if CARD.before(data, start) and not counted:
        told = right or known or CARD.label(data, start)
        return (start, end, 0.98 if right and known else 0.85) if told else None
    if not known or tabled(data, start, end) or (counted and not (right and end - start > len(number))):
        return None
    return _unnamed(data, start, end, number)


def _unnamed(data: bytes, start: int, end: int, number: str) -> Found:
    """A card that no word calls one."""
    size = len(number)
    grouped = end - start > size
    if luhn(number) and (grouped or size in (15, 16) or (size > 16 and number[0] == "6")):
        return None if _ARGUMENT.within(data[max(0, start - 2) : start]) else (start, end, 0.9)
    dashed = grouped and b"-" in data[start:end]
    return (start, end, 0.65) if grouped and size in (16, 19) and (dashed or not _sizes(number)) else None


def _sizes(number: str) -> bool:
    """Whether its groups are sizes or years rather than a card's digits."""
    groups = [int(number[at : at + 4]) for at in range(0, 16, 4)]
    return sum(group % 64 == 0 or group % 100 == 0 or 1900 <= group <= 2100 for group in groups) > 1


def _account(data: bytes, start: int, end: int) -> Found:
    size = IBANS.get(data[start : start + 2].decode().upper(), 0)
    places = [at for at in range(start, end) if data[at : at + 1].isalnum()]
    stop = places[size - 1] + 1 if len(places) >= size else end
    number = bytes(data[at] for at in places[:size]).decode().upper()
    if len(number) < size or data[stop : stop + 1].isalnum():
        return (start, end, 0.7) if ACCOUNT.label(data, start) and abs(len(places) - size) < 3 else None
    if not data[start + 2 : start + 3].isdigit() and not ACCOUNT.label(data, start):
        return None
    if iban(number):
        return start, stop, 0.99
    if data[start : start + 2].islower() or data[max(0, start - 1) : start] in (b"/", b"_", b"-"):
        return None
    numeric = len(digits(data[start:stop])) >= 0.6 * size and data[start : start + 2].isupper()
    return (start, stop, 0.75) if numeric or ACCOUNT.before(data, start) else None


_S = r"[ .\x{b7}-]{0,3}"
_COUNTRY = f"(?:{'|'.join(IBANS)})"
_BLOCKS = r"[ -]?\d{2}(?:[ .-]{0,2}[A-Z0-9]{2,4}){2,8}(?:[ .-]{0,2}[A-Z0-9]{1,3})?"
RULES = (
    Rule(
        "BANK_CARD",
        Pattern(
            rf"\b\d{{4}}(?:{_S}\d{{4}}){{2,3}}(?:{_S}\d{{1,4}})?\b|\b3\d{{3}}{_S}\d{{6}}{_S}\d{{4,5}}\b|"
            r"\b\d{6}[ -]\d{7,13}\b"
        ),
        _card,
    ),
    Rule("BANK_CARD", Pattern(r"\b[2-6]\d{3}(?:[/_|,]\d{4}){3}\b"), _card, about=CARD),
    Rule("BANK_CARD", Pattern(r"\b[2-6](?:[ .\x{b7}_-]\d){14,18}\b"), _card, about=CARD, near=True),
    Rule("IBAN", Pattern(rf"\b{_COUNTRY}{_BLOCKS}"), _account),
    Rule("IBAN", Pattern(rf"\b{_COUNTRY.lower()}{_BLOCKS.replace('A-Z', 'a-z')}"), _account),
    Rule("IBAN", Pattern(rf"(?i)iban[\s:=#\"'：是为]{{0,8}}({_COUNTRY}{_BLOCKS})"), _account, cues="iban"),
)
