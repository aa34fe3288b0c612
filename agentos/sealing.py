"""What is kept in clear nowhere: AES-256-GCM, under keys that come from one file of its owner's alone.

Each use has a key of its own (HKDF, RFC 5869) and each sealed text is bound to its place, so that a row that was
copied to another place does not open.
"""

from __future__ import annotations

import base64
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

    def __init__(self, path: Path) -> None:
        """The file need not be there yet."""
        self.path = path
        self._last: tuple[tuple[int, ...], bytes] | None = None

    def read(self) -> bytes | None:
        """The key; None where there is no file. It is read again when the file has changed.

        Raises:
            Failed: others may read it, or it holds no key.
        """
        state = None
        with suppress(OSError):
            info = self.path.lstat()
            state = info.st_ino, info.st_ctime_ns, info.st_size, info.st_mode
            if self._last is not None and self._last[0] == state:
                return self._last[1]
        key = self._read()
        self._last = None if key is None or state is None else (state, key)
        return key

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

    def make(self) -> bytes:
        """The key, made where there is none.

        It is made whole under another name first, so that a crash leaves no half of a key and none is overwritten.

        Raises:
            Failed: the file cannot be written, or is not its owner's alone.
        """
        if (there := self.read()) is not None:
            return there
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(handle, "wb") as file:
                file.write(os.urandom(_BYTES))
                file.flush()
                os.fsync(handle)
            with suppress(FileExistsError):
                os.link(draft, self.path)
            draft.unlink()
            _sync(self.path.parent)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise Failed(
                f"the key file {self.path} could not be made ({error.strerror}); nothing was stored"
            ) from error
        made = self.read()
        assert made is not None
        return made


class Sealer:
    """Seals texts for one use."""

    def __init__(self, folder: Path, use: str) -> None:
        """For the home in `folder`; the key is made with the first text that is sealed, if need be."""
        self._file = KeyFile(folder / KEY)
        self._use = use
        self._known: tuple[bytes, AESGCM] | None = None

    def _cipher(self, key: bytes) -> AESGCM:
        if self._known is None or self._known[0] != key:  # a key file that was put back is used at once
            derived = HKDF(SHA256(), _BYTES, salt=None, info=f"agentos {self._use}".encode()).derive(key)
            self._known = key, AESGCM(derived)
        return self._known[1]

    def seal(self, plain: bytes, place: str) -> bytes:
        """The bytes as only this key opens them, at that place.

        Raises:
            Failed: the key cannot be read or made.
        """
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher(self._file.make()).encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed.

        Raises:
            Failed: the key is missing, it was sealed under another key or for another place, or was changed.
        """
        key = self._file.read()
        if key is None:
            raise Failed(
                f"the key file {self._file.path} is missing, and what is stored for {self._use} cannot be opened "
                "without it; nothing was changed. Put it back from a copy."
            )
        try:
            return self._cipher(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise Failed(
                f"what is stored for {self._use} does not open with the key file {self._file.path}: it, or the "
                "database, is from elsewhere; nothing was changed. Put the right key file back."
            ) from error

    def text(self, plain: str, place: str) -> str:
        """A text, sealed, as a text."""
        return _MARK + base64.b64encode(self.seal(plain.encode("utf-8", "surrogatepass"), place)).decode()

    def plain(self, kept: str, place: str) -> str:
        """A text that `text` sealed; one that was kept before anything was sealed is given as it is."""
        if not kept.startswith(_MARK):
            return kept
        return self.open(base64.b64decode(kept.removeprefix(_MARK)), place).decode("utf-8", "surrogatepass")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
