"""What is kept private: its files are sealed where they lie, under all their names, and opened while they are used.

What a name was before is removed and not overwritten: a disk may keep its blocks until it needs them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from agentos.errors import Failed
from agentos.sealing import sync
from agentos.sealing.files import Vault, home_of, is_sealed, size_of, written

_MEMORY = Path("/dev/shm")
_OPEN = "open"
_TURN = threading.Lock()
"""Held while files are changed: of two who ask at once, the second would seal what is sealed."""


@dataclass(frozen=True)
class Sealed:
    """What was changed."""

    files: int
    size: int
    """Bytes of them in clear."""
    elsewhere: int
    """How many other names of theirs lie outside the home, and were left in clear."""


def change(home: Path, paths: Iterable[Path], private: bool) -> Sealed:
    """Seals files, or opens them for good, under every name that they have in a home; done already, it does nothing.

    Killed, it leaves each name whole, sealed or not: asked for again, it goes on.

    Raises:
        Failed: the key cannot be read, a file does not open, or the disk refuses; what was done is kept.
    """
    files = size = elsewhere = 0
    vault = Vault(home)
    with _TURN:
        wanted = [path.resolve() for path in paths if is_sealed(path) != private]
        known = _names(home, wanted)
        for path in wanted:
            if is_sealed(path) == private:
                continue  # another name of one that was done
            info, length = path.stat(), size_of(path)
            names = [name for name in known.get((info.st_dev, info.st_ino), []) if name.resolve() != path]
            try:
                with _drafted(path) as draft:
                    (vault.seal if private else vault.open)(path, draft)
                    for name in names:
                        linked(draft, name)
                    draft.replace(path)  # the last: who asks again finds the others by it
                    sync(path.parent)
            except OSError as error:
                raise Failed(
                    f"{path} could not be {'sealed' if private else 'opened'} ({error.strerror}); it is as it was. Make"
                    " room on the disk, then ask again."
                ) from error
            files, size, elsewhere = files + 1, size + length, elsewhere + max(0, info.st_nlink - 1 - len(names))
    return Sealed(files, size, elsewhere)


def linked(path: Path, name: Path) -> None:
    """Puts a file under another name, too, in the place of what has it; a copy where the disk has no links.

    Raises:
        OSError: the disk refuses.
    """
    with _drafted(name) as draft:
        try:
            os.link(path, draft)
        except OSError:
            with path.open("rb") as source, written(draft) as out:
                shutil.copyfileobj(source, out)
        draft.replace(name)
        sync(name.parent)


@contextmanager
def _drafted(path: Path) -> Iterator[Path]:
    """A name beside a file for what is to take its place; what still has it at the end goes."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _names(home: Path, paths: list[Path]) -> dict[tuple[int, int], list[Path]]:
    wanted = {(info.st_dev, info.st_ino): list[Path]() for path in paths if (info := path.stat()).st_nlink > 1}
    if wanted:
        for folder, _, files in os.walk(home):
            for file in files:
                path = Path(folder, file)
                with suppress(OSError):
                    info = path.lstat()
                    if (info.st_dev, info.st_ino) in wanted:
                        wanted[info.st_dev, info.st_ino].append(path)
    return wanted


@contextmanager
def in_clear(folder: Path) -> Iterator[Path]:
    """A folder whose files are in clear for as long as this lasts: itself where none is sealed, else one of its own.

    That one is its owner's alone, and in memory where there is twice the room for it (tmpfs), else in the home.

    Raises:
        Failed: the key cannot be read, a file does not open, or there is no room.
    """
    sealed = [path for path in sorted(folder.rglob("*")) if path.is_file() and is_sealed(path)]
    if not sealed:
        yield folder
        return
    home = home_of(folder)
    sweep(home)
    place = Path(tempfile.mkdtemp(prefix=f"{_prefix()}{os.getpid()}-", dir=_place(home, sum(map(size_of, sealed)))))
    try:
        vault = Vault(home)
        for path in folder.rglob("*"):
            there = place / path.relative_to(folder)
            if path.is_dir():
                there.mkdir(exist_ok=True)
            elif path in sealed:
                there.parent.mkdir(parents=True, exist_ok=True)
                vault.open(path, there)
            else:
                there.parent.mkdir(parents=True, exist_ok=True)
                there.symlink_to(path)
        yield place
    except OSError as error:
        raise Failed(f"{folder} could not be opened ({error.strerror}); nothing was loaded. Make room.") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def sweep(home: Path) -> None:
    """Removes what processes that were killed left in clear."""
    for place in (_MEMORY, home / _OPEN):
        for path in place.glob(f"{_prefix()}*"):
            pid = path.name.removeprefix(_prefix()).partition("-")[0]
            if pid.isdigit() and not psutil.pid_exists(int(pid)) and path.lstat().st_uid == os.geteuid():
                shutil.rmtree(path, ignore_errors=True)


def _prefix() -> str:
    return f"agentos-{os.geteuid()}-"


def _place(home: Path, size: int) -> Path:
    with suppress(OSError):
        room = min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available // 2)
        if os.access(_MEMORY, os.W_OK) and room > size + (size >> 3):
            return _MEMORY
    place = home / _OPEN
    place.mkdir(mode=0o700, exist_ok=True)
    return place
