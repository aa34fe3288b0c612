"""Roles of the owner's own: one of the shipped roles with differences, which are rules in HOME/policies.

What such a role may do is in its file and nowhere else; the database holds only its name and its base. Where the rules
of a file are not in force, because it was taken away, whoever has the role may do nothing until they are.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentos.errors import Failed, UserError, unknown
from agentos.policy.people import ROLES
from agentos.policy.rules import added, compile_rules, shipped
from agentos.policy.schema import cedar_schema, shape
from agentos.policy.scopes import EFFECTS
from agentos.registry import Registry
from agentos.store import Store
from agentos.types import Role, Timestamp

_BASES: tuple[Role, ...] = ("viewer", "operator")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_TABLE = """
create table if not exists roles (
    name text primary key, base text not null, rules text not null, created real not null
);
"""


@dataclass(frozen=True)
class CustomRole:
    """A role of the owner's own."""

    name: str
    base: Role
    """The shipped role that it differs from."""
    rules: tuple[str, ...]
    """Ids of the rules that must be in force for it."""
    created: Timestamp
    file: str
    """Where its rules are written."""


class Roles:
    """What roles there are besides viewer, operator and admin."""

    def __init__(
        self, store: Store, registry: Registry, folder: Path, clock: Callable[[], float] = time.time
    ) -> None:
        """Makes the table.

        Args:
            store: The system's database.
            registry: The syscalls that rules may name.
            folder: Where the owner's policies are.
            clock: Seconds since the epoch.
        """
        self._store, self._registry, self._folder, self._clock = store, registry, folder, clock
        store.connection.executescript(_TABLE)
        self._read()

    def all(self) -> list[CustomRole]:
        """Every one, by name."""
        return list(self._all.values())

    def get(self, name: str) -> CustomRole | None:
        """The role of that name, or None."""
        return self._all.get(name)

    def create(self, name: str, base: Role, allow: Sequence[str], forbid: Sequence[str]) -> CustomRole:
        """Makes a role: its rules are checked together with all others, and then written.

        Args:
            name: Small letters, digits and hyphens.
            base: `viewer` or `operator`: who administers could lift every difference.
            allow: What it may do besides: syscalls (`models.pull`), families (`models.*`) or effects (`write`).
            forbid: What it may not do of what its base may.

        Raises:
            UserError: the name is taken or unfit, an item names nothing, or the rules do not fit the schema.
            Failed: the file cannot be written.
        """
        if not _NAME.fullmatch(name) or name in ROLES or name in self._all:
            raise UserError(
                f"{name!r} is taken or no name for a role: small letters, digits and hyphens. Nothing was made."
            )
        if base not in _BASES:
            raise UserError(f"a role is made from viewer or operator, and not from {base!r}. Nothing was made.")
        if not allow and not forbid:
            raise UserError(f"a role that differs in nothing is {base} itself: name what it may or may not do besides")
        if self._store.connection.execute("select 1 from users where name = ?", (name,)).fetchone():
            raise UserError(f"there is a user {name!r}; a question would be about either. Nothing was made.")
        path, text = self._folder / f"role-{name}.cedar", self._text(name, base, allow, forbid)
        if path.exists():
            raise UserError(f"{path} is there already; move it away first. Nothing was made.")
        files = shipped()
        for file, known in added(self._folder).items():
            files.pop(Path(file).name, None)
            files[file] = known
        compile_rules({**files, str(path): text}, cedar_schema(map(shape, self._registry)))
        needed = [f"role-{name}-forbid"] if forbid else []
        self._write(path, text)
        try:
            with self._store.transaction() as db:
                db.execute("insert into roles values (?, ?, ?, ?)", (name, base, json.dumps(needed), self._clock()))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._read()
        return self._all[name]

    def delete(self, name: str) -> CustomRole:
        """Ends a role that nobody has, and takes its file away.

        Raises:
            NotFound: there is none of that name.
            UserError: somebody has it.
        """
        role = self._all.get(name)
        if role is None:
            raise unknown("role of your own", name, list(self._all))
        with self._store.transaction() as db:
            holders = [row[0] for row in db.execute("select name from users where custom = ? order by name", (name,))]
            if holders:
                raise UserError(f"{', '.join(holders)} have the role {name!r}; give them another first. Nothing was"
                                " changed.")
            db.execute("delete from roles where name = ?", (name,))
        Path(role.file).unlink(missing_ok=True)
        self._read()
        return role

    def _text(self, name: str, base: Role, allow: Sequence[str], forbid: Sequence[str]) -> str:
        lines = [f"// The role {name}: {base}, with these differences. Made by `agentos roles create`."]
        if allow:
            lines += [
                f'@id("role-{name}-allow")', f'@reason("the role {name} may do this")',
                f'permit (principal in Role::"{name}", action in [{self._actions(allow)}], resource)',
                f'when {{ principal in Role::"{base}" }};  // a key that holds less than {base} does not get it either',
            ]
        if forbid:
            lines += [
                f'@id("role-{name}-forbid")', f'@reason("the role {name} may not do this")',
                f'forbid (principal in Role::"{name}", action in [{self._actions(forbid)}], resource);',
            ]
        return "\n".join(lines) + "\n"

    def _actions(self, items: Sequence[str]) -> str:
        families = {f"{entry.family}.*" for entry in self._registry}
        for item in items:
            if not (item in self._registry or item in families or item in EFFECTS):
                raise UserError(
                    f"{item!r} is no syscall (models.pull), family (models.*) or effect ({', '.join(EFFECTS)})."
                    " Nothing was made."
                )
        return ", ".join(f"Action::{json.dumps(item)}" for item in sorted(set(items)))

    def _write(self, path: Path, text: str) -> None:
        part = path.with_name(f".{path.name}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.rename(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise Failed(f"{path} cannot be written ({error.strerror}); no role was made") from error

    def _read(self) -> None:
        rows = self._store.connection.execute("select name, base, rules, created from roles order by name")
        self._all = {
            name: CustomRole(name, base, tuple(json.loads(rules)), created, str(self._folder / f"role-{name}.cedar"))
            for name, base, rules, created in rows
        }
