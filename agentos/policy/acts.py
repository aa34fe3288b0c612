"""Administration on the audit trail: who changed users, keys, groups, roles, quotas or rules, and who was refused to.

An act is no syscall: people do it at the doors, and no model does. Its row is written as a call's is: before the
effect, on disk and under a signed head; what became of it is a row of its own. A refusal is a row, too.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from agentos.errors import AgentosError, DeniedError, Failed
from agentos.store import Store
from agentos.types import Allowed, Approval, Call, Caller, Decision, Denied, Json

log = logging.getLogger(__name__)

ADMIN = "administration-by-admin"
"""The rule by which administration is refused to who is no administrator."""
OWN = "own-things"
"""The rule by which people change what is their own."""
_TABLE = "create table if not exists rules_seen (name text primary key, digest text not null)"


class Trail(Protocol):
    """The audit trail."""

    def decided(
        self, call: Call, decision: Decision, approval: Approval | None = None, *, named: bool = False
    ) -> int:
        """Puts a decision on disk; gives the row."""
        ...

    def finished(self, row: int, outcome: Any, detail: Json = None) -> None:
        """Puts on disk what became of it."""
        ...


@contextmanager
def act(
    trail: Trail, caller: Caller, name: str, args: Mapping[str, Json], rule: str = "admin-everything"
) -> Iterator[dict[str, Json]]:
    """Records an act that may be done: before it begins, and what became of it; a refusal from within, too.

    Args:
        trail: The audit trail.
        caller: Who does it.
        name: Of the act, such as `users.create`.
        args: What it is on: names, never a secret.
        rule: By which it may be done.

    Yields:
        What it came to, to be filled in; kept beside the trail, which has its hash.

    Raises:
        Failed: it could not be recorded; it must not be done.
    """
    row = trail.decided(_call(caller, name, args), Allowed(rule), named=True)
    detail: dict[str, Json] = {}
    try:
        yield detail
    except asyncio.CancelledError:
        trail.finished(row, "cancelled", "cancelled")
        raise
    except DeniedError as error:
        trail.finished(row, "refused", str(error))
        refused(trail, caller, name, args, error)
        raise
    except BaseException as error:
        trail.finished(row, "failed", str(error) if isinstance(error, AgentosError) else type(error).__name__)
        raise
    trail.finished(row, "done", detail)


def refused(
    trail: Trail, caller: Caller, name: str, args: Mapping[str, Json], error: DeniedError, *, rule: str = ADMIN
) -> None:
    """Records an act that was refused, once.

    Raises:
        Failed: it could not be recorded.
    """
    if not error.recorded:
        trail.decided(_call(caller, name, args), Denied(rule, str(error)), named=True)
        error.recorded = True


class Changes:
    """Records which rules are in force, each time they change, on behalf of the account whose files they are."""

    def __init__(self, trail: Trail, store: Store, owner: Caller, name: str) -> None:
        """Remembers what was in force when the system ended.

        Args:
            trail: The audit trail.
            store: The system's database.
            owner: The machine account, which alone can write the files.
            name: Of the act, such as `policies.reload`.
        """
        self._trail, self._store, self._owner, self._name = trail, store, owner, name
        store.connection.execute(_TABLE)

    def taken(self, files: Mapping[str, str], rules: int) -> None:
        """Records rules that are about to be in force; nothing, where they are those that were last.

        Args:
            files: File to text, of all of them; those with a folder are the owner's.
            rules: How many rules they hold.

        Raises:
            Failed: it could not be recorded; those before must stay in force.
        """
        digest, own = _digest(files), _own(files)
        db = self._store.connection
        seen = db.execute("select digest from rules_seen where name = ?", (self._name,)).fetchone()
        if seen is not None and seen[0] == digest:
            return
        if db.in_transaction:
            raise Failed("rules that changed are taken in with the next decision; those before are in force")
        if seen is not None or own:  # a fresh installation has the package's, which its version says
            said: dict[str, Json] = {"files": [*own], "rules": rules, "sha256": digest}
            with act(self._trail, self._owner, self._name, said):
                self._keep(digest)
        else:
            self._keep(digest)

    def broken(self, files: Sequence[str], faults: int) -> None:
        """Records that files were not taken in; where it cannot be, the log says so."""
        error = DeniedError("they make no set of rules; those before are in force")
        said: dict[str, Json] = {"files": list(files), "faults": faults}
        try:
            if self._store.connection.in_transaction:
                raise Failed("the database is being written")
            refused(self._trail, self._owner, self._name, said, error, rule="rules-broken")
        except Failed as failed:
            log.warning("that rules were not taken in is not on the audit trail: %s", failed)

    def _keep(self, digest: str) -> None:
        with self._store.transaction() as db:
            db.execute("insert or replace into rules_seen values (?, ?)", (self._name, digest))


def _digest(files: Mapping[str, str]) -> str:
    """The first 16 hex digits of SHA-256 over names and texts."""
    said = hashlib.sha256()
    for name, text in sorted((Path(file).name, text) for file, text in files.items()):
        said.update(f"{len(name)} {name} {len(text)} {text}".encode("utf-8", "replace"))
    return said.hexdigest()[:16]


def _own(files: Mapping[str, str]) -> list[str]:
    return sorted(Path(file).name for file in files if Path(file).name != file)


def _call(caller: Caller, name: str, args: Mapping[str, Json]) -> Call:
    return Call(f"m{secrets.token_hex(5)}", name, args, caller)
