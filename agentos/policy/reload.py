"""The set of rules in force, and how it is replaced when the owner's files change.

The folder is looked at when a decision is asked for, at most once a second, and not by a task or a watcher: a task
that died or was held up would leave old rules in force without anybody noticing, while a decision that looks itself can
be relied on. One that is made a second after a file was written is made by what was written. A look costs a `stat` for
each file (about 10 µs), a change some 12 ms of compiling, once. The package's own files are read with each set and are
not watched: they change with an installation, which is followed by a restart.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cedarpy

from agentos.errors import Failed, UserError
from agentos.policy.entities import Parties, grapher
from agentos.policy.rules import Rule, Rules, RulesError, added, compile_rules, is_policy, shipped
from agentos.policy.schema import Shape, cedar_schema, shape
from agentos.registry import Registry
from agentos.types import Timestamp

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two looks at the folder."""
SETTLED = 0.1
"""Seconds for which a file must not have changed: until then somebody may be writing it, or the next of several."""


@dataclass(frozen=True)
class Loaded:
    """All that one decision reads; replaced as one."""

    rules: Rules
    shapes: Mapping[str, Shape]
    files: Mapping[str, str]
    """What it was made from: file to text."""
    graph: Callable[[Parties], cedarpy.Entities]
    """The entities of a request, parsed; the last thousand are kept."""
    since: Timestamp


@dataclass(frozen=True)
class Refused:
    """Files that were not taken in."""

    time: Timestamp
    faults: tuple[str, ...]
    """Each with file and line."""


@dataclass(frozen=True)
class InForce:
    """What is decided by, and since when."""

    rules: tuple[Rule, ...]
    since: Timestamp
    folder: str
    """Where the owner's files are."""
    refused: Refused | None
    """Why the files as they are now are not in force; None where they are."""


class Told(Protocol):
    """Records which rules are in force."""

    def taken(self, files: Mapping[str, str], rules: int) -> None:
        """Records rules that are about to be; Failed: it could not, and those before must stay."""
        ...

    def broken(self, files: Sequence[str], faults: int) -> None:
        """Records that files were not taken in."""
        ...


@dataclass(frozen=True)
class _Seen:
    """What tells one state of the folder from another."""

    entries: tuple[tuple[Any, ...], ...] = ()
    newest: Timestamp = field(default=0.0, compare=False)
    """When a file was changed last, by the file system's clock."""


