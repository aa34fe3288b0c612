"""The one database: SQLite in WAL mode, through sqlite-utils."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from agentos.errors import Failed

_on_disk = getattr(os, "fdatasync", os.fsync)


class Store:
    """One connection, used from the event loop's thread; what a transaction commits is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        """Opens the database, owner-only, and makes it if need be.

        Raises:
            Failed: the file is not a database, or the disk refuses.
        """
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            if not path.exists():
                path.touch(mode=0o600)
            self.connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self.connection.execute("pragma journal_mode=wal")
            self.connection.execute("pragma synchronous=full")
            self.connection.execute("pragma foreign_keys=on")
        except (sqlite3.Error, OSError) as error:
            why = f"cannot open {path}: {error}. Nothing was changed; move the file away to start afresh."
            raise Failed(why) from error
        self.db = Database(self.connection)
        self.path = path

    @contextmanager
    def transaction(self, lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """All or nothing.

        Args:
            lasting: Whether it is on disk when it returns; else it is with the next one that is.

        Raises:
            Failed: the disk is full or refuses; nothing was written.
        """
        try:
            if not lasting:
                self.connection.execute("pragma synchronous=normal")
            self.connection.execute("begin immediate")
            yield self.connection
            self.connection.execute("commit")
        except sqlite3.OperationalError as error:
            if self.connection.in_transaction:
                self.connection.execute("rollback")
            why = f"the database could not be written ({error}); nothing was changed. Is the disk full?"
            raise Failed(why) from error
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("rollback")
            raise
        finally:
            if not lasting:
                self.connection.execute("pragma synchronous=full")

    def sync(self) -> None:
        """Puts on disk what transactions have written that need not last by themselves; from any thread.

        Raises:
            Failed: the disk refuses.
        """
        try:
            handle = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _on_disk(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise Failed(f"the database could not be put on disk ({error}). Is the disk full?") from error

    def add_column(self, table: str, column: str, definition: str) -> None:
        """Gives a table that an earlier version made a column that it lacks.

        Args:
            table: Its name.
            column: The column's name.
            definition: Its type and, where rows must have a value, `not null default …`.
        """
        if column not in {row[1] for row in self.connection.execute(f"pragma table_info({table})")}:
            self.connection.execute(f"alter table {table} add column {column} {definition}")

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()
