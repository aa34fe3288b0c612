"""What was deleted, kept for a day so that it can be brought back."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agentos.config import Settings
from agentos.errors import DeniedError, Failed, NotFound, UserError
from agentos.store import Store
from agentos.types import Call, Caller, Timestamp, Undone

_TABLE = """
create table if not exists trash (
    id text primary key, kind text not null, name text not null, folder text not null, user text not null,
    call text not null, time real not null, until real not null, restored real
);
"""


@dataclass(frozen=True)
class Trashed:
    """Something that was put away."""

    undo_id: str
    until: Timestamp
    """Until when it can be brought back."""
    kind: str = ""
    name: str = ""
    user: str = ""


class TrashCan:
    """Moves folders aside within HOME, by one rename each, and back."""

    def __init__(self, store: Store, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        """Makes the table."""
        self._store = store
        self._home = settings.home
        self._keep = settings.undo_hours * 3600
        self._clock = clock
        store.connection.executescript(_TABLE)

    def put(self, kind: str, name: str, folder: Path, call: str | Call, user: str) -> Trashed:
        """Takes a folder (or file) away; the same call puts the same thing away once.

        Args:
            kind: What it is: `model`, `dataset`.
            name: What people call it.
            folder: Where it lies, within HOME.
            call: The call that deletes it, or its id.
            user: Who deletes it.

        Raises:
            Failed: it lies outside HOME, is not there, or cannot be moved; nothing was changed.
        """
        made_by = call if isinstance(call, str) else call.id
        place = self._within(folder)
        db = self._store.connection
        known = db.execute(
            "select id, until, folder from trash where call = ? and kind = ? and name = ? and restored is null",
            (made_by, kind, name),
        ).fetchone()
        if known and os.path.lexists(self._kept(known[0])):
            return Trashed(known[0], known[1], kind, name, user)
        if not os.path.lexists(folder):
            raise Failed(f"{kind} {name!r} is not on disk any more; nothing was changed")
        item, now = "u" + secrets.token_hex(4), self._clock()
        # The row comes first: a crash between the two leaves a row without a folder, which `listing`
        # passes over, and never a folder that nobody could ask for.
        with self._store.transaction() as db:
            db.execute(
                "insert into trash values (?, ?, ?, ?, ?, ?, ?, ?, null)",
                (item, kind, name, str(place), user, made_by, now, now + self._keep),
            )
        try:
            self._kept(item).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.rename(folder, self._kept(item))
        except OSError as error:
            with self._store.transaction() as db:
                db.execute("delete from trash where id = ?", (item,))
            raise Failed(f"{kind} {name!r} could not be moved away ({error.strerror}); nothing was changed") from error
        return Trashed(item, now + self._keep, kind, name, user)

    def listing(self) -> list[Trashed]:
        """What can be brought back now, newest first."""
        rows = self._store.connection.execute(
            "select id, until, kind, name, user from trash where restored is null and until > ?"
            " order by time desc, rowid desc",
            (self._clock(),),
        )
        return [Trashed(*row) for row in rows if os.path.lexists(self._kept(row[0]))]

    async def restore(self, item: str, caller: Caller) -> Undone:
        """Brings something back to where it was.

        Args:
            item: Its undo id, or `last`: the newest that the caller deleted.
            caller: Who deleted it, or an administrator.

        Raises:
            NotFound: there is nothing of that id, or its time has passed.
            DeniedError: another person deleted it.
            UserError: something has taken its place; both are left as they are.
        """
        return self._restore(item, caller)

    def _restore(self, item: str, caller: Caller) -> Undone:
        here = self.listing()
        if item == "last":
            here = [found for found in here if found.user == caller.user]
            if not here:
                raise NotFound("there is nothing of yours to bring back")
            item = here[0].undo_id
        found = next((one for one in here if one.undo_id == item), None)
        if found is None:
            raise NotFound(f"there is nothing to bring back under {item!r}: it is not known, or its time has passed")
        if caller.role != "admin" and found.user != caller.user:
            raise DeniedError("bringing back what another person deleted takes an administrator; nothing was changed")
        (folder,) = self._store.connection.execute("select folder from trash where id = ?", (item,)).fetchone()
        target = self._home / folder
        if os.path.lexists(target):
            raise UserError(
                f"there is a {found.kind} {found.name!r} again; neither was touched. Delete or rename that one first."
            )
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(self._kept(item), target)
        except OSError as error:
            raise Failed(f"{found.name!r} could not be brought back ({error.strerror}); it is still kept") from error
        with self._store.transaction() as db:
            db.execute("update trash set restored = ? where id = ?", (self._clock(), item))
        return Undone(found.kind, found.name)

    def purge(self, now: Timestamp) -> list[Trashed]:
        """Removes for good what is older than the time to undo; what it removed.

        What the disk will not let go is left for the next time.
        """
        rows = self._store.connection.execute(
            "select id, until, kind, name, user from trash where restored is null and until <= ?", (now,)
        ).fetchall()
        gone: list[Trashed] = []
        for row in rows:
            kept = self._kept(row[0])
            with suppress(OSError):
                if kept.is_symlink() or kept.is_file():
                    kept.unlink()
                elif kept.is_dir():
                    shutil.rmtree(kept)
            if os.path.lexists(kept):
                continue
            with self._store.transaction() as db:
                db.execute("delete from trash where id = ?", (row[0],))
            gone.append(Trashed(*row))
        return gone

    def _kept(self, item: str) -> Path:
        return self._home / "trash" / item

    def _within(self, folder: Path) -> Path:
        """A path relative to HOME; its own last part is not followed where it is a link."""
        home = self._home.resolve()
        place = folder.parent.resolve() / folder.name
        if not place.is_relative_to(home) or place == home:
            raise Failed(f"{folder.name!r} lies outside the home folder and was left where it is")
        return place.relative_to(home)
