"""What rules mask in a reply: private values by typed placeholders, all else by `***`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import regex

from agentos.policy.output import Rule
from agentos.redact import Redactor, find
from agentos.redact.keys import SHAPES
from agentos.redact.redactor import AHEAD
from agentos.redact.shadow import Shadow

MASK = "***"
WIDEST = 4096
"""The longest match that a stream waits for; a rule that may match more is decided when the reply is complete."""
_PLAIN = ""
_UNBROKEN = {"API_KEY"}
"""Kinds whose values have no spaces in them but for private keys: a stream holds unbroken runs back anyhow, and where
no such key has begun it waits for no more, so that what holds none comes word by word."""
_BEGUN, _PRIVATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*-{0,4}\Z"), b"PRIVATE KEY"
_WORDS = re.compile(r"[A-Za-z \t\n.,;:!?()\"'*#\u3400-\u9fff\u3001\u3002\uff0c\uff1a\uff1b\uff1f\uff01]{1,200}")
"""Prose: nothing else is looked at twice."""
_LAST = re.compile(r"[^\s\u3001-\u9fff]*\Z")
_SHAPE = regex.compile(SHAPES, regex.ASCII)
_ANY = "7Qz9fK2mX4vB8nR1tY6wJ3"
"""What a key might go on with, where the words before it make it one."""
_CLOSING = {'"': '"', "'": "'", "`": "`", "“": "”"}
_HEADER = 128
"""How far back the first line of a private key may begin that is not complete yet."""


@dataclass(frozen=True)
class _Span:
    start: int
    end: int
    kind: str


class Masks(Redactor):
    """A redactor of what rules name."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Rules that mask."""
        super().__init__()
        self._finders = [finder for rule in rules for finder in rule.finders]
        self._kinds = {kind for rule in rules for kind in rule.entities}
        self._width = max((rule.width for rule in rules), default=0)
        self._ahead = max(AHEAD if self._kinds - _UNBROKEN else 1, int(min(self._width, WIDEST)) + 1)

    @property
    def bounded(self) -> bool:
        """Whether a stream can be masked while it comes."""
        return self._width <= WIDEST

    def waits(self, held: str) -> int:
        """How much of the end of a text is held back while more of it may come."""
        if not self._kinds:
            return self._ahead
        data = Shadow(held).data
        begun = _HEADER if _BEGUN.search(data, max(0, len(data) - _HEADER)) else 1
        return max(self._ahead, begun, AHEAD if _PRIVATE in data else 1)

    def idle(self, behind: str, held: str) -> bool:
        """Whether a piece is prose, of which no key can be the beginning: it need not wait for the word's end."""
        if self._finders or self._kinds - _UNBROKEN or not _WORDS.fullmatch(held):
            return False
        text = behind[-_HEADER:] + held
        if self.waits(text) > 1:
            return False
        last = _LAST.search(text)
        assert last is not None
        run = last.group()
        if any(_SHAPE.match(run[at.start() :], partial=True) for at in re.finditer(r"\b\w", run, re.ASCII)):
            return False
        ends = ["", *(_CLOSING[mark] for mark in {*text} & {*_CLOSING})]
        return all(item.end <= len(text) for end in ends for item in find(text + _ANY + end, self._kinds))

    def mask(self, text: str) -> str:
        """A whole text."""
        self.reserve(text)
        return self.replace(text, self.parts(text))

    def parts(self, text: str, start: int = 0) -> Sequence[_Span]:
        """What is masked that begins at `start` or later; what overlaps is one part."""
        found = [
            _Span(item.start, item.end, item.kind)
            for item in (find(text, self._kinds) if self._kinds else ()) if item.start >= start
        ]
        data = text.encode("utf-8", "replace")
        begin = start if text.isascii() else len(text[:start].encode("utf-8", "replace"))
        for finder in self._finders:
            byte, char = begin, start
            for first, last in finder.spans(data, begin):
                one = char + len(data[byte:first].decode("utf-8", "replace"))
                other = one + len(data[first:last].decode("utf-8", "replace"))
                found.append(_Span(one, other, _PLAIN))
                byte, char = last, other
        return _apart(found)

    def _placeholder(self, kind: str, value: str) -> str:
        return MASK if kind == _PLAIN else super()._placeholder(kind, value)


def _apart(found: list[_Span]) -> list[_Span]:
    kept: list[_Span] = []
    for span in sorted(found, key=lambda each: (each.start, -each.end)):
        if kept and span.start < kept[-1].end:
            last = kept[-1]
            kind = last.kind if span.end <= last.end and span.kind == last.kind else _PLAIN
            kept[-1] = _Span(last.start, max(last.end, span.end), kind)
        else:
            kept.append(span)
    return kept
