"""The audit trail as JSON lines that a third party can verify: every row, then the signed head and the public key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agentos.errors import UserError
from agentos.policy.heads import Head, fingerprint, head_of, pem, public_key
from agentos.policy.trail import COLUMNS, SELECT, row_hash
from agentos.policy.verifying import Verified, follow

_PART = (
    "a part of the trail: rows between these are left out, so that it cannot be verified that none is missing or "
    "changed; export without --user and --since for that"
)
_ONCE = 500


def lines(
    database: Path, head: Head | None, key: Ed25519PublicKey, user: str | None, start: float | None
) -> Iterator[str]:
    """An export, several lines at once; the last line is an object with the head.

    Args:
        database: Read as it is at one moment, on a connection of its own.
        head: Covers the newest row that is exported.
        key: The public half of what signed it.
        user: Whose rows alone.
        start: From when on alone, in seconds since the epoch.
    """
    db = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=30, check_same_thread=False)
    try:
        count = 0
        found = db.execute(
            f"{SELECT} where id <= :last and (:start is null or time >= :start) and (:user is null or user = :user"
            " or of in (select id from audit where of = 0 and user = :user)) order by id",
            {"last": head.row if head else 0, "user": user, "start": start},
        )
        while rows := found.fetchmany(_ONCE):
            count += len(rows)
            yield "".join(_line(dict(zip((*COLUMNS, "hash"), row, strict=True))) for row in rows)
        end: dict[str, Any] = {
            "head": json.loads(head.line) if head else None, "public_key": pem(key), "key": fingerprint(key),
            "rows": count,
        }
        yield _line({**end, "part": _PART} if user is not None or start is not None else end)
    finally:
        db.close()


def verify(file: Iterable[bytes], name: str, key: Ed25519PublicKey | None, kept: Head | None = None) -> Verified:
    """Verifies an export by the public key.

    Args:
        file: The export's lines.
        name: The file's, for errors.
        key: Whose signature it must bear; what the export itself says where None, which shows only that it is whole.
        kept: A head that was kept elsewhere: the export must have its row.

    Raises:
        UserError: it is no export.
    """
    read = _Read(file, name, kept.row if kept else 0)
    count, bad = follow(read.rows(), [])
    for _ in read.rows():  # after a bad row, too: the end says whether all were there
        continue
    if "part" in read.end:
        return Verified(False, 0, None, f"this is {read.end['part']}")
    row, wrong = count + 1, ""
    try:
        head = head_of(read.end.get("head"))
        signer = key or public_key(str(read.end.get("public_key")), name)
    except ValueError:
        return Verified(False, count, row, "the export has no signed head at its end: it was cut off")
    if not head.right(signer):
        row, wrong = 1, f"the head is not signed with the key {fingerprint(signer)}: it was changed, or is another's"
    elif kept and not kept.right(signer):
        row, wrong = 1, f"the head that was kept is not signed with the key {fingerprint(signer)}"
    elif bad:
        row, wrong = bad.row, bad.reason
    elif read.last != (head.row, head.hash):
        row, wrong = min(count, head.row) + 1, f"the head signs row {head.row} as the newest one"
    elif kept and read.pinned != kept.hash:
        row, wrong = 1, f"row {kept.row} is not the one that the head that was kept signs"
    return Verified(False, row - 1, row, wrong) if wrong else Verified(True, count, head=head)


class _Read:
    """An export, line by line."""

    def __init__(self, file: Iterable[bytes], name: str, pin: int) -> None:
        self._lines, self._name, self._pin = enumerate(file, 1), name, pin
        self.end: dict[str, Any] = {}
        self.last: tuple[Any, Any] = (0, "")
        """The newest row and its hash."""
        self.pinned: Any = ""
        """The hash of the row that was asked for."""

    def rows(self) -> Iterator[tuple[int, str, str, bool]]:
        """As `follow` takes them; going on where it was left."""
        for number, line in self._lines:
            said = _object(line, f"line {number} of {self._name}")
            if self.end:
                raise UserError(f"{self._name} goes on after its end, in line {number}; nothing was verified")
            if "public_key" in said:
                self.end = said
                continue
            self.last = said.get("id"), said.get("hash")
            if self.last[0] == self._pin:
                self.pinned = self.last[1]
            whole = said.keys() == {*COLUMNS, "hash"} and row_hash([said[name] for name in COLUMNS]) == said["hash"]
            yield said.get("id", 0), said.get("previous", ""), said.get("hash", ""), whole


def kept_head(text: bytes, name: str) -> Head:
    """The head in a file that was kept elsewhere: the last line of an export or of a copy of the heads.

    Raises:
        UserError: it has none.
    """
    said = _object((text.strip().splitlines() or [b""])[-1], f"the last line of {name}")
    try:
        return head_of(said.get("head", said))
    except ValueError:
        raise UserError(f"{name} has no signed head in its last line; nothing was verified") from None


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise UserError(f"{where} is no JSON object; nothing was verified")
    return said


def _line(said: dict[str, Any]) -> str:
    return json.dumps(said, ensure_ascii=True) + "\n"
