"""Tables that fit a terminal: cells in columns, the least needed ones left out where there is no room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentos.interfaces.show import clip, width


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    title: str
    right: bool = False
    """Whether figures stand under one another by their ends."""
    rank: int = 0
    """Where there is no room, the highest goes first; 0 stays."""


def laid(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int) -> list[str]:
    """The heading and the rows as lines of at most so many terminal columns; a column without a cell is left out."""
    shown = [i for i in range(len(columns)) if any(row[i] for row in rows) or not columns[i].rank]
    cells = [[column.title for column in columns], *rows]
    wide = [max(width(row[i]) for row in cells) for i in range(len(columns))]
    while sum(wide[i] + 2 for i in shown) - 2 > room:
        worst = max(shown, key=lambda i: columns[i].rank)
        if not columns[worst].rank:
            break
        shown.remove(worst)
    return [clip(_line(row, shown, wide, columns), room) for row in cells]


def _line(row: Sequence[str], shown: Sequence[int], wide: Sequence[int], columns: Sequence[Column]) -> str:
    parts = []
    for i in shown:
        blank = " " * (wide[i] - width(row[i]))
        parts.append(blank + row[i] if columns[i].right else row[i] + blank)
    return "  ".join(parts).rstrip()
