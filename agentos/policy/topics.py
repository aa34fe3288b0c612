"""What finds a rule's patterns and topics in the bytes of a reply, in time linear in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from agentos.redact.patterns import Pattern

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}"
"""Scripts that put no space between words: where one of them stands beside a word, the word ends."""
_BORDER = rf"(?:[^\pL\pM\pN_]|[{_UNSPACED}])"
_FRONT, _BACK = rf"(?:\A|{_BORDER})", rf"(?:\z|{_BORDER})"
_GAP = r"[\s\pZ]{1,4}"
_WORD = Pattern(r"[\pL\pM\pN_]")
_NO_BORDER = Pattern(f"[{_UNSPACED}]")


class Finder(Protocol):
    """Finds what a rule looks for."""

    @property
    def width(self) -> float:
        """The most characters that a match has; infinite where there is no bound."""
        ...

    def spans(self, data: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
        """Where matches are that begin at `start` or later, in order and apart; empty ones are left out."""
        ...


class Regex:
    """A regular expression in RE2's syntax, matched against the reply as it is written."""

    def __init__(self, source: str, width: float) -> None:
        """`width` as `agentos.policy.width` tells it."""
        self._pattern = Pattern(f"({source})")
        self.width = width

    def spans(self, data: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
        """Where it matches, whole."""
        at = start
        while at <= len(data) and (span := self._pattern.next(data, at)) is not None:
            if span[1] > span[0]:
                yield span
            at = span[1] if span[1] > span[0] else _after(data, span[1])


class Topics:
    """Words and phrases, whatever their case, as words of their own: `art` is not in `party`.

    Scripts without spaces have no borders: there a phrase is found anywhere. A space stands for up to four of any kind.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        """Any of these phrases."""
        said = sorted({phrase.strip() for phrase in phrases}, key=lambda phrase: (-len(phrase), phrase))
        ends: dict[tuple[bool, bool], list[str]] = {}
        for phrase in said:
            written = _GAP.join(re.escape(word) for word in phrase.split())
            ends.setdefault((_bordered(phrase[0]), _bordered(phrase[-1])), []).append(written)
        self._pattern = Pattern("(?i)" + "|".join(
            (_FRONT if before else "") + f"({'|'.join(some)})" + (_BACK if after else "")
            for (before, after), some in ends.items()
        ))
        self.width: float = max(len(phrase) + 3 * len(phrase.split()) + 2 for phrase in said)

    def spans(self, data: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
        """Where a phrase is, without what borders on it."""
        at = _before(data, start)
        while (span := self._pattern.next(data, at)) is not None:
            if span[0] >= start:
                yield span
                start = span[1]
                at = _before(data, start)  # what ends one may border on the next
            else:
                at = _after(data, span[0])


def _bordered(char: str) -> bool:
    data = char.encode("utf-8", "replace")
    return _WORD.within(data) and not _NO_BORDER.within(data)


def _before(data: bytes, at: int) -> int:
    """Where the character before one begins."""
    at = max(0, at - 1)
    while at and data[at] & 0xC0 == 0x80:
        at -= 1
    return at


def _after(data: bytes, at: int) -> int:
    """Where the character after one begins."""
    at += 1
    while at < len(data) and data[at] & 0xC0 == 0x80:
        at += 1
    return at
