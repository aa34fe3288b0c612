"""Holds the audit trail against its signed heads: what was edited, taken out, put in, swapped, cut off or put back.

Rows are held against one another by their hashes, the heads by theirs and the newest one's signature, and the rows
against the heads. Where the database and the heads are both put back to an older pair that fits, nothing here tells;
a head that was kept elsewhere does (`kept`).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agentos.errors import Failed, UserError
from agentos.policy.heads import FILE, FOLDER, LONGEST, Head, Mark, fingerprint, link, noted, own_key, parse
from agentos.policy.trail import read

_NEVER = 2**63


@dataclass(frozen=True)
class Verified:
    """Whether the trail is what was written."""

    ok: bool
    rows: int
    """Rows that were checked and are right."""
    first_bad: int | None = None
    """The first row that is not what was signed, or of which that cannot be told any more."""
    reason: str = ""
    uncovered: int = 0
    """The newest rows, which no signed head covers yet."""
    found: int = 0
    """Rows that were signed as a start found them, after a crash or from before there were heads."""
    heads: int = 0
    """Signed heads that are right."""
    head: Head | None = None
    """The newest of them."""


@dataclass(frozen=True)
class _Bad:
    row: int
    reason: str


def verify_home(database: Path, key: Ed25519PublicKey | None = None, kept: Head | None = None) -> Verified:
    """Verifies a home's trail without the system, and while it runs: nothing is written.

    Args:
        database: The home's; the heads are beside it.
        key: Whose signature they must bear; the home's own where None.
        kept: A head that was kept elsewhere: the trail must still have it.

    Raises:
        UserError: there is neither a database nor a head.
        Failed: others may read the home's key, or the database cannot be read.
    """
    folder = database.parent / FOLDER
    if not database.is_file():
        if (folder / FILE).exists():
            return Verified(False, 0, 1, f"the database {database} is missing, and there are signed heads of its trail")
        raise UserError(f"there is no database at {database}; nothing was checked. Set AGENTOS_HOME to its folder.")
    log = database.with_name(f"{database.name}-wal")
    # SQLite makes files beside a database that it reads; where none can be made, a closed one is read as it lies there.
    how = "mode=ro" if log.exists() or os.access(database.parent, os.W_OK) else "immutable=1"
    db = sqlite3.connect(f"{database.absolute().as_uri()}?{how}", uri=True, isolation_level=None, timeout=30)
    try:
        return verify(db, folder, key or own_key(folder), kept)
    except sqlite3.Error as error:
        raise Failed(f"{database} cannot be read ({error}); nothing was checked. Is the file whole?") from error
    finally:
        db.close()


def verify(
    db: sqlite3.Connection, folder: Path, key: Ed25519PublicKey | None, kept: Head | None = None
) -> Verified:
    """Verifies the trail in a database against the heads in a folder.

    Heads that are written while this reads bind nothing; the database is read as it was at one moment.

    Raises:
        sqlite3.Error: the database cannot be read at all.
    """
    file = folder / FILE
    bound = file.stat().st_size if file.exists() else 0
    ours = not db.in_transaction
    if ours:
        db.execute("begin")
    try:
        there = db.execute("select 1 from sqlite_master where name = 'audit'").fetchone()
        heads = _Chain(file, bound, key)
        bad = heads.bad or heads.behind(noted(db)) or (heads.lacks(kept, key) if kept else None)
        signed = [*heads.signed, (kept.row, kept.hash, "a head kept elsewhere")] if kept else heads.signed
        rows, wrong = follow(read(db) if there else (), sorted(signed))
    finally:
        if ours:
            db.execute("commit")
    first = min((one for one in (bad, wrong) if one), key=lambda one: one.row, default=None)
    told = Verified(True, rows, None, "", 0, heads.found, heads.count, heads.last)
    if first:
        return replace(told, ok=False, rows=min(rows, first.row - 1), first_bad=first.row, reason=first.reason)
    return replace(told, uncovered=max(0, rows - (heads.last.row if heads.last else 0)))


def follow(
    rows: Iterable[tuple[int, str, str, bool]], signed: list[tuple[int, str, str]]
) -> tuple[int, _Bad | None]:
    """How many rows are right, and the first that is not.

    Args:
        rows: As `trail.read` gives them.
        signed: Row, hash and by what, in order of rows.
    """
    previous, expected, covered, wrong = "", 0, 0, ""
    waiting = iter([*signed, (_NEVER, "", "")])
    due, hash, by = next(waiting)
    try:
        for at, before, said, right in rows:
            expected += 1
            if at != expected:
                wrong = "a row was put in" if type(at) is int and at < expected else "a row is missing"
            elif before != previous:
                wrong = "it does not follow from the row before it"
            elif not right:
                wrong = "it was changed after it was written"
            elif at == due and said != hash:
                wrong = f"rows {covered + 1} to {at} are not those that {by} signs: they were written anew, or the"
                wrong += " database was put back and written on"
                expected = covered + 1
            if wrong:
                return expected - 1, _Bad(expected, wrong)
            previous = said
            if at == due:
                covered = at
                due, hash, by = next(waiting)
                while at == due:
                    if said != hash:
                        return covered, _Bad(covered, f"row {at} is not the one that {by} signs")
                    due, hash, by = next(waiting)
    except sqlite3.Error as error:
        return expected, _Bad(expected + 1, f"it cannot be read ({error})")
    if due != _NEVER:
        last, _, by = signed[-1]
        wrong = f"rows {expected + 1} to {last} are missing, and {by} signs them: they were cut off, or the database is"
        return expected, _Bad(expected + 1, f"{wrong} an older copy")
    return expected, None


class _Chain:
    """The file of heads, each held against the one before it."""

    def __init__(self, file: Path, bound: int, key: Ed25519PublicKey | None) -> None:
        """Reads it all; heads beyond `bound` bytes bind no row."""
        self._key = key
        self._digests: list[str] = []
        self._line = self._right_line = b""
        self._row = 0
        self.found = 0
        self.signed: list[tuple[int, str, str]] = []
        self.bad: _Bad | None = None
        if not file.exists():
            return
        if key is None and bound:
            self.bad = _Bad(1, "the heads cannot be checked: the home's key is missing; give the public one with --key")
            return
        at = 0
        with file.open("rb") as lines:
            while line := lines.readline(LONGEST + 1):
                at += len(line)
                if not line.endswith(b"\n") and len(line) <= LONGEST:
                    break  # a crash left it unfinished, and nothing relied on it
                self._line = line.removesuffix(b"\n")
                self.bad = self._next(self._line, at <= bound)
                if self.bad:
                    return
        last = self.last
        if last is not None and not (self._right(last) and last.line == self._line):
            self._first_forged(file)

    @property
    def count(self) -> int:
        """Heads that are right."""
        return len(self._digests)

    @property
    def last(self) -> Head | None:
        """The newest head that follows from those before it."""
        return parse(self._right_line) if self._right_line else None

    def behind(self, known: Mark) -> _Bad | None:
        """What is wrong where the database knows of a head that the file has not, or has otherwise."""
        if known.number > self.count:
            return _Bad(self._after(), f"signed heads {self.count + 1} to {known.number} are missing: the file was cut")
        if known.number and self._digests[known.number - 1] != known.digest:
            return _Bad(1, f"signed head {known.number} is not the one that the database knows: heads were replaced")
        return None

    def lacks(self, kept: Head, key: Ed25519PublicKey | None) -> _Bad | None:
        """What is wrong where a head that was kept elsewhere is not in the file."""
        if key is None or not kept.right(key):
            return _Bad(1, f"the head that was kept is signed with another key ({kept.key}) than this home's")
        if kept.number > self.count:
            return _Bad(self._after(), f"signed head {kept.number}, which was kept, is missing: heads were put back")
        if self._digests[kept.number - 1] != kept.digest:
            return _Bad(1, f"signed head {kept.number} is not the one that was kept: the heads were replaced")
        return None

    def _next(self, line: bytes, binds: bool) -> _Bad | None:
        number = self.count + 1
        try:
            head = link(line)
        except ValueError:
            return _Bad(self._after(), f"signed head {number} cannot be read: it was changed")
        if head.number != number or head.previous != (self._digests[-1] if self._digests else ""):
            return self._unlinked(parse(line), number)
        if head.row < self._row:
            return _Bad(head.row + 1, f"signed head {number} has fewer rows than the one before it: the trail was cut")
        self._digests.append(hashlib.sha256(line).hexdigest())
        self._right_line, self._row = line, head.row
        self.found += head.found
        if binds:
            self.signed.append((head.row, head.hash, f"head {number}"))
        return None

    def _unlinked(self, head: Head, number: int) -> _Bad:
        """Which of two heads is wrong, or that some between them are missing."""
        last = self.last
        if last is not None and not self._right(last):
            before = self.signed[-2][0] if len(self.signed) > 1 else 0
            return _Bad(before + 1, f"signed head {number - 1} was changed: its signature is not right")
        wrong = f"signed head {number} does not follow from the one before it"
        if not self._right(head):
            wrong = f"signed head {number} was changed: its signature is not right"
        elif head.number > number:
            wrong = f"signed heads {number} to {head.number - 1} are missing"
        return _Bad(self._after(), wrong)

    def _first_forged(self, file: Path) -> None:
        """Names the first head without a right signature: the newest one's is wrong, so a later one proves nothing."""
        before = 0
        with file.open("rb") as lines:
            for number in range(1, self.count + 1):
                line = lines.readline().removesuffix(b"\n")
                head = parse(line)
                if not self._right(head) or head.line != line:
                    what = "was changed: its signature is not right"
                    if self._key is not None and head.key != fingerprint(self._key):
                        what = f"is signed with another key ({head.key}) than the home's: one of them was replaced"
                    self.bad = _Bad(before + 1, f"signed head {number} {what}")
                    return
                before = head.row

    def _right(self, head: Head) -> bool:
        return self._key is not None and head.right(self._key)

    def _after(self) -> int:
        return self._row + 1
