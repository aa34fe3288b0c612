"""What is kept in clear nowhere: AES-256-GCM, under keys that come from one file of its owner's alone.

Each use has a key of its own (HKDF, RFC 5869), and a text can be bound to its place, so that a row that was copied to
another one does not open.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agentos.errors import Failed
from agentos.sealing.keys import BYTES, KEY, KeyFile, mark_of, sync

__all__ = ["KEY", "MARK", "NONCE", "KeyFile", "Sealer", "Unreadable", "derived", "mark_of", "sync"]
NONCE = 12
MARK = "sealed:"
"""What a text that is sealed begins with."""


class Unreadable(Failed):
    """What was sealed with another key, for another place, or was changed."""


def derived(key: bytes, use: str, salt: bytes | None = None) -> AESGCM:
    """The cipher of one use."""
    return AESGCM(HKDF(SHA256(), BYTES, salt=salt, info=f"agentos {use}".encode()).derive(key))


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
        nonce = os.urandom(NONCE)
        return nonce + self._cipher(self._file.make()).encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed. A key that was read once opens to the end of the process, whatever becomes of its file.

        Raises:
            Failed: the key is missing or cannot be read.
            Unreadable: it was sealed under another key or for another place, or was changed.
        """
        fault: Exception | None = None
        for key in self._file.opening():
            try:
                return self._cipher(key).decrypt(sealed[:NONCE], sealed[NONCE:], place.encode())
            except (InvalidTag, ValueError) as error:
                fault = error
        if fault is None:
            raise Failed(
                f"there is no key file {self._file.path}, and what is stored for {self._use} cannot be opened without "
                "it; nothing was changed. Put it back from a copy."
            )
        raise Unreadable(
            f"what is stored for {self._use} does not open with the key file {self._file.path}: it, or the "
            "database, is from elsewhere; nothing was changed. Put the right key file back."
        ) from fault

    def _cipher(self, key: bytes) -> AESGCM:
        if self._made is None or self._made[0] != key:
            self._made = key, derived(key, self._use)
        return self._made[1]

    def text(self, plain: str, place: str) -> str:
        """A text, sealed, as a text."""
        return MARK + base64.b64encode(self.seal(plain.encode("utf-8", "surrogatepass"), place)).decode()

    def plain(self, kept: str, place: str) -> str:
        """A text that `text` sealed; one that was kept before anything was sealed is given as it is."""
        if not kept.startswith(MARK):
            return kept
        return self.open(base64.b64decode(kept.removeprefix(MARK)), place).decode("utf-8", "surrogatepass")
