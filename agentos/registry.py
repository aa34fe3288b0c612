"""The syscall table: the families in `tools/`, and those that installed packages add by entry point."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from importlib import metadata, resources
from types import ModuleType

from agentos.errors import unknown
from agentos.syscall import Syscall, describe

GROUP = "agentos.syscalls"
"""Entry points of this group name modules; the entry's name is the family."""


class Registry:
    """Names to syscalls. A duplicate raises, an unknown name lists what exists."""

    def __init__(self) -> None:
        """An empty table."""
        self._entries: dict[str, Syscall] = {}
        self.version = 0
        """Grows with each change, for what is derived from the table."""

    def add(self, entry: Syscall) -> None:
        """Adds one syscall.

        Raises:
            ValueError: another syscall has that name.
        """
        if entry.name in self._entries:
            first = self._entries[entry.name].owner
            raise ValueError(f"syscall {entry.name!r} is defined twice: by {first} and by {entry.owner}")
        self._entries[entry.name] = entry
        self.version += 1

    def mounted(self, mount: str, entries: Iterable[Syscall]) -> tuple[Syscall, ...]:
        """Puts the syscalls of a mounted server in place of those it had, and gives these; none takes them all out.

        Raises:
            ValueError: one of them is not that server's, or another syscall has its name; the table is as it was.
        """
        before = tuple(entry for entry in self if entry.mount == mount)
        kept = {name: entry for name, entry in self._entries.items() if entry.mount != mount}
        for entry in entries:
            if not mount or entry.mount != mount:
                raise ValueError(f"syscall {entry.name!r} is not of the server {mount!r}")
            if entry.name in kept:
                raise ValueError(f"syscall {entry.name!r} is defined already: by {kept[entry.name].owner}")
            kept[entry.name] = entry
        self._entries = kept
        self.version += 1
        return before

    def own(self) -> Registry:
        """The table without what mounted servers carry out."""
        table = Registry()
        for entry in self:
            if not entry.mount:
                table.add(entry)
        return table

    def add_module(self, module: ModuleType, family: str, owner: str = "agentos") -> None:
        """Adds every marked function that the module itself defines."""
        for value in vars(module).values():
            if hasattr(value, "__syscall__") and value.__module__ == module.__name__:
                self.add(describe(value, family, owner))

    def __getitem__(self, name: str) -> Syscall:
        """The syscall of that name.

        Raises:
            NotFound: there is none; near names are listed.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise unknown("syscall", name, list(self._entries)) from None

    def __contains__(self, name: object) -> bool:
        """Whether a syscall has that name."""
        return name in self._entries

    def __iter__(self) -> Iterator[Syscall]:
        """The syscalls by name."""
        return iter(sorted(self._entries.values(), key=lambda entry: entry.name))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._entries)


def installed() -> Registry:
    """The table of this installation.

    Raises:
        ValueError: two packages define one name.
        TypeError: a syscall's signature is not complete.
    """
    table = Registry()
    for file in sorted(resources.files("agentos.tools").iterdir(), key=lambda item: item.name):
        if file.name.endswith(".py") and not file.name.startswith("_"):
            family = file.name[:-3]
            table.add_module(importlib.import_module(f"agentos.tools.{family}"), family)
    for point in metadata.entry_points(group=GROUP):
        owner = point.dist.name if point.dist else point.module
        table.add_module(point.load(), point.name, owner)
    return table
