"""Signed heads of the audit trail: what its newest row was and when, kept outside of the database.

A head is a line of HOME/audit/heads.jsonl: how many heads there are with it, the newest row's number (rows are
numbered without gaps, so it is their count too) and hash, the time, and the SHA-256 of the line before. It is signed
with Ed25519 (RFC 8032); the key is HOME/audit/key, its owner's alone, and HOME/audit/public.pem its public half.

What this proves: rows that a head covers were there when it was written, as they are. It holds against whoever changes
the database, or the heads, without the key. Who has the key too can sign another past; against them, and where the
database and the heads are both put back to an older pair, only a head that is kept elsewhere tells (`agentos audit
verify --head FILE`). Rows that a start finds uncovered, as a crash leaves them, are signed as they are found, and the
head says how many: somebody may have written them while the system was down.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from agentos.errors import UserError
from agentos.policy.trail import compact
from agentos.sealing import KeyFile

FOLDER, FILE, KEY, PUBLIC = "audit", "heads.jsonl", "key", "public.pem"
LONGEST = 4096
"""Bytes of a line; more is no head."""
_DOMAIN = b"agentos audit head 1\n"


@dataclass(frozen=True)
class Head:
    """The trail's newest row, signed."""

    number: int
    """Of the heads, from 1."""
    row: int
    """The newest row that it covers, and so their count."""
    hash: str
    time: float
    """When it was signed."""
    previous: str
    """SHA-256 of the head before; empty in the first."""
    found: int
    """How many of its newest rows were found at a start, uncovered, and signed as they lay there."""
    key: str
    """Which key signed, see `fingerprint`."""
    signature: str = ""

    @property
    def line(self) -> bytes:
        """As it stands in the file, without the line's end."""
        return compact(vars(self)).encode()

    @property
    def digest(self) -> str:
        """What the next head names it by."""
        return hashlib.sha256(self.line).hexdigest()

    def signed(self, key: Ed25519PrivateKey) -> Head:
        """The same with its signature."""
        return replace(self, signature=key.sign(self._said()).hex())

    def right(self, key: Ed25519PublicKey) -> bool:
        """Whether that key signed it."""
        try:
            key.verify(bytes.fromhex(self.signature), self._said())
        except (InvalidSignature, ValueError):
            return False
        return True

    def _said(self) -> bytes:
        return _DOMAIN + compact({name: said for name, said in vars(self).items() if name != "signature"}).encode()


_KINDS = {
    "number": int, "row": int, "hash": str, "time": float, "previous": str, "found": int, "key": str, "signature": str,
}
_TYPES = [*_KINDS.values()]
_LINE = re.compile(
    rb'{"found":(0|[1-9]\d{0,17}),"hash":"([0-9a-f]*)","key":"[0-9a-f]*","number":(0|[1-9]\d{0,17}),'
    rb'"previous":"([0-9a-f]*)","row":(0|[1-9]\d{0,17}),"signature":"[0-9a-f]*","time":\d{1,17}\.\d{1,17}}'
)


def head_of(said: Any) -> Head:
    """A head from its JSON object.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(said, dict) or said.keys() != _KINDS.keys() or [*map(type, map(said.get, _KINDS))] != _TYPES:
        raise ValueError("it is no head")
    return Head(**said)


def parse(line: bytes) -> Head:
    """A head from its line.

    Raises:
        ValueError: it is none.
    """
    try:
        return head_of(json.loads(line))
    except RecursionError as error:
        raise ValueError("it is no head") from error


class Link(NamedTuple):
    """What of a head ties it to its rows and to the head before it."""

    number: int
    row: int
    hash: str
    previous: str
    found: int


def link(line: bytes) -> Link:
    """The same of a line as `parse` would give, at a third of the time: a long trail has many heads.

    Raises:
        ValueError: it is no head.
    """
    seen = _LINE.fullmatch(line)
    if seen is None:
        head = parse(line)  # in another form than ours, which only the newest one's signature tells
        return Link(head.number, head.row, head.hash, head.previous, head.found)
    found, hash, number, previous, row = seen.groups()
    return Link(int(number), int(row), hash.decode(), previous.decode(), int(found))


def fingerprint(key: Ed25519PublicKey) -> str:
    """By which a key is told from others: the first 16 digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def pem(key: Ed25519PublicKey) -> str:
    """The public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def public_key(text: str | bytes, name: str) -> Ed25519PublicKey:
    """A public key from PEM.

    Raises:
        UserError: it is none, or one of another kind.
    """
    try:
        key = load_pem_public_key(text.encode() if isinstance(text, str) else text)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UserError(f"{name} holds no Ed25519 public key in PEM; nothing was checked. See HOME/audit/{PUBLIC}.")
    return key


def own_key(folder: Path) -> Ed25519PublicKey | None:
    """The public half of a home's key; None where it has none yet.

    Raises:
        Failed: others may read the key, or the file holds none.
    """
    seed = KeyFile(folder / KEY).read()
    return None if seed is None else Ed25519PrivateKey.from_private_bytes(seed).public_key()


@dataclass(frozen=True)
class Mark:
    """The newest head that the database knows of: its number, and the SHA-256 of its line."""

    number: int
    digest: str


def noted(db: sqlite3.Connection) -> Mark:
    """The newest head that the database knows of; a trail from before there were heads knows of none."""
    if not db.execute("select 1 from sqlite_master where name = 'audit_head'").fetchone():
        return Mark(0, "")
    number, digest = db.execute("select number, digest from audit_head").fetchone() or (0, "")
    return Mark(number, str(digest)) if type(number) is int and number > 0 else Mark(0, "")
