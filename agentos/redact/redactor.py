"""Texts without their private values, and the values put back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from agentos.redact.entity import PLACEHOLDER
from agentos.redact.finder import find


class Part(Protocol):
    """A piece of a text that something else stands for."""

    @property
    def kind(self) -> str:
        """Of what kind it is."""
        ...

    @property
    def start(self) -> int:
        """Where it begins, in code points."""
        ...

    @property
    def end(self) -> int:
        """One past its last code point."""
        ...


AHEAD = 64
"""How much of what follows a value may have a say in it, in code points."""


class Redactor:
    """Remembers which placeholder stands for which value, for as long as one conversation or one file lasts."""

    def __init__(self) -> None:
        self._placeholders: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._next: Counter[str] = Counter()
        self._foreign: set[str] = set()

    def redact(self, text: str) -> tuple[str, Mapping[str, int]]:
        """The text with placeholders, and how many values of each kind there were."""
        found = find(text)
        self.reserve(text)
        return self.replace(text, found), Counter(entity.kind for entity in found)

    def parts(self, text: str, start: int = 0) -> Sequence[Part]:
        """What a stream replaces: the private values that begin at `start` or later, in order and apart."""
        return [entity for entity in find(text) if entity.start >= start]

    def idle(self, behind: str, held: str) -> bool:
        """Whether no value begins in a piece of a stream that is not complete, whatever may follow.

        Args:
            behind: What was let out before.
            held: The piece.
        """
        return False

    def waits(self, held: str) -> int:
        """How much of the end of a text is held back while more of it may come, at least 1."""
        return AHEAD

    def reserve(self, text: str) -> None:
        """Placeholders that a text holds already, and that are not ours, are never given to a value."""
        if "<" in text:
            there = {match.group() for match in PLACEHOLDER.finditer(text)}
            self._foreign |= there - self._values.keys()

    def replace(self, text: str, found: Iterable[Part]) -> str:
        """The text with a placeholder for each of these values."""
        pieces: list[str] = []
        done = 0
        for entity in found:
            pieces += text[done : entity.start], self._placeholder(entity.kind, text[entity.start : entity.end])
            done = entity.end
        return "".join((*pieces, text[done:]))

    def _placeholder(self, kind: str, value: str) -> str:
        known = self._placeholders.get((kind, value))
        while known is None:
            self._next[kind] += 1
            made = f"<{kind}_{self._next[kind]}>"
            if made not in self._foreign:
                known = self._placeholders[kind, value] = made
                self._values[made] = value
        return known

    def restore(self, text: str) -> str:
        """The text with the real values where placeholders of ours are; what is not ours stays."""
        if not self._values or "<" not in text:
            return text
        return PLACEHOLDER.sub(self._value, text)

    def _value(self, match: re.Match[str]) -> str:
        return self._values.get(match.group(), match.group())