class Reloading:
    """Holds the set in force."""

    def __init__(
        self, registry: Registry, folder: Path | None, clock: Callable[[], float] = time.time, told: Told | None = None
    ) -> None:
        """Reads every rule: the package's, and the owner's in `folder` (a file named like one of ours replaces it).

        Args:
            registry: The syscalls, for the schema.
            folder: The owner's; it need not exist.
            clock: Seconds since the epoch.
            told: Told of each set before it is in force.

        Raises:
            UserError: the rules make no set; file and line are named.
            Failed: the set could not be recorded.
        """
        self._registry, self._folder, self._clock, self._told = registry, folder, clock, told
        self._lock = threading.Lock()
        now = clock()
        self._looked, self._next = now, now + EVERY
        seen = _look(folder)
        self._seen = None if _fresh(seen, now) else seen
        self._loaded = self._recorded(self._compiled(self._texts(), now))
        self._refused: Refused | None = None

    def current(self) -> Loaded:
        """The set in force, by the files as they are or were less than a second ago."""
        if self._folder is not None and not self._looked <= self._clock() < self._next:
            with self._lock:
                now = self._clock()
                if not self._looked <= now < self._next:  # else another thread has looked meanwhile
                    self._follow(self._folder, now)
        return self._loaded

    def reload(self) -> None:
        """Takes in rules and syscalls that have changed; on an error the old set stays in force.

        Raises:
            UserError: as when it was made.
            Failed: the set could not be recorded.
        """
        with self._lock:
            self._loaded = self._recorded(self._compiled(self._texts(), self._clock()))
            self._refused = None

    def state(self) -> InForce:
        """What is in force now, and what is not."""
        loaded = self.current()
        return InForce(tuple(loaded.rules.rules.values()), loaded.since, str(self._folder or ""), self._refused)

    def _follow(self, folder: Path, now: float) -> None:
        """Takes in the folder if it has changed, whole or not at all."""
        self._looked, self._next = now, now + EVERY
        seen = _look(folder)
        if seen == self._seen:
            return
        if _fresh(seen, now):
            self._next = now + SETTLED
            return
        try:
            files = self._texts()
            if _look(folder) != seen:  # it changed while it was read
                self._next = now + SETTLED
                return
            self._take(files, now)
            self._seen = seen
        except Failed as error:  # nothing is in force that is not on record; it is tried again a second from now
            log.warning("policies: not taken in, and the rules before stay in force: %s", error)
        except Exception as error:  # whatever is wrong with a file, it must not stop decisions: the old set holds
            self._seen = seen
            self._refuse(error, now)

    def _take(self, files: Mapping[str, str], now: float) -> None:
        if files != self._loaded.files:
            # The syscalls stay those of the set before: a file is no reason to govern anything anew.
            self._loaded = self._recorded(_compiled(files, self._loaded.shapes, now))
            log.info("policies: %d rules are in force, as the files in %s say now", len(self._loaded.rules.rules),
                     self._folder)
        elif self._refused:
            log.info("policies: the files in %s are again those in force", self._folder)
        self._refused = None

    def _refuse(self, error: Exception, now: float) -> None:
        if isinstance(error, RulesError):
            faults = tuple(map(str, error.faults))
        else:
            faults = (str(error) if isinstance(error, UserError) else f"the policies fail with {type(error).__name__}",)
        self._refused = Refused(now, faults)
        if self._told is not None:
            seen = self._seen.entries if self._seen else ()
            self._told.broken([name for name, *_ in seen if name], len(faults))
        for fault in faults:
            log.warning("policies: not taken in, and the rules before stay in force: %s", fault)

    def _texts(self) -> dict[str, str]:
        files = shipped()
        for path, text in (added(self._folder) if self._folder else {}).items():
            files.pop(Path(path).name, None)
            files[path] = text
        return files

    def _recorded(self, loaded: Loaded) -> Loaded:
        if self._told is not None:
            self._told.taken(loaded.files, len(loaded.rules.rules))
        return loaded

    def _compiled(self, files: Mapping[str, str], now: float) -> Loaded:
        return _compiled(files, {entry.name: shape(entry) for entry in self._registry}, now)


def _look(folder: Path | None) -> _Seen:
    """The folder's policies by name, time, size and inode. The inode's own time is there too: it cannot be set back."""
    if folder is None:
        return _Seen()
    entries: list[tuple[Any, ...]] = []
    newest = 0
    try:
        newest = os.stat(folder).st_mtime_ns  # a file that was moved away may be about to come back
        with os.scandir(folder) as found:
            for item in found:
                if not is_policy(item.name):
                    continue
                try:
                    was = item.stat()
                except OSError as error:  # a link to nowhere, or gone by now
                    entries.append((item.name, error.errno))
                    continue
                entries.append((item.name, was.st_mtime_ns, was.st_ctime_ns, was.st_size, was.st_ino))
                newest = max(newest, was.st_ctime_ns)
    except OSError as error:
        return _Seen((("", error.errno),))
    return _Seen(tuple(sorted(entries)), newest / 1e9)


def _fresh(seen: _Seen, now: float) -> bool:
    """Whether a file may be in the middle of being written; one from the future, by another machine's clock, is not."""
    return seen.newest <= now < seen.newest + SETTLED


def _compiled(files: Mapping[str, str], shapes: Mapping[str, Shape], now: float) -> Loaded:
    rules = compile_rules(files, cedar_schema(shapes.values()))
    return Loaded(rules, shapes, dict(files), grapher(rules.schema), now)
