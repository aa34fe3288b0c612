"""Regular expressions that take linear time whatever they meet."""

from __future__ import annotations

from collections.abc import Iterable

import re2

_MEMORY = 8 << 20


class Text(bytes):
    """Bytes that remember what was looked up in them."""

    def __init__(self, _data: bytes) -> None:
        self.seen: dict[object, list[int]] = {}
        self.lower_case = self.lower()


def holds(data: bytes, words: Iterable[bytes]) -> bool:
    """Whether one of these, which are in lower case, is in there in any case."""
    low = data.lower_case if isinstance(data, Text) else data.lower()
    return any(map(low.__contains__, words))


class Pattern:
    """One, over UTF-8; `.` is a character, and a match is its first group that took part, or all of it."""

    def __init__(self, source: str, *, memory: int = _MEMORY) -> None:
        """`memory` is how many bytes its automaton may take: one that outgrows them is ten times as slow."""
        options = re2.Options()
        options.max_mem = memory
        self._compiled = re2.compile(source.encode(), options)
        # What `search` wraps: around short texts, the wrapping takes several times as long as the search itself.
        self._spans = self._compiled._regexp.Match
        self._anywhere = re2._re2.RE2.Anchor.UNANCHORED

    def next(self, data: bytes, start: int) -> tuple[int, int] | None:
        """Where the first match from there on is."""
        if start > len(data):
            return None
        spans: list[tuple[int, int]] = self._spans(self._anywhere, data, start, len(data))
        if spans[0][0] < 0:
            return None
        for span in spans[1:]:
            if span[0] >= 0:
                return span
        return spans[0]

    def ends(self, data: bytes) -> list[int]:
        """Where its matches end."""
        ends: list[int] = []
        at, size = 0, len(data)
        while at <= size:
            first, last = self._spans(self._anywhere, data, at, size)[0]
            if first < 0:
                break
            ends.append(last)
            at = max(last, at + 1)
        return ends

    def within(self, data: bytes) -> bool:
        """Whether it matches anywhere."""
        return bool(self._spans(self._anywhere, data, 0, len(data))[0][0] >= 0)
