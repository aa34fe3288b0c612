"""How long a text a regular expression can match: what a stream must hold back so that no match leaves in part."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_PARTS = re.compile(
    r"""(?P<literal>\\Q)
    | (?P<atom>\\. | \[\^?\]?(?:\[:\^?\w+:\] | \\. | [^\]\\])*\])
    | (?P<flags>\(\?[a-zA-Z-]+\))
    | (?P<open>\((?:\?(?:P?<\w+> | [a-zA-Z-]*:))?)
    | (?P<close>\))
    | (?P<either>\|)
    | (?P<many>[*+] | \{\d+,\})
    | (?P<times>\{(?:\d+,)?(?P<most>\d+)\})
    | (?P<one>.)""",
    re.DOTALL | re.VERBOSE,
)


@dataclass
class _Open:
    """A group that is being read: its longest alternative so far, the one under way, and the last piece of that."""

    longest: float = 0
    sofar: float = 0
    last: float = 0

    def piece(self, width: float) -> None:
        self.sofar, self.last = self.sofar + width, width

    def times(self, count: float) -> None:
        more = self.last * count if self.last and count else 0  # 0 times infinity is nothing here
        self.sofar = math.inf if math.inf in (self.sofar, more) else self.sofar - self.last + more
        self.last = more

    def alternative(self) -> float:
        self.longest, self.sofar, self.last = max(self.longest, self.sofar), 0, 0
        return self.longest


def width(pattern: str) -> float:
    r"""The most characters that a match of a valid RE2 pattern has, or more; infinite where there is no bound.

    What has no width (`^`, `\b`) and escapes of several characters are counted as if each were one.
    """
    groups = [_Open()]
    for part in _PARTS.finditer(pattern):
        kind, now = part.lastgroup, groups[-1]
        if kind == "literal":
            return math.inf
        if kind == "open":
            groups.append(_Open())
        elif kind == "close" and len(groups) > 1:
            groups.pop()
            groups[-1].piece(now.alternative())
        elif kind == "either":
            now.alternative()
        elif kind == "many":
            now.times(math.inf)
        elif kind in ("times", "most"):
            now.times(int(part["most"]))
        elif kind != "flags":
            now.piece(1)
    while len(groups) > 1:
        inner = groups.pop()
        groups[-1].piece(inner.alternative())
    return groups[0].alternative()
