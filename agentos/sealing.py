"""What is kept in clear nowhere: AES-256-GCM, under keys that come from one file of its owner's alone.

Each use has a key of its own (HKDF, RFC 5869), and a text can be bound to its place, so that a row that was copied to
another one does not open.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agentos.errors import Failed

KEY = "secrets.key"
_NONCE = 12
_BYTES = 32
_MARK = "sealed:"


class KeyFile:
    """A key of 256 bits in a file of its owner's alone."""

    def __init__(self, path: Path, marked: bool = False) -> None:
        """The file need not be there yet.

        Args:
            path: Where it is.
            marked: Whether a file beside it tells that key from another. What was sealed opens with no other one, so a
                key that was there once is never made anew: that it is gone is told.
        """
        self.path = path
        self.mark = path.with_name(f"{path.name}.id") if marked else None
        self.known: bytes | None = None
        """The key as it was read last."""
        self._state: tuple[int, ...] | None = None

    def read(self) -> bytes | None:
        """The key; None where there never was one. It is read again when the file has changed.

        Raises:
            Failed: it is missing, others may read it, it holds no key, or another one than before.
        """
        state = None
        with suppress(OSError):
            info = self.path.lstat()
            state = info.st_ino, info.st_ctime_ns, info.st_size, info.st_mode
            if self.known is not None and self._state == state:
                return self.known
        key = self._read()
        if key is None:
            if self.mark is not None and self.mark.exists():
                raise Failed(f"the key file {self.path} is missing; nothing was changed. {self._way_on}")
            return None
        self._same(key)
        self.known, self._state = key, state
        return key

    def make(self) -> bytes:
        """The key, made where there never was one.

        It is made whole under another name first, so that a crash leaves no half of a key and none is overwritten.

        Raises:
            Failed: as `read`, or the file cannot be written.
        """
        if (there := self.read()) is not None:
            return there
        self._put(self.path, os.urandom(_BYTES))
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
            before = self.mark.read_bytes().strip()
        except FileNotFoundError:
            with suppress(Failed):  # what cannot be written now is written the next time
                self._put(self.mark, told + b"\n")
            return
        except OSError as error:
            raise Failed(f"{self.mark} cannot be read ({error.strerror}); nothing was changed") from error
        if before != told:
            raise Failed(f"the key file {self.path} holds another key than before; nothing was changed. {self._way_on}")

    def _read(self) -> bytes | None:
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Failed(f"the key file {self.path} cannot be read ({error.strerror}); nothing was changed") from error
        with open(handle, "rb") as file:
            info = os.fstat(handle)
            mode = stat.S_IMODE(info.st_mode)
            if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid() or mode & 0o077:
                raise Failed(
                    f"the key file {self.path} is not its owner's alone (mode {mode:03o}); no secret was read."
                    f" Run: chmod 600 {self.path}. If others may have read it, change the secrets themselves too."
                )
            key = file.read(_BYTES + 1)
        if len(key) != _BYTES:
            why = f"the key file {self.path} does not hold a key; nothing was changed. Put it back from a copy."
            raise Failed(why)
        return key

    def _put(self, path: Path, data: bytes) -> None:
        draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            with suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
            sync(path.parent)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise Failed(f"the key file {path} could not be made ({error.strerror}); nothing was stored") from error


def mark_of(key: bytes) -> bytes:
    """What a key's mark holds: enough to tell it from another one, and nothing of the key."""
    return hashlib.sha256(b"agentos key " + key).hexdigest()[:32].encode()


class Unreadable(Failed):
    """What was sealed with another key, for another place, or was changed."""


class Sealer:
    """Seals texts for one use."""

    def __init__(self, folder: Path, use: str) -> None:
        """For the home in `folder`; the key is made with the first text that is sealed, if need be."""
        self._file = KeyFile(folder / KEY, marked=True)
        self._use = use
        self._made: tuple[bytes, AESGCM] | None = None

    def ready(self) -> None:
        """Makes sure that there is a key.

        Raises:
            Failed: it cannot be read or made.
        """
        self._file.make()

    def seal(self, plain: bytes, place: str) -> bytes:
        """The bytes as only this key opens them, at that place.

        Raises:
            Failed: the key is missing, cannot be read or made.
        """
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher(self._file.make()).encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed. A key that was read once opens to the end of the process, whatever becomes of its file.

        Raises:
            Failed: the key is missing or cannot be read.
            Unreadable: it was sealed under another key or for another place, or was changed.
        """
        key = self._file.known or self._file.read()
        if key is None:
            raise Failed(
                f"there is no key file {self._file.path}, and what is stored for {self._use} cannot be opened without "
                "it; nothing was changed. Put it back from a copy."
            )
        try:
            return self._cipher(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise Unreadable(
                f"what is stored for {self._use} does not open with the key file {self._file.path}: it, or the "
                "database, is from elsewhere; nothing was changed. Put the right key file back."
            ) from error

    def _cipher(self, key: bytes) -> AESGCM:
        if self._made is None or self._made[0] != key:
            derived = HKDF(SHA256(), _BYTES, salt=None, info=f"agentos {self._use}".encode()).derive(key)
            self._made = key, AESGCM(derived)
        return self._made[1]

    def text(self, plain: str, place: str) -> str:
        """A text, sealed, as a text."""
        return _MARK + base64.b64encode(self.seal(plain.encode("utf-8", "surrogatepass"), place)).decode()

    def plain(self, kept: str, place: str) -> str:
        """A text that `text` sealed; one that was kept before anything was sealed is given as it is."""
        if not kept.startswith(_MARK):
            return kept
        return self.open(base64.b64decode(kept.removeprefix(_MARK)), place).decode("utf-8", "surrogatepass")


def sync(folder: Path) -> None:
    """Puts on disk which files a folder has."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
