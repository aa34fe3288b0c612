"""Another key for everything that a home has sealed, while no system runs on it; one that was killed is gone on with.

The new key is put beside the old one first (HOME/secrets.key.next) and their marks into one file: from then on both
open, and the new one seals. Then each value is sealed anew where it stands, some at a time, and each file; what opens
with the new key is done. At last the new key takes the old one's place, in one step. So at any moment everything can
be read, and what was sealed anew need not be again. What neither key opens is left as it is.
"""

from __future__ import annotations

import base64
import itertools
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agentos.config import Settings
from agentos.errors import Failed
from agentos.sealing import KEY, MARK, NONCE, KeyFile, Unreadable, derived, keyrings
from agentos.sealing.files import Reader, is_sealed, sealed, written
from agentos.sealing.keys import BYTES, content, laid, mark_of
from agentos.sealing.private import linked, sweep
from agentos.store import Store

Told = Callable[[str], None]
"""Told after each step that is on disk."""
_DRAFT = re.compile(rf"{KEY}(\.\w+)?\.\d+\.[0-9a-f]{{8}}|.+\.\d+\.[0-9a-f]{{8}}\.part")
"""Names of files that were being written."""
_AT_ONCE = 200
"""Rows of one transaction."""


@dataclass(frozen=True)
class Column:
    """Sealed values in the database."""

    table: str
    key: tuple[str, ...]
    """What a row is found by, unique and in an order."""
    values: str
    use: str
    """Of the sealer; empty where the key itself is the cipher's."""
    place: tuple[str, ...]
    """The columns that a value is bound to."""
    where: str = "1"


COLUMNS = (
    Column("secrets", ("user", "name"), "sealed", "", ("user", "name")),
    Column("jobs", ("id",), "command", "jobs", ("id",)),
    Column("jobs", ("id",), "env", "jobs", ("id",)),
    Column("results", ("rowid",), "detail", "results", ("call",)),
    Column("approvals", ("rowid",), "arguments", "held calls", ("id",)),
    Column("reviews", ("rowid",), "sealed", "held replies", ("id",)),
    Column("mounts", ("rowid",), "sealed", "mounts", ("name",)),
    Column("checkpoints", ("rowid",), "checkpoint", "runs", (), "type like '%+agentos'"),
    Column("writes", ("rowid",), "value", "runs", (), "type like '%+agentos'"),
)
LINES = (("history", "history", "line"),)
"""Files of sealed lines in the home: name, use, place."""
BEFORE = f"{KEY}.before"
"""What an old key is called, with a number, that is kept because something opened with neither."""
FOLDERS = ("models", "datasets", "trash", "runs")
"""Where sealed files are, at any depth."""


@dataclass(frozen=True)
class Rotated:
    """What was sealed anew."""

    values: int
    files: int
    unreadable: int
    """How many opened with neither key, and were left."""
    seconds: float
    store: str
    """Where the key is now: `file` or `keyring`."""


