"""A text as it is matched: plain digits and letters, nothing invisible, escapes decoded; and the way back."""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Iterable

from agentos.redact.patterns import Text

_ZERO = "\u200b"
_INVISIBLE = "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u3164\ufeff\uffa0"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d\u30fc"
_DOTS = "\u2022\u2027\u2219\u22c5\u30fb\uff65\u00b7\u0387"
_KEPT = "\uff01\uff0c\uff1b\uff1f\uff08\uff09\uff02\uff07\uff1c\uff1e"
"""Full-width marks that end a sentence or a value: as ASCII they would pass for part of a password."""
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": " ", "f": " ", "/": "/", '"': '"', "'": "'"}
_CODED = {"%40": "@", "%2b": "+", "%3a": ":", "&#64;": "@", "&amp;": "&", "&quot;": '"'}
_EDITS = re.compile(
    rf"""{_ZERO}+|\\{{9,}}|\\{{1,8}}(?:u[0-9a-fA-F]{{4}}|[nrtbf/"'])|\\\\|%(?:40|2[Bb]|3[Aa])|&(?:\#64|amp|quot);"""
)
_MARKS = re.compile(rf"[\\%&{_ZERO}]")
_SURROGATES = re.compile("[\ud800-\udfff]")


class _Table(dict[int, int | str]):
    """One character for each; made as characters are met."""

    def __missing__(self, code: int) -> int | str:
        made = self[code] = _plain(chr(code)) if code > 127 else code
        return made


def _plain(char: str) -> str:
    category = unicodedata.category(char)
    if char in _INVISIBLE or category == "Cf" or 0xFE00 <= ord(char) <= 0xFE0F:
        return _ZERO
    made = {"Zs": " ", "Cs": "\ufffd"}.get(category) or ("-" if char in _DASHES else "\u00b7" if char in _DOTS else "")
    if made:
        return made
    if category == "Nd":
        return str(unicodedata.decimal(char))
    folded = unicodedata.normalize("NFKC", char)
    wide = unicodedata.decomposition(char).startswith(("<wide>", "<narrow>", "<font>", "<small>"))
    return folded if wide and len(folded) == 1 and char not in _KEPT else char


_TABLE = _Table()
_OTHERS = re.compile("[^\0-\x7f\u4e00-\u9fff\u3001\u3002\uff0c]+")
"""What is not known to stand for itself."""


def _translated(found: re.Match[str]) -> str:
    return found.group().translate(_TABLE)


class Shadow:
    """The bytes that rules match, and where each came from."""

    def __init__(self, text: str) -> None:
        """Linear in the text; a plain ASCII text without escapes is its own shadow."""
        self._shadows = array("q", [0])
        self._origins = array("q", [0])
        self._widths = array("q", [1])
        plain = text if text.isascii() else _OTHERS.sub(_translated, text)
        if _MARKS.search(plain):
            plain = self._edited(plain)
        self.data: bytes = Text(plain.encode())
        self._ascii = len(self.data) == len(plain)

    def _edited(self, text: str) -> str:
        pieces: list[str] = []
        done = size = 0
        for edit in _EDITS.finditer(text):
            start, end = edit.span()
            made = _decoded(edit.group())
            if made is None:
                continue
            if start > done:
                self._segment(size, done, 1)
                pieces.append(text[done:start])
                size += start - done
            if made:
                self._segment(size, start, end - start)
                pieces.append(made)
                size += 1
            done = end
        self._segment(size, done, 1)
        pieces.append(text[done:])
        return "".join(pieces)

    def _segment(self, shadow: int, origin: int, width: int) -> None:
        self._shadows.append(shadow)
        self._origins.append(origin)
        self._widths.append(width)

    def origins(self, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Where spans of the bytes, in their order and apart from each other, are in the text as it was given."""
        made = []
        byte = char = 0
        for start, end in spans:
            if self._ascii:
                first, last = start, end
            else:
                first = char + len(self.data[byte:start].decode(errors="replace"))
                last = first + len(self.data[start:end].decode(errors="replace"))
                byte, char = end, last
            made.append((self._origin(first)[0], self._origin(last - 1)[1]))
        return made

    def _origin(self, char: int) -> tuple[int, int]:
        at = bisect_right(self._shadows, char) - 1
        start = self._origins[at] + char - self._shadows[at]
        return start, start + self._widths[at]


def _decoded(edit: str) -> str | None:
    """What stands for an escape: nothing for what cannot be seen, None where it is left as it is."""
    if edit[0] == _ZERO:
        return ""
    if edit[0] != "\\":
        return _CODED[edit.lower()]
    if edit[1] == "\\" and not edit.strip("\\"):
        return "\\" if len(edit) == 2 else None
    letter = edit.lstrip("\\")
    if letter[0] != "u":
        return _ESCAPES[letter]
    made = chr(int(letter[1:], 16)).translate(_TABLE)
    return "" if made == _ZERO else _SURROGATES.sub("\ufffd", made)
