"""A text that comes in pieces, let out as soon as no private value can still be hidden in its end."""

from __future__ import annotations

import re

from agentos.redact.redactor import Redactor

_BEHIND = 256
"""How much of what was let out is still looked at, for the words before a value."""
_HELD = 16384
"""The most that is held back for one unbroken value: more than any private key has."""
_BEGUN = re.compile(r"<(?:[A-Z][A-Z_]{0,30}(?:[0-9]{1,9})?)?$")
_TOKEN = re.compile(r"[!-~\u00a1-\u024f\u200b-\u2015\u2060\ufeff\uff01-\uff5e]*")
"""A run of what one value may be made of; such values with spaces in them are shorter than what is looked at ahead."""


class Stream:
    """Redacts what it is fed; its pieces together are what the whole text would have become."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._behind = ""
        self._held = ""
        self._next = 0

    def feed(self, chunk: str) -> str:
        """What can be let out now."""
        self._held += chunk
        if self._redactor.idle(self._behind, self._held):
            self._next = 0
            return self._out(len(self._held), last=True)
        if len(self._held) < self._next:
            return ""
        waits = self._redactor.waits(self._held)
        out = self._out(len(self._held) - waits) if len(self._held) > waits else ""
        # A long token is looked at again when it has grown by a part of itself: all looks together stay linear.
        self._next = max(waits + 1, len(self._held) + len(self._held) // 4)
        return out

    def close(self) -> str:
        """The rest."""
        return self._out(len(self._held), last=True)

    def _out(self, wanted: int, *, last: bool = False) -> str:
        start = len(self._behind)
        text = self._behind + self._held
        cut = start + wanted
        full = wanted >= _HELD
        if not last and not full and _token(text[cut]):
            cut -= len(_token(text[start:cut]))
        found = self._redactor.parts(text, start) if cut > start else []
        across = next((entity for entity in found if entity.start < cut < entity.end), None)
        if across is not None:
            cut = across.end if full else across.start
        self._redactor.reserve(self._held)
        shown = text[:cut]
        redacted = self._redactor.replace(shown, [entity for entity in found if entity.end <= cut])[start:]
        self._behind, self._held = shown[-_BEHIND:], text[cut:]
        return redacted


def _token(text: str) -> str:
    """The unbroken run at the end of a text."""
    run = _TOKEN.match(text[::-1])
    return run.group() if run is not None else ""


class Restored:
    """The way back: a model's answer that comes in pieces, with the real values where placeholders of ours are."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, chunk: str) -> str:
        """What can be let out now: all but the beginning of what may become a placeholder."""
        text = self._held + chunk
        begun = _BEGUN.search(text)
        cut = begun.start() if begun is not None else len(text)
        self._held = text[cut:]
        return self._redactor.restore(text[:cut])

    def close(self) -> str:
        """The rest."""
        rest, self._held = self._redactor.restore(self._held), ""
        return rest
