"""When a head is signed, so that little of the audit trail is ever without one.

A head is on disk before the effect of a call that writes, executes or destroys begins, and when a refusal or a hold is
given: it costs one signature and one synchronised line (0.2 ms at the median on a virtual disk, beside 0.25 ms for the
row). What is not covered yet is therefore the newest rows of other kinds alone, reads that were let through and
outcomes: fewer than `EVERY` of them, and none for longer than `WITHIN` seconds while the system runs. A head covers
all of them at boot, at stop, before the trail is verified by the system and before it is exported. Where the system is
killed, the rows of that window, and at most one row of a call whose effect never began, are covered at the next boot.

A call whose only effect is its answer is made meanwhile (`covered`): a thread puts the row and then the head on disk,
for all calls that wait for it at once, and nothing of an answer is let out before. A head is never on disk before the
rows that it covers.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
        self, heads: Heads, db: sqlite3.Connection, now: Callable[[], float] = time.monotonic,
        sync: Callable[[], None] = lambda: None,
    ) -> None:
        """Does nothing until the first row or head; `sync` puts rows on disk that were written without waiting."""
        self._heads, self._db, self._now, self._sync = heads, db, now, sync
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._putting: asyncio.Future[None] | None = None
        self.loose = False
        """Whether there are rows that may not be on disk yet."""
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
        self._put(self.written, self._found)
        self._found = 0
        self._since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self._heads.last

    async def covered(self, row: int) -> None:
        """Returns once a row is on disk, and after it a head that covers it; one thread does it for all who wait.

        Raises:
            Failed: it could not be put there.
        """
        while (last := self._heads.last) is None or last.row < row:
            if self._putting is None or self._putting.done():
                self._thread = self._thread or ThreadPoolExecutor(1, "audit")
                loop, begun = asyncio.get_running_loop(), self._now()
                self._putting = loop.run_in_executor(self._thread, self._put, self.written, self._found)
                self._putting.add_done_callback(lambda done, begun=begun: self._was_put(done, begun))  # type: ignore[misc]
            await asyncio.shield(self._putting)

    async def ended(self) -> None:
        """Returns once nothing is being put on disk."""
        if self._putting is not None:
            await asyncio.wait([self._putting])
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def _was_put(self, done: asyncio.Future[None], begun: float) -> None:
        if self._putting is done:
            self._putting = None
        if not done.cancelled() and done.exception() is None:
            self._found, self._since = 0, begun  # of rows that came meanwhile

    def _put(self, newest: Written, found: int) -> None:
        """Puts loose rows on disk, and then a head, where none covers the row yet."""
        with self._lock:
            last = self._heads.last or Head(0, 0, "", 0.0, "", 0, "")
            if last.row > newest.row or (last.row, last.hash) == (newest.row, newest.hash):
                return
            if self.loose:
                self.loose = False
                try:
                    self._sync()
                except BaseException:
                    self.loose = True
                    raise
            self._heads.write(newest.row, newest.hash, found)

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
