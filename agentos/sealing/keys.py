"""Key files: a key of 256 bits that its owner alone can read, and while it is changed the old one beside the new."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agentos.errors import Failed, UserError
from agentos.sealing import keyrings

KEY = "secrets.key"
STORES = ("file", "keyring", "auto")
BYTES = 32
_LONGEST = 256
"""Bytes of a key file; the name of a keyring's entry takes 40."""


class KeyFile:
    """A key of 256 bits in a file of its owner's alone, or in the keyring's entry that the file names."""

    def __init__(self, path: Path, marked: bool = False) -> None:
        """The file need not be there yet.

        Args:
            path: Where it is.
            marked: Whether a file beside it tells that key from another. What was sealed opens with no other one, so a
                key that was there once is never made anew: that it is gone is told. Such a key can be changed, too
                (rotation.py): the one that follows it is in a file beside it until nothing needs the old one.
        """
        self.path = path
        self.mark = path.with_name(f"{path.name}.id") if marked else None
        self.next = path.with_name(f"{path.name}.next") if marked else None
        self.known: bytes | None = None
        """The key that seals, as it was read last."""
        self.former: bytes | None = None
        """The one that it takes the place of, as long as something may be sealed with that."""
        self._state: tuple[tuple[int, ...] | None, ...] = ()

    def read(self) -> bytes | None:
        """The key that seals; None where there never was one. It is read again when a file has changed.

        Raises:
            Failed: it is missing, others may read it, it holds no key, or another one than before.
        """
        state = self._state_of(self.path), self._state_of(self.next)
        if self.known is not None and state[0] is not None and self._state == state:
            return self.known
        key = self._read(self.path)
        if key is None:
            if self.mark is not None and self.mark.exists():
                raise Failed(f"the key file {self.path} is missing; nothing was changed. {self._way_on}")
            return None
        self._same(key)
        following = self._read(self.next) if self.next is not None else None
        self.known, self.former = (key, None) if following in (None, key) else (following, key)
        self._state = state
        return self.known

    def opening(self) -> Iterator[bytes]:
        """Keys to open with, the likeliest first. One that was read once opens to the end of the process.

        Raises:
            Failed: as `read`, where none was read yet.
        """
        tried: list[bytes] = []
        while True:
            if self.known is None:
                self.read()
            found = next((key for key in (self.known, self.former) if key is not None and key not in tried), None)
            if found is None:
                with suppress(Failed):
                    self.read()  # it may have been changed since
                found = next((key for key in (self.known, self.former) if key is not None and key not in tried), None)
            if found is None:
                return
            tried.append(found)
            yield found

    def make(self, store: str = "file") -> bytes:
        """The key, made where there never was one.

        It is made whole under another name first, so that a crash leaves no half of a key and none is overwritten.

        Args:
            store: Where a new one is kept, see `laid`.

        Raises:
            Failed: as `read`, or the file cannot be written.
            UserError: no keyring can be used.
        """
        if (there := self.read()) is not None:
            return there
        self.put(self.path, laid(os.urandom(BYTES), store))
        made = self.read()
        assert made is not None
        return made

    @property
    def _way_on(self) -> str:
        return (
            f"Put the right one back from a copy; or delete {self.path.name}.id there to begin with a new one: what was"
            " sealed until now can then never be opened"
        )

    def _same(self, key: bytes) -> None:
        """Holds the key against the one that was here before."""
        if self.mark is None:
            return
        told = mark_of(key)
        try:
            before = self.mark.read_bytes().split()
        except FileNotFoundError:
            with suppress(Failed):  # what cannot be written now is written the next time
                self.put(self.mark, told + b"\n")
            return
        except OSError as error:
            raise Failed(f"{self.mark} cannot be read ({error.strerror}); nothing was changed") from error
        if told not in before:
            raise Failed(f"the key file {self.path} holds another key than before; nothing was changed. {self._way_on}")

    @staticmethod
    def _state_of(path: Path | None) -> tuple[int, ...] | None:
        try:
            info = path.lstat() if path is not None else None
        except OSError:
            return None
        return None if info is None else (info.st_ino, info.st_ctime_ns, info.st_size, info.st_mode)

    def _read(self, path: Path) -> bytes | None:
        data = content(path)
        if data is None:
            return None
        key = keyrings.fetch(data) if keyrings.points(data) else data
        if len(key) != BYTES:
            why = f"the key file {path} does not hold a key; nothing was changed. Put it back from a copy."
            raise Failed(why)
        return key

    def put(self, path: Path, data: bytes, over: bool = False) -> None:
        """Writes a file whole and on disk, or not at all.

        Args:
            path: Where.
            data: What it holds.
            over: Whether it takes the place of one that is there; else that stays.

        Raises:
            Failed: the disk refuses.
        """
        draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            if over:
                draft.replace(path)
            else:
                with suppress(FileExistsError):
                    os.link(draft, path)
                draft.unlink()
            sync(path.parent)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise Failed(f"the key file {path} could not be made ({error.strerror}); nothing was stored") from error


def laid(key: bytes, store: str) -> bytes:
    """What a key file holds for a key: itself, or which entry of the keyring has it now.

    Args:
        key: The key.
        store: `file`, `keyring`, or `auto`: the keyring where one can be used.

    Raises:
        UserError: no keyring can be used, or that is no store.
        Failed: the keyring refuses.
    """
    if store not in STORES:
        raise UserError(f"AGENTOS_KEY_STORE is {store!r}; it is one of {', '.join(STORES)}. Nothing was stored.")
    return keyrings.keep(key) if store == "keyring" or (store == "auto" and not keyrings.lacking()) else key


def content(path: Path) -> bytes | None:
    """The bytes of a key file; None where there is none.

    Raises:
        Failed: it is not its owner's alone, or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failed(f"the key file {path} cannot be read ({error.strerror}); nothing was changed") from error
    with open(handle, "rb") as file:
        info = os.fstat(handle)
        mode = stat.S_IMODE(info.st_mode)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or mode & 0o077:
            raise Failed(
                f"the key file {path} is not its owner's alone (mode {mode:03o}); no secret was read."
                f" Run: chmod 600 {path}. If others may have read it, change the secrets themselves too."
            )
        return file.read(_LONGEST)


def mark_of(key: bytes) -> bytes:
    """What a key's mark holds: enough to tell it from another one, and nothing of the key."""
    return hashlib.sha256(b"agentos key " + key).hexdigest()[:32].encode()


def sync(folder: Path) -> None:
    """Puts on disk which files a folder has."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
