"""Regular expressions that take linear time whatever they meet."""

from __future__ import annotations

import re2


class Pattern:
    """One, over UTF-8; `.` is a character, and a match is its first group that took part, or all of it."""

    def __init__(self, source: str) -> None:
        self._compiled = re2.compile(source.encode())
        self._groups: int = self._compiled.groups

    def next(self, data: bytes, start: int) -> tuple[int, int] | None:
        """Where the first match from there on is."""
        match = self._compiled.search(data, start)
        if match is None:
            return None
        for group in (*range(1, self._groups + 1), 0):
            if match.start(group) >= 0:
                break
        return match.start(group), match.end(group)

    def ends(self, data: bytes) -> list[int]:
        """Where its matches end."""
        return [match.end() for match in self._compiled.finditer(data)]

    def within(self, data: bytes) -> bool:
        """Whether it matches anywhere."""
        return self._compiled.search(data) is not None
