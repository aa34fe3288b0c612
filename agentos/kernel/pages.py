"""The table in pages: prompt prefixes that hold a few signatures each, so that no prompt grows with the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from agentos.kernel.examples import Example
from agentos.kernel.retrieval import Found
from agentos.registry import Registry
from agentos.syscall import Syscall

PAGE = 16
"""Most signatures that a prompt's prefix holds."""


def parted(table: Registry, most: int) -> list[list[Syscall]]:
    """Whole families in name order, as many as fit into a part of at most so many; one that fits nowhere is split."""
    parts: list[list[Syscall]] = [[]]
    for _, entries in groupby(table, key=lambda entry: entry.family):
        family = list(entries)
        for start in range(0, len(family), most):
            some = family[start : start + most]
            if len(parts[-1]) + len(some) > most:
                parts.append([])
            parts[-1] += some
    return parts


class Pages:
    """The pages of one table."""

    def __init__(self, table: Registry, opening: str) -> None:
        """Pages of a table, each after the same opening words."""
        pages = parted(table.own(), PAGE)
        self.prefixes = [opening + "".join(map(signature, page)) for page in pages]
        """What each page's prompts begin with."""
        self._page = {entry.name: number for number, page in enumerate(pages) for entry in page}

    def number(self, example: Example | None, entries: Sequence[Syscall] = ()) -> int:
        """The page of an example's first syscall; for small talk and the like, of the best of `entries`."""
        first = example.answer.split("(", 1)[0] if example else ""
        best = entries[0].name if entries else ""
        return self._page.get(first, self._page.get(best, 0))

    def lay(self, found: Found) -> tuple[str, tuple[str, ...]]:
        """A prompt's prefix and blocks: the page, retrieved signatures that are not on it, and the examples."""
        number = self.number(found.guess, found.entries)
        more = "".join(signature(entry) for entry in found.entries if self._page.get(entry.name) != number)
        return self.prefixes[number], (*([f"\nMore calls:\n{more}"] if more else []), shots(found.shots))

    def known(self, around: Iterable[tuple[Example, tuple[Example, ...]]]) -> list[tuple[str, tuple[str, ...]]]:
        """Each page's prefix with the blocks of examples that sentences nearest to its own examples are shown.

        Args:
            around: Each example with what is shown where it is the nearest.
        """
        blocks: list[dict[str, None]] = [{} for _ in self.prefixes]
        for nearest, shown in around:
            blocks[self.number(nearest)][shots(shown)] = None
        return [(prefix, tuple(listed)) for prefix, listed in zip(self.prefixes, blocks, strict=True)]


def signature(entry: Syscall) -> str:
    """A syscall as the model sees it: one line."""
    shown = []
    for param in entry.params:
        kind = "|".join(param.choices) or {"int": "number", "private": "text"}.get(param.kind, param.kind)
        shown.append(f"{param.name}: {kind}" + ("" if param.required else "?"))
    return f"{entry.name}({', '.join(shown)})  # {entry.doc}\n"


def shots(examples: Sequence[Example]) -> str:
    """Examples as the model sees them."""
    return "".join(f"\nUser: {example.text}\n{example.answer}\n" for example in examples) or "\n"
