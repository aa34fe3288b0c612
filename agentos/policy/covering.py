"""When a head is signed, so that little of the audit trail is ever without one.

A head is on disk before the effect of a call that writes, executes or destroys begins, and when a refusal or a hold is
given: it costs one signature and one synchronised line (0.2 ms at the median on a virtual disk, beside 0.25 ms for the
row). What is not covered yet is therefore the newest rows of other kinds alone, reads that were let through and
outcomes: fewer than `EVERY` of them, and none for longer than `WITHIN` seconds while the system runs. A head covers
all of them at boot, at stop, before the trail is verified by the system and before it is exported. Where the system is
killed, the rows of that window, and at most one row of a call whose effect never began, are covered at the next boot.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from agentos.errors import Failed
from agentos.policy.headfile import Heads
from agentos.policy.heads import Head, Mark, noted

log = logging.getLogger(__name__)
EVERY = 64
"""Rows without a head, at most."""
WITHIN = 1.0
"""Seconds for which a row is without a head, at most."""


@dataclass(frozen=True)
class Written:
    """The newest row as this process wrote or found it, and the newest head that the database knows of."""

    row: int
    hash: str
    noted: Mark


class Cover:
    """Keeps what was written, and signs it when that is due."""

    def __init__(
        self, heads: Heads, db: sqlite3.Connection, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Does nothing until the first row or head."""
        self._heads, self._db, self._now = heads, db, now
        self._written: Written | None = None
        self._found = 0
        self._since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def written(self) -> Written:
        """The newest row.

        Raises:
            Failed: the key or the heads cannot be read, or are not this trail's.
        """
        if self._written is None:
            self._written = self._begin()
        return self._written

    def append(self, row: int, hash: str) -> None:
        """Takes note of a row in the transaction that writes it; the database is told of the newest head with it."""
        mark = self._heads.mark
        if mark != self.written.noted:
            self._db.execute("insert or replace into audit_head values (1, ?, ?)", (mark.number, mark.digest))
        self._written = Written(row, hash, mark)

    def back(self, written: Written) -> None:
        """The transaction was rolled back."""
        self._written = written

    def check(self) -> Written:
        """The newest row, held against the database.

        Raises:
            Failed: somebody else has written to the trail or taken rows away.
        """
        found, known = _newest(self._db), self.written
        if found != (known.row, known.hash):
            raise Failed(
                f"the audit trail was changed by somebody else: its newest row is {found[0]} and this system wrote "
                f"{known.row}. Nothing was recorded, and no call is made. See `agentos audit verify`; start the system "
                "again to go on."
            )
        return known

    def after(self, must: bool) -> None:
        """After a commit: signs now where it must, or it is due; otherwise within a second.

        Raises:
            Failed: the head could not be put on disk.
        """
        if self._since is None:
            self._since = self._now()
        signed = self._heads.last.row if self._heads.last else 0
        if must or self.written.row - signed >= EVERY or self._now() - self._since >= WITHIN:
            self.sign()
        elif self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(WITHIN, self.quietly)
            except RuntimeError:  # no loop: the next row, or the end, signs
                return

    def sign(self) -> Head | None:
        """The head that covers the newest row; None where there are no rows.

        Raises:
            Failed: it could not be put on disk, or the key is not its owner's alone.
        """
        newest, last = self.written, self._heads.last
        if newest.row and (last is None or (last.row, last.hash) != (newest.row, newest.hash)):
            last = self._heads.write(newest.row, newest.hash, self._found)
        self._found = 0
        self._since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return last

    def quietly_after(self) -> None:
        """`after` an effect that is past already: a failure is logged, and stops the next call that must be signed."""
        try:
            self.after(must=False)
        except Failed:
            log.exception("rows of the audit trail are not covered by a signed head yet")

    def quietly(self) -> None:
        """Signs; a failure is logged."""
        self._timer = None
        try:
            self.sign()
        except Failed:
            log.exception("rows of the audit trail are not covered by a signed head yet")

    def _begin(self) -> Written:
        mark = noted(self._db)
        self._heads.open(mark)
        last = self._heads.last
        if last is not None:
            there = self._db.execute("select hash from audit where id = ?", (last.row,)).fetchone()
            if there is None or there[0] != last.hash:
                log.error("the audit trail is not the one that its newest head signs; see `agentos audit verify`")
        row, hash = _newest(self._db)
        self._found = max(0, row - last.row) if last else row
        if self._found and last:
            log.warning("%d rows of the audit trail were found without a signed head and are signed now", self._found)
        return Written(row, hash, mark)


def _newest(db: sqlite3.Connection) -> tuple[int, str]:
    row, hash = db.execute("select id, hash from audit order by id desc limit 1").fetchone() or (0, "")
    return int(row), str(hash)
