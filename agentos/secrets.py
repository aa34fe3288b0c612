"""Secrets by name: encrypted at rest, each its owner's alone, handed to jobs as variables of their environment."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agentos.errors import Failed, UserError, unknown
from agentos.sealing import KEY, KeyFile
from agentos.store import Store

_TABLE = """
create table if not exists secrets (
    user text not null, name text not null, sealed blob not null, changed real not null, primary key (user, name)
) without rowid;
"""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_NONCE = 12
LONGEST = 64 * 1024
"""Bytes of a value; the kernel takes no more than 128 KiB for one variable."""


@dataclass(frozen=True)
class Secret:
    """A name and its value; only the name is ever shown."""

    name: str
    value: str = field(repr=False)


def check_name(name: str) -> str:
    """The name, where it can be that of an environment variable.

    Raises:
        UserError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot name a secret; use letters, digits and _, not beginning with a digit, such as 'HF_TOKEN'"
        )
    return name


class Secrets:
    """Values under AES-256-GCM in the system's database; the key is an owner-only file beside it.

    A sealed value is bound to its name and owner, so a row copied to another of either does not open.
    Nobody reads another person's values, administrators included.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        """Makes the table; the key is made with the first secret."""
        self._store = store
        self._clock = clock
        self._file = KeyFile(store.path.parent / KEY, marked=True)
        store.connection.executescript(_TABLE)

    def put(self, name: str, value: str, user: str) -> None:
        """Keeps a value under a name, in the place of an earlier one.

        Raises:
            UserError: the name is no variable's, or the value is empty, too long or cannot be in an environment.
            Failed: the key is missing, readable by others or not the one the stored secrets were sealed with.
        """
        check_name(name)
        plain = _plain(name, value)
        cipher = self._cipher(make=True)
        some = self._store.connection.execute("select user, name, sealed from secrets limit 1").fetchone()
        if some is not None:
            self._opened(*some)
        nonce = os.urandom(_NONCE)
        sealed = nonce + cipher.encrypt(nonce, plain, _bound(user, name))
        with self._store.transaction() as db:
            db.execute("insert or replace into secrets values (?, ?, ?, ?)", (user, name, sealed, self._clock()))

    def names(self, user: str) -> list[str]:
        """What a user's secrets are called, in order."""
        rows = self._store.connection.execute("select name from secrets where user = ? order by name", (user,))
        return [name for (name,) in rows]

    def get(self, name: str, user: str) -> Secret:
        """A user's own secret.

        Raises:
            NotFound: the user has none of that name; whether another has one is not said.
            Failed: the key is missing, readable by others or the wrong one.
        """
        row = self._store.connection.execute(
            "select user, name, sealed from secrets where user = ? and name = ?", (user, name)
        ).fetchone()
        if row is None:
            raise unknown("secret", name, self.names(user))
        self._cipher()
        return Secret(name, self._opened(*row))

    def environment(self, names: Iterable[str], user: str) -> dict[str, str]:
        """The variables to give to a user's job, values in clear.

        Raises:
            NotFound: one of the names is not the user's.
            Failed: the key is missing, readable by others or the wrong one.
        """
        return {name: self.get(name, user).value for name in names}

    def drop(self, name: str, user: str) -> None:
        """Forgets a user's secret for good; this works without the key too.

        Raises:
            NotFound: the user has none of that name.
        """
        with self._store.transaction() as db:
            gone = db.execute("delete from secrets where user = ? and name = ?", (user, name)).rowcount
        if not gone:
            raise unknown("secret", name, self.names(user))

    def _cipher(self, make: bool = False) -> AESGCM:
        key = self._file.read()
        if key is None:
            (count,) = self._store.connection.execute("select count(*) from secrets").fetchone()
            if count or not make:
                raise Failed(
                    f"the key file {self._file.path} is missing and {count} stored secrets cannot be opened without it;"
                    " nothing was changed. Put it back from a copy, or drop the secrets and store them again."
                )
            key = self._file.make()
        return AESGCM(key)

    def _opened(self, user: str, name: str, sealed: bytes) -> str:
        fault: InvalidTag | None = None
        for key in self._file.opening():
            try:
                return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(user, name)).decode("utf-8")
            except InvalidTag as error:
                fault = error
        raise Failed(
            "the key file does not open the stored secrets: it, or the database, is from elsewhere; nothing was"
            " changed. Put the right key file back, or drop the secrets and store them again."
        ) from fault


class Masker:
    """Puts `[secret NAME]` where a value stands in output that comes in pieces, however it is cut.

    Values of fewer than four bytes are let through, for they would blot out ordinary text; so are encoded
    forms of a value (base64, escapes). A value of several lines is also found line by line.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        """Looks for these values; with none, output passes unchanged."""
        marks: dict[bytes, bytes] = {}
        for name, value in values.items():
            for piece, least in [(value, 4), *((line, 8) for line in value.splitlines())]:
                plain = piece.encode("utf-8")
                if len(plain) >= least:
                    marks.setdefault(plain, b"[secret %s]" % name.encode())
        self._marks = marks
        longest_first = sorted(marks, key=len, reverse=True)
        self._find = re.compile(b"|".join(map(re.escape, longest_first))) if marks else None
        self._longest = len(longest_first[0]) if marks else 0
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The masked output as far as it is certain; the rest comes with the next piece, or with `flush`."""
        return self._pass(data, last=False)

    def flush(self) -> bytes:
        """What was held back, at the end of the output."""
        return self._pass(b"", last=True)

    def mask(self, data: bytes) -> bytes:
        """The whole of some output, masked."""
        return self.feed(data) + self.flush()

    def _pass(self, data: bytes, last: bool) -> bytes:
        if self._find is None:
            return data
        text, at, out = self._held + data, 0, bytearray()
        certain = len(text) if last else self._open_end(text, 0)
        while (found := self._find.search(text, at)) and found.start() < certain:
            out += text[at : found.start()] + self._marks[found[0]]
            at = found.end()
            certain = len(text) if last else self._open_end(text, at)
        out += text[at:certain]
        self._held = text[max(at, certain) :]
        return bytes(out)

    def _open_end(self, text: bytes, at: int) -> int:
        """Where the end begins that more output could turn into a value."""
        for start in range(max(at, len(text) - self._longest + 1), len(text)):
            rest = text[start:]
            if any(len(rest) < len(value) and value.startswith(rest) for value in self._marks):
                return start
        return len(text)


def _plain(name: str, value: str) -> bytes:
    """The value's bytes; what is wrong with it is said outside of any handler, whose error would carry it along."""
    plain = b""
    with suppress(UnicodeEncodeError):
        plain = value.encode("utf-8")
    if not plain:
        raise UserError(f"the value of {name!r} is empty or not valid text; nothing was stored")
    if b"\0" in plain or len(plain) > LONGEST:
        raise UserError(f"the value of {name!r} has a null character or more than {LONGEST} bytes; nothing was stored")
    return plain


def _bound(user: str, name: str) -> bytes:
    return f"{user}\0{name}".encode()
