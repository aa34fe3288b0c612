"""The table as a trained kernel reads it: a line for each syscall, as many as 48 on a sheet, without examples.

Nothing but the sentence follows a sheet, so that its states are computed once. A table of more syscalls has several
sheets; a sentence is laid on the one that fits it best, with what it may need of others named behind. What mounted
servers carry out is on no sheet: it is named behind where it fits, and changes no other sentence's prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from agentos.kernel.pages import parted
from agentos.kernel.retrieval import Found
from agentos.registry import Registry
from agentos.syscall import Syscall

SHEET = 48
"""Most syscalls of a sheet."""
OPENING = "Write the user's sentence as calls, one a line; none() where no call does it.\n"
_SHOWN = {"int": "int", "float": "float", "bool": "bool", "duration": "duration", "size": "size", "time": "time"}
_DOC = 60
"""Most letters of a syscall's description."""


@dataclass(frozen=True)
class Laid:
    """What one sentence is planned from."""

    prefix: str
    blocks: tuple[str, ...]
    entries: tuple[Syscall, ...]
    """The syscalls that are shown, which are all that a plan may hold."""


class Sheets:
    """The sheets of one table."""

    def __init__(self, table: Registry) -> None:
        """Parts it."""
        self._sheets = [tuple(sheet) for sheet in parted(table.own(), SHEET)]
        self.prefixes = [beginning(sheet) for sheet in self._sheets]
        """What each sheet's prompts begin with."""
        self._of = {entry.name: number for number, sheet in enumerate(self._sheets) for entry in sheet}

    def lay(self, found: Found) -> Laid:
        """The sheet that holds most of what fits a sentence, and what else fits."""
        weights = [0.0] * len(self._sheets)
        for entry in found.entries:
            if entry.name in self._of:
                weights[self._of[entry.name]] += found.weights.get(entry.name, 0.0) ** 2
        number = max(range(len(weights)), key=lambda at: weights[at])
        rest = tuple(entry for entry in found.entries if self._of.get(entry.name) != number)
        return Laid(self.prefixes[number], (more(rest),) if rest else (), (*self._sheets[number], *rest))


def beginning(entries: Iterable[Syscall]) -> str:
    """A sheet's text."""
    return OPENING + "".join(map(line, entries))


def more(entries: Iterable[Syscall]) -> str:
    """Syscalls of other sheets, behind a sheet."""
    return "More:\n" + "".join(map(line, entries))


def tail(sentence: str) -> str:
    """What follows a sheet; a plan follows it."""
    return f"\nUser: {sentence.strip()}\n"


def line(entry: Syscall) -> str:
    """A syscall in one line: parameters, those marked `?` that may be left out, and what it does."""
    shown = []
    for param in entry.params:
        kind = "|".join(param.choices) or _SHOWN.get(param.kind, "")
        shown.append(f"{param.name}{'' if param.required else '?'}{f': {kind}' if kind else ''}")
    return f"{entry.name}({', '.join(shown)})  # {brief(entry.doc)}\n"


def brief(doc: str) -> str:
    """The first clause of a description."""
    clause = re.split(r"[,;:.(，；：。（]\s*", doc.strip(), maxsplit=1)[0].strip()
    words = clause.split(" ")
    while len(" ".join(words)) > _DOC and len(words) > 1:
        words.pop()
    return " ".join(words)
