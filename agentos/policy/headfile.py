"""The file of signed heads: append-only, its owner's alone, each line on disk when `write` returns."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agentos.errors import Failed
from agentos.policy.heads import FILE, KEY, LONGEST, PUBLIC, Head, Mark, fingerprint, parse, pem
from agentos.sealing import KeyFile, sync

log = logging.getLogger(__name__)
_on_disk = getattr(os, "fdatasync", os.fsync)


class Heads:
    """Signs heads and puts them into the file."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Does nothing yet; `open` makes the folder, the key and the file where need be."""
        self._folder, self._clock = folder, clock
        self.file = folder / FILE
        self.last: Head | None = None
        self._key: Ed25519PrivateKey | None = None
        self._size = 0
        self._mark = Mark(0, "")

    @property
    def mark(self) -> Mark:
        """The newest head."""
        return self._mark

    def open(self, known: Mark) -> None:
        """Goes on where the file ends, or where the database says that it ended if it was cut since.

        Args:
            known: The newest head that the database knows of.

        Raises:
            Failed: the key or the file is another's or unreadable, or the file does not end with a head of this key.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.file.exists():
                self.file.touch(mode=0o600)
                sync(self._folder)
            self._size, line = _tail(self.file)
        except OSError as error:
            raise _failed(self.file, error) from error
        keys = KeyFile(self._folder / KEY)
        try:
            seed = keys.read() if self._size else keys.make()
        except Failed as error:
            raise Failed(f"the audit trail cannot be signed: {error} Then: agentos stop, and start again.") from error
        if seed is None:
            raise Failed(
                f"the key file {keys.path} is missing and there are heads of the audit trail signed with it; the system"
                f" was not started. Put the key back from a copy; or move {self.file} away, keep it as evidence, and"
                " start again: verifying goes on to say that these heads are missing."
            )
        key = Ed25519PrivateKey.from_private_bytes(seed)
        try:
            last = parse(line) if self._size else None
        except ValueError:
            last = Head(0, 0, "", 0.0, "", 0, "")
        if last is not None and not last.right(key.public_key()):
            raise Failed(
                f"{self.file} does not end with a head that the key {keys.path} has signed: one of them was changed;"
                " the system was not started. `agentos audit verify` says more. Put both back from a copy; or move the"
                " file away, keep it as evidence, and start again: verifying goes on to say that they are missing."
            )
        self._key, self.last = key, last
        self._mark = Mark(last.number, last.digest) if last else Mark(0, "")
        if known.number > self._mark.number or (known.number == self._mark.number and known != self._mark):
            log.error("heads of the audit trail are missing from %s; see `agentos audit verify`", self.file)
            self._mark = known
        try:
            self._publish(pem(key.public_key()).encode())
        except OSError as error:
            raise _failed(self._folder / PUBLIC, error) from error

    def write(self, row: int, hash: str, found: int = 0) -> Head:
        """Signs a row and puts the head on disk; when it returns, it is there.

        Args:
            row: The newest one.
            hash: Its own.
            found: How many of the newest rows were not written by this system but found.

        Raises:
            Failed: the disk refuses, or somebody else changed the file; nothing was written.
        """
        assert self._key is not None
        public = fingerprint(self._key.public_key())
        head = Head(
            self._mark.number + 1, row, hash, float(self._clock()), self._mark.digest, found, public
        ).signed(self._key)
        line = head.line + b"\n"
        try:
            handle = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                self._put(handle, line)
            finally:
                os.close(handle)
        except OSError as error:
            raise _failed(self.file, error) from error
        self._size += len(line)
        self.last, self._mark = head, Mark(head.number, hashlib.sha256(line[:-1]).hexdigest())
        return head

    def _publish(self, text: bytes) -> None:
        """The public half beside the key, for who verifies."""
        file = self._folder / PUBLIC
        if file.exists() and file.read_bytes() == text:
            return
        draft = file.with_suffix(".part")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(handle, "wb") as out:
            out.write(text)
            out.flush()
            os.fsync(handle)
        draft.replace(file)

    def _put(self, handle: int, line: bytes) -> None:
        if os.fstat(handle).st_size != self._size:
            raise Failed(
                f"{self.file} is not as the system left it: somebody else wrote to it or cut it. No head was written,"
                " and no call is made without one. `agentos audit verify` says more; start the system again to go on."
            )
        try:
            if os.write(handle, line) != len(line):
                raise OSError(None, "no space is left")
            _on_disk(handle)
        except OSError:
            os.ftruncate(handle, self._size)
            raise


def _tail(file: Path) -> tuple[int, bytes]:
    """The file's length and last line; a line that a crash left unfinished is cut off, as nothing relied on it."""
    handle = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o077:
            raise Failed(f"{file} is not its owner's alone; the system was not started. Run: chmod 600 {file}")
        size = info.st_size
        end = os.pread(handle, 2 * LONGEST, max(0, size - 2 * LONGEST))
        whole = end.rfind(b"\n") + 1
        if len(end) - whole > LONGEST:
            return size, end
        if whole < len(end):
            size -= len(end) - whole
            os.ftruncate(handle, size)
        return size, end[:whole].removesuffix(b"\n").rpartition(b"\n")[2]
    finally:
        os.close(handle)


def _failed(file: Path, error: OSError) -> Failed:
    return Failed(
        f"the audit trail's head could not be signed into {file} ({error.strerror}); no call is made without one."
        " Is the disk full, or the file gone?"
    )
