"""How a rule is written: a pattern over a shadow's bytes, and a judge who sees what is around."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agentos.redact.entity import Hit, Kind
from agentos.redact.patterns import Pattern, holds
from agentos.redact.words import Words

Found = tuple[int, int, float] | None
"""A value's span and confidence; None where it is nothing."""
Judge = Callable[[bytes, int, int], Found]
"""Sees the bytes and a candidate's span, and gives the value's own."""

_GAP = re.compile(rb"[^0-9A-Za-z_]")
_ROW_BEFORE, _ROW_AFTER = re.compile(rb"\d[ \t,]\Z"), re.compile(rb"[ \t]\d")
_AGAIN, _LONG = 2000, 80
_NEAR = 80
"""Bytes; more than any judge looks back, since of words that overlap one alone is known."""
_DASH, _POINT, _SLASH = b"-./"
_OTHERS = bytes(byte for byte in range(256) if not 48 <= byte <= 57)


class Finds(Protocol):
    """What finds values of one kind."""

    @property
    def kind(self) -> Kind:
        """Of what it finds."""

    def suits(self, data: bytes) -> bool:
        """Whether a text may hold one, told at less cost than looking for it."""

    def hits(self, data: bytes) -> Iterator[Hit]:
        """Every value, apart from each other."""


@dataclass(frozen=True)
class Rule:
    """One shape of one kind of value."""

    kind: Kind
    pattern: Pattern
    judge: Judge
    needs: bytes = b""
    """Bytes without which a text cannot hold one."""
    about: Words | None = None
    """Words without which this shape is nothing."""
    near: bool = False
    """Whether one of those words stands not far before every value."""
    cues: str = ""
    """Parts of words, in lower case, of which a text must hold one; told apart by spaces."""
    gate: Pattern | None = None
    """A part of the pattern that is looked for at far less cost than all of it, without which it cannot match."""

    _cues: tuple[bytes, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cues", tuple(cue.encode() for cue in self.cues.split()))

    def suits(self, data: bytes) -> bool:
        """Whether a text may hold one, told at less cost than looking for it."""
        if (self.needs and self.needs not in data) or (self._cues and not holds(data, self._cues)):
            return False
        if self.gate is not None and not self.gate.within(data):
            return False
        return self.about is None or self.about.anywhere(data)

    def hits(self, data: bytes) -> Iterator[Hit]:
        """Every value of this shape, apart from each other.

        What was refused may hide one that begins at its next group (`2024 4111 1111 1111 1111`); looking there again
        is bounded, so that tables of numbers cost no more than other text.
        """
        at, again = 0, _AGAIN
        words = self.about.ends(data) if self.near and self.about is not None else None
        while (span := self.pattern.next(data, at)) is not None:
            if words is not None:
                place = bisect_right(words, span[0])
                if place == 0 or span[0] - words[place - 1] > _NEAR:
                    if place == len(words):
                        return
                    at = max(span[1], words[place] - 1)
                    continue
            found = self.judge(data, *span)
            at = span[1]
            if found is not None:
                yield Hit(self.kind, *found)
                at = max(at, found[1])
            elif again and span[1] - span[0] < _LONG:
                again -= 1
                gap = _GAP.search(data, span[0] + 1, span[1])
                at = gap.end() if gap is not None else at


@dataclass(frozen=True)
class Family:
    """Rules of any kind that are nothing where its gate does not match: one look at the text instead of many."""

    gate: Pattern
    rules: tuple[Finds, ...]


def cued(rules: Sequence[Rule]) -> Family:
    """Such rules behind one look for the cues of them all."""
    cues = sorted({re.escape(cue) for rule in rules for cue in rule.cues.split()})
    return Family(Pattern(f"(?i){'|'.join(cues)}"), tuple(rules))


def sure(confidence: float) -> Judge:
    """A judge of shapes that admit nothing else."""
    return lambda data, start, end: (start, end, confidence)


def digits(data: bytes) -> str:
    """The digits alone."""
    return data.translate(None, _OTHERS).decode()


def decimal(data: bytes) -> bool:
    """Whether it is one number with a fraction."""
    return data.count(b".") == 1 and data.replace(b".", b"").isdigit()


def embedded(data: bytes, start: int, end: int) -> bool:
    """Whether it is a piece of something longer: a UUID, a path, a file name, a decimal, a version, a price."""
    before, last = (data[start - 2] if start > 1 else 32), (data[start - 1] if start else 32)
    following, after = (*data[end : end + 2], 32, 32)[:2]
    return (
        _alnum(last)
        or (last == _DASH and _alnum(before))
        or (last == _POINT and _digit(before))
        or (last == _SLASH and not _digit(before) and before < 128)
        or last in b"$\\"
        or _alnum(following)
        or (following == _DASH and _alnum(after))
        or (following == _POINT and (_digit(after) or 97 <= after <= 122))
        or (following == _SLASH and _alnum(after) and not _digit(after))
        or following in b"%"
    )


def tabled(data: bytes, start: int, end: int) -> bool:
    """Whether it is made of neighbours in a row of numbers."""
    if b" " not in data[start:end] and b"\t" not in data[start:end]:
        return False
    return _ROW_BEFORE.search(data, max(0, start - 2), start) is not None or _ROW_AFTER.match(data, end) is not None


def _digit(byte: int) -> bool:
    return 48 <= byte <= 57


def _alnum(byte: int) -> bool:
    return _digit(byte) or 65 <= byte <= 90 or 97 <= byte <= 122 or byte == 95