def opened(settings: Settings) -> Store:
    """The home's database, once a change of its key that was begun is done; with a key where the keyring is to have it.

    Raises:
        Failed: the key is missing or cannot be read, or the disk refuses.
        UserError: the setting `key_store` asks for a keyring that cannot be used.
    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    sweep(settings.home)
    _sweep(settings.home, keys=False)  # a prompt that has just been opened may be making the key
    file = KeyFile(settings.home / KEY, marked=True)
    if file.next is not None and file.next.exists():
        rotate(settings)
    elif file.mark is not None and file.mark.exists() and len(file.mark.read_bytes().split()) > 1:
        _settled(file)
    elif settings.key_store != "file":
        file.make(settings.key_store)
    return Store(settings.database)


def rotate(settings: Settings, told: Told = lambda step: None) -> Rotated:
    """Changes the key, or goes on with a change that was begun. No system may run on the home.

    Args:
        settings: Whose home, and where the new key goes (`key_store`).
        told: Told of each step once it is on disk.

    Raises:
        Failed: the key is missing or cannot be read, or the disk refuses; what was done is kept, and going on later
            loses nothing.
        UserError: the new key is to go to a keyring that cannot be used; nothing was changed.
    """
    began = time.perf_counter()
    file = KeyFile(settings.home / KEY, marked=True)
    file.make()
    assert file.next is not None and file.mark is not None
    if not file.next.exists():
        file.put(file.next, laid(os.urandom(BYTES), settings.key_store))
        told("made the new key")
    new = file.read()
    assert new is not None
    old = KeyFile(file.path).read()
    assert old is not None
    file.put(file.mark, mark_of(old) + b"\n" + mark_of(new) + b"\n", over=True)
    told("marked both")
    _sweep(settings.home)
    work = _Work(old, new, told)
    try:
        if settings.database.exists():
            work.database(settings.database)
        for name, use, place in LINES:
            work.lines(settings.home / name, use, place)
        for names in _files(settings.home):
            work.file(*names)
    except OSError as error:
        raise Failed(
            f"not everything could be sealed anew ({error.strerror or error}); the old key stays beside the new one,"
            " and everything can be read. Make room on the disk, then: agentos secrets rotate"
        ) from error
    before = content(file.path)
    if work.unreadable and before is not None:  # a file with one damaged chunk has others that the old key opens
        numbers = itertools.count(1)
        file.put(next(way for at in numbers if not (way := file.path.with_name(f"{BEFORE}{at}")).exists()), before)
    file.next.replace(file.path)
    told("put the new key in the old one's place")
    _settled(file)
    if before is not None and keyrings.points(before) and not work.unreadable:
        with suppress(Failed):  # an entry that nothing needs
            keyrings.forget(before)
    told("forgot the old key")
    now = content(file.path) or b""
    store = "keyring" if keyrings.points(now) else "file"
    return Rotated(work.values, work.files, work.unreadable, round(time.perf_counter() - began, 3), store)


def _settled(file: KeyFile) -> None:
    """Leaves the one mark, of the key that is there."""
    assert file.mark is not None
    key = file.read()
    if key is not None:
        file.put(file.mark, mark_of(key) + b"\n", over=True)


def _sweep(home: Path, keys: bool = True) -> None:
    """Removes what processes that were killed left of writing.

    A key among it would open what this one gives up; a file of a model's, half sealed, is none that was signed.
    """
    drafts = [path for path in home.iterdir() if keys and _DRAFT.fullmatch(path.name)]
    for name in FOLDERS:
        # Nothing is removed behind a link that a job may have made.
        drafts += (path for path in _within(home / name, name == "models") if _DRAFT.fullmatch(path.name))
    for draft in drafts:
        draft.unlink(missing_ok=True)


def _files(home: Path) -> Iterator[list[Path]]:
    """Sealed files, each by all its names; where a name is a link to another disk, the one there."""
    found: dict[tuple[int, int], dict[Path, None]] = {}
    for name in FOLDERS:
        for path in _within(home / name):
            if path.is_file() and is_sealed(path):
                info = path.stat()
                found.setdefault((info.st_dev, info.st_ino), {})[path.resolve()] = None
    yield from map(list, found.values())


def _within(root: Path, links: bool = True) -> Iterator[Path]:
    """Every file at any depth, each folder once; with `links`, also in folders that were moved elsewhere."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=links):
        info = os.stat(folder)
        if (info.st_dev, info.st_ino) in seen:
            folders.clear()
            continue
        seen.add((info.st_dev, info.st_ino))
        folders.sort()
        yield from (Path(folder, file) for file in sorted(files))


