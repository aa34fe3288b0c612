"""Data sets on disk: a folder for each name, and its content stored once, whatever it is called."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agentos.errors import Failed, UserError, unknown
from agentos.sealing.files import Vault, is_sealed
from agentos.sealing.private import Sealed, change
from agentos.types import DataFile, Json, Lengths, Medium

MANIFEST = "dataset.json"
DATA = "data.parquet"
_STALE = 2 * 86400
"""Seconds after which nobody builds any more."""


@dataclass(frozen=True)
class Facts:
    """What is known of rows beside themselves."""

    text: tuple[str, ...] = ()
    label: str | None = None
    medium: str = "text"
    guessed: tuple[str, ...] = ()
    skipped: int = 0
    balance: dict[str, int] = field(default_factory=dict)
    lengths: list[Lengths] = field(default_factory=list)


@dataclass(frozen=True)
class Built:
    """Rows that are on disk and have no name yet."""

    path: Path
    sha256: str
    rows: int
    columns: dict[str, str]
    facts: Facts


@dataclass(frozen=True)
class Stored:
    """A data set on disk."""

    name: str
    sha256: str
    """Of its content."""
    rows: int
    size: int
    columns: dict[str, str]
    text: tuple[str, ...]
    label: str | None
    medium: Medium
    balance: dict[str, int]
    """Rows by label."""
    lengths: list[Lengths]
    guessed: tuple[str, ...]
    skipped: int
    source: str
    mark: str
    """What changes when the source does."""
    lineage: tuple[str, ...]
    user: str
    created: float
    seconds: float
    steps: list[Json]
    """What each step of cleaning did."""
    path: Path


class Shelf:
    """Reads and changes a folder of data sets."""

    def __init__(self, root: Path) -> None:
        """The store at `root`."""
        self.root = root
        self._contents = root / ".content"

    def folder(self, name: str) -> Path:
        """Where a data set of that name lies.

        Raises:
            UserError: the name cannot be one.
        """
        if not re.fullmatch(r"[^\W_][\w.-]*(/[^\W_][\w.-]*)?", name) or len(os.fsencode(name)) > 120 or name[-1] == ".":
            raise UserError(
                f"{name!r} cannot be a data set's name: letters, digits, '.', '_', '-' and at most one '/'. "
                "Nothing was stored."
            )
        return self.root / unicodedata.normalize("NFC", name).replace("/", "--")

    def get(self, name: str) -> Stored | None:
        """A stored data set, or None."""
        with contextlib.suppress(UserError):
            return read_manifest(self.folder(name))
        return None

    def need(self, name: str) -> Stored:
        """A stored data set.

        Raises:
            NotFound: there is none; the message lists what exists.
        """
        found = self.get(name)
        if found is None:
            raise unknown("data set", name, [item.name for item in self.all()])
        return found

    def all(self) -> list[Stored]:
        """Every stored data set, by name."""
        if not self.root.is_dir():
            return []
        found = (read_manifest(path) for path in sorted(self.root.iterdir()) if not path.name.startswith("."))
        return [stored for stored in found if stored is not None]

    @contextlib.contextmanager
    def begin(self) -> Iterator[Path]:
        """A folder to build in, on the same disk; what is left in it goes.

        Raises:
            Failed: the disk is full or refuses; nothing was stored.
        """
        work: Path | None = None
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=".new-", dir=self.root))
            yield work
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
            why = "the disk is full" if full else error.strerror or str(error)
            raise Failed(
                f"the data set could not be written ({why}); nothing was stored. Make room under {self.root}."
            ) from error
        finally:
            if work is not None:
                shutil.rmtree(work, ignore_errors=True)

    def finish(self, name: str, built: Built, more: dict[str, Any]) -> tuple[Stored, bool]:
        """Gives built rows a name, all at once; and whether that name is new.

        Raises:
            UserError: another content bears the name; it was left as it is.
        """
        target = self.folder(name)
        name = unicodedata.normalize("NFC", name)
        here = self._same(name, built)
        if here is not None:
            return here, False
        size = built.path.stat().st_size
        stored = Stored(
            name=name, sha256=built.sha256, rows=built.rows, columns=built.columns, path=target, size=size,
            **vars(built.facts), **more,
        )
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self.root) as holder:
            work = Path(holder) / "made"
            work.mkdir()
            self._once(built, work / DATA)
            facts = asdict(stored)
            del facts["path"]
            with (work / MANIFEST).open("w", encoding="utf-8") as stream:
                json.dump(facts, stream, ensure_ascii=False, indent=1)
                stream.flush()
                os.fsync(stream.fileno())
            try:
                work.rename(target)
            except OSError:
                here = self._same(name, built)
                if here is None:
                    raise
                return here, False
        _settle(self.root)
        return stored, True

    def _same(self, name: str, built: Built) -> Stored | None:
        here = self.get(name)
        if here is not None and here.sha256 != built.sha256:
            raise UserError(
                f"there is a data set {name!r} already, of other content; it was left as it is and nothing was stored. "
                f"Give the new one a name of its own, such as --name {self.free(name)}, or delete that one first."
            )
        return here

    def free(self, name: str) -> str:
        """A name like that one which nothing bears."""
        return next(f"{name}-{number}" for number in range(2, 10_000) if self.get(f"{name}-{number}") is None)

    def _once(self, built: Built, target: Path) -> None:
        """Puts built rows at `target`: the stored content where the same is stored already, else what was built."""
        content = self._contents / f"{built.sha256}.parquet"
        self._contents.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            _link(content, target)
            return
        _link(built.path, target)
        with contextlib.suppress(FileExistsError):
            _link(target, content)

    def file(self, stored: Stored) -> DataFile:
        """What a run reads; its path stays while a name or the trash has the content."""
        content = self._contents / f"{stored.sha256}.parquet"
        if not content.exists():
            self._contents.mkdir(exist_ok=True)
            with contextlib.suppress(FileExistsError):
                _link(stored.path / DATA, content)
        from agentos.datasets.profile import labels

        return DataFile(
            stored.name, content, stored.sha256, stored.rows, stored.text, stored.label, labels(stored.balance),
            stored.medium,
        )

    def alike(self, source: Stored, built: Built) -> None:
        """Seals what was built of a private data set.

        Raises:
            Failed: the key cannot be read.
        """
        if is_sealed(source.path / DATA):
            Vault(self.root.parent).seal(built.path, built.path)

    def private(self, name: str, private: bool) -> Sealed:
        """Makes a data set private, or no longer, with whatever else has the same content.

        Raises:
            NotFound: there is none.
            Failed: the key cannot be read, or the disk refuses.
        """
        wanted = self.need(name)
        same = [item.path / DATA for item in self.all() if item.sha256 == wanted.sha256]
        content = self._contents / f"{wanted.sha256}.parquet"
        return change(self.root.parent, [*same, *([content] if content.exists() else [])], private)

    def sweep(self) -> int:
        """Removes content that neither a name nor the trash has; the bytes that gave."""
        freed = 0
        if self.root.is_dir():
            for path in self.root.glob(".new-*"):  # left of processes that were killed
                with contextlib.suppress(OSError):
                    if time.time() - path.stat().st_mtime > _STALE:
                        shutil.rmtree(path, ignore_errors=True)
        for path in self._contents.glob("*.parquet"):
            with contextlib.suppress(OSError):
                facts = path.stat()
                if facts.st_nlink == 1 and not any(item.sha256 == path.stem for item in self.all()):
                    path.unlink()
                    freed += facts.st_size
        return freed


def read_manifest(folder: Path) -> Stored | None:
    """What a folder's manifest says, or None where it has none that can be read."""
    try:
        facts = json.loads((folder / MANIFEST).read_text("utf-8"))
        for name in ("text", "guessed", "lineage"):
            facts[name] = tuple(facts[name])
        facts["lengths"] = [Lengths(**item) for item in facts["lengths"]]
        return Stored(path=folder, **facts)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _link(source: Path, target: Path) -> None:
    """A hard link where the disk allows, a copy elsewhere."""
    try:
        os.link(source, target)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        shutil.copyfile(source, target)


def _settle(folder: Path) -> None:
    """Waits until the names in a folder are on disk."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def freed(folder: Path) -> int:
    """Bytes that come free once a data set's folder is gone for good: none where another name has its content."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.name == DATA and path.stat().st_nlink <= 2)
