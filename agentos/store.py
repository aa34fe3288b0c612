"""The one database: SQLite in WAL mode, through sqlite-utils."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

from agentos.errors import Failed


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
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing.

        Raises:
            Failed: the disk is full or refuses; nothing was written.
        """
        try:
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

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()