class _Work:
    """Seals anew."""

    def __init__(self, old: bytes, new: bytes, told: Told) -> None:
        self._old, self._new, self._told = old, new, told
        self._made: dict[str, tuple[AESGCM, AESGCM]] = {}
        self.values = self.files = self.unreadable = 0

    def database(self, path: Path) -> None:
        store = Store(path)
        with closing(store.connection) as db:
            db.execute("pragma secure_delete=on")  # or the pages would keep what the old key opens
            there = {row[0] for row in db.execute("select name from sqlite_master where type = 'table'")}
            for column in COLUMNS:
                if column.table in there:
                    self._column(store, column)
            db.execute("pragma wal_checkpoint(truncate)")

    def _column(self, store: Store, column: Column) -> None:
        keys, wanted = ", ".join(column.key), ", ".join((*column.key, *column.place, column.values))
        marks, last = ", ".join("?" * len(column.key)), None
        while True:
            after = f"({keys}) > ({marks})" if last else "1"
            rows = store.connection.execute(
                f"select {wanted} from {column.table} where {column.where} and {after} order by {keys}"
                f" limit {_AT_ONCE}",
                last or (),
            ).fetchall()
            if not rows:
                return
            last = rows[-1][: len(column.key)]
            changed = [(value, *row[: len(column.key)]) for row in rows if (value := self._value(column, row))]
            if changed:
                with store.transaction() as db:
                    db.executemany(
                        f"update {column.table} set {column.values} = ? where ({keys}) = ({marks})", changed
                    )
                self.values += len(changed)
                self._told(f"sealed {len(changed)} of {column.table}.{column.values} anew")

    def _value(self, column: Column, row: tuple[Any, ...]) -> str | bytes | None:
        kept = row[-1]
        place = "\0".join(map(str, row[len(column.key) : -1])).encode()
        if isinstance(kept, str):
            return self.text(kept, column.use, place)
        return self._anew(kept, column.use, place) if kept else None

    def text(self, kept: str, use: str, place: bytes) -> str | None:
        """A text sealed with the new key; None where it need not or cannot be."""
        if not kept.startswith(MARK):
            return None
        try:
            sealed_ = base64.b64decode(kept.removeprefix(MARK))
        except ValueError:  # a line that was cut by a full disk
            self.unreadable += 1
            return None
        anew = self._anew(sealed_, use, place)
        return None if anew is None else MARK + base64.b64encode(anew).decode()

    def _anew(self, kept: bytes, use: str, place: bytes) -> bytes | None:
        old, new = self._ciphers(use)
        for cipher in (new, old):
            with suppress(InvalidTag, ValueError):
                plain = cipher.decrypt(kept[:NONCE], kept[NONCE:], place)
                if cipher is new:
                    return None
                nonce = os.urandom(NONCE)
                return nonce + new.encrypt(nonce, plain, place)
        self.unreadable += 1
        return None

    def _ciphers(self, use: str) -> tuple[AESGCM, AESGCM]:
        if use not in self._made:
            old, new = (derived(key, use) if use else AESGCM(key) for key in (self._old, self._new))
            self._made[use] = old, new
        return self._made[use]

    def lines(self, path: Path, use: str, place: str) -> None:
        """A file of lines, those that are sealed after a `+`, as prompt-toolkit has them."""
        if not path.is_file():
            return
        lines, changed = path.read_text("utf-8", "surrogateescape").split("\n"), 0
        for number, line in enumerate(lines):
            if line.startswith("+") and (anew := self.text(line[1:], use, place.encode())):
                lines[number], changed = "+" + anew, changed + 1
        if changed:
            with written(path) as out:
                out.write("\n".join(lines).encode("utf-8", "surrogateescape"))
            self.values += changed
            self._told(f"sealed {changed} lines of {path.name} anew")

    def file(self, path: Path, *more: Path) -> None:
        """A sealed file, by its names."""
        for key in (self._new, self._old):
            with suppress(Unreadable), path.open("rb", buffering=0) as stream:
                reader = Reader(path, stream, key)
                reader.check()
                if key != self._new:
                    sealed(reader, reader.size, path, self._new)
                    for name in more:
                        linked(path, name)
                    self.files += 1
                    self._told(f"sealed {path.name} anew")
                return
        self.unreadable += 1

