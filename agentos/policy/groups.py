"""Groups of users, which own models, data sets and jobs beside those who made them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from agentos.errors import DeniedError, UserError, unknown
from agentos.store import Store
from agentos.types import Caller, Timestamp

KINDS = {"model": "Model", "dataset": "Dataset", "job": "Job"}
"""What can be given to a group, and the entity type that rules know it by."""
_NAME = re.compile(r"[\w.@+-]{1,64}")
_TABLES = """
create table if not exists groups (name text primary key, created real not null, by text not null);
create table if not exists members (
    team text not null references groups(name), user text not null references users(name), since real not null,
    primary key (team, user)
);
create table if not exists group_things (
    kind text not null, name text not null, team text not null references groups(name), since real not null,
    by text not null, primary key (kind, name)
);
"""


@dataclass(frozen=True)
class Thing:
    """What a group owns."""

    kind: str
    """`model`, `dataset` or `job`."""
    name: str
    by: str
    """Who gave it."""
    since: Timestamp


@dataclass(frozen=True)
class Group:
    """A group as it is listed."""

    name: str
    members: tuple[str, ...]
    things: tuple[Thing, ...]
    created: Timestamp


class Groups:
    """Who belongs together. Membership is remembered: every decision asks for it."""

    def __init__(
        self, store: Store, owner_of: Callable[[str, str], str | None], clock: Callable[[], float] = time.time
    ) -> None:
        """Makes the tables.

        Args:
            store: The system's database, with the users in it.
            owner_of: Whose a thing is, by entity type and name.
            clock: Seconds since the epoch.
        """
        self._store, self._owner_of, self._clock = store, owner_of, clock
        store.connection.executescript(_TABLES)
        self._read()

    def of(self, user: str) -> tuple[str, ...]:
        """The groups that a user is in, by name."""
        return self._of.get(user, ())

    def owning(self, kind: str, name: str) -> str | None:
        """The group that a thing (`Model`, `Dataset`, `Job`) was given to."""
        return self._owning.get((kind, name))

    def all(self, user: str | None = None) -> list[Group]:
        """Every group, or those that a user is in, by name."""
        db = self._store.connection
        members: dict[str, list[str]] = {}
        for team, member in db.execute("select team, user from members order by user"):
            members.setdefault(team, []).append(member)
        words = {entity: word for word, entity in KINDS.items()}
        things: dict[str, list[Thing]] = {}
        for team, kind, name, by, since in db.execute(
            "select team, kind, name, by, since from group_things order by kind, name"
        ):
            things.setdefault(team, []).append(Thing(words.get(kind, kind), name, by, since))
        return [
            Group(name, tuple(members.get(name, ())), tuple(things.get(name, ())), created)
            for name, created in db.execute("select name, created from groups order by name")
            if user is None or user in members.get(name, ())
        ]

    def create(self, name: str, by: str) -> None:
        """Makes a group.

        Raises:
            UserError: the name is taken or unfit.
        """
        if not _NAME.fullmatch(name):
            raise UserError(
                f"{name!r} is no group's name: letters, digits and . @ + - _, at most 64. Nothing was changed."
            )
        with self._store.transaction() as db:
            if db.execute("select 1 from groups where name = ?", (name,)).fetchone():
                raise UserError(f"there is a group {name!r} already; nothing was changed")
            db.execute("insert into groups values (?, ?, ?)", (name, self._clock(), by))

    def delete(self, name: str) -> None:
        """Ends a group; what it owned is its makers' alone again.

        Raises:
            NotFound: there is none.
        """
        self._known(name)
        with self._store.transaction() as db:
            for table, column in (("group_things", "team"), ("members", "team"), ("groups", "name")):
                db.execute(f"delete from {table} where {column} = ?", (name,))
        self._read()

    def add(self, name: str, user: str) -> None:
        """Puts a user into a group; one who is in it stays so.

        Raises:
            NotFound: there is no such group, or no such user.
        """
        self._known(name)
        with self._store.transaction() as db:
            users = [row[0] for row in db.execute("select name from users")]
            if user not in users:
                raise unknown("user", user, users)
            db.execute("insert or ignore into members values (?, ?, ?)", (name, user, self._clock()))
        self._read()

    def remove(self, name: str, user: str) -> None:
        """Takes a user out of a group, at once for what they may do.

        Raises:
            NotFound: there is no such group, or the user is not in it.
        """
        self._known(name)
        with self._store.transaction() as db:
            if not db.execute("delete from members where team = ? and user = ?", (name, user)).rowcount:
                inside = [member for member, teams in self._of.items() if name in teams]
                raise unknown(f"member of {name}", user, inside)
        self._read()

    def give(self, name: str, kind: str, thing: str, by: Caller) -> None:
        """Makes a group an owner of a thing, beside who made it; it leaves the group that it belonged to.

        Args:
            name: The group.
            kind: `model`, `dataset` or `job`.
            thing: What it is called, as rules know it.
            by: Its owner, who is in the group; or an administrator.

        Raises:
            NotFound: there is no such group.
            UserError: a group owns nothing of that kind.
            DeniedError: it is not the caller's, or they are not in the group.
        """
        self._known(name, by)
        entity = self._may_move(kind, thing, by)
        if by.role != "admin" and name not in self.of(by.user):
            raise DeniedError(f"{by.user!r} is not in {name!r}: who gives something to a group is in it. Nothing was"
                              " changed; an administrator adds members.")
        with self._store.transaction() as db:
            db.execute(
                "insert or replace into group_things values (?, ?, ?, ?, ?)",
                (entity, thing, name, self._clock(), by.user),
            )
        self._read()

    def take(self, name: str, kind: str, thing: str, by: Caller) -> None:
        """Takes a thing from a group; it stays its maker's.

        Raises:
            NotFound: there is no such group.
            UserError: the group does not own it.
            DeniedError: it is not the caller's.
        """
        self._known(name, by)
        entity = self._may_move(kind, thing, by)
        with self._store.transaction() as db:
            asked = (entity, thing, name)
            if not db.execute("delete from group_things where kind = ? and name = ? and team = ?", asked).rowcount:
                raise UserError(f"{name!r} does not own the {kind} {thing!r}; nothing was changed")
        self._read()

    def forget(self, kind: str, name: str) -> None:
        """A thing (`Model`, …) is gone for good: the next of that name is nobody's but its maker's."""
        if (kind, name) in self._owning:
            with self._store.transaction() as db:
                db.execute("delete from group_things where kind = ? and name = ?", (kind, name))
            self._read()

    def _may_move(self, kind: str, thing: str, by: Caller) -> str:
        if kind not in KINDS:
            raise UserError(f"a group owns models, data sets and jobs ({', '.join(KINDS)}), and no {kind!r}")
        owner = self._owner_of(KINDS[kind], thing)
        if by.role != "admin" and owner != by.user:
            raise DeniedError(f"the {kind} is not {by.user!r}'s; its owner or an administrator moves it. Nothing was"
                              " changed.")
        return KINDS[kind]

    def _known(self, name: str, by: Caller | None = None) -> None:
        """Returns where there is such a group; who is no administrator is told of their own alone."""
        names = [row[0] for row in self._store.connection.execute("select name from groups")]
        if name not in names:
            raise unknown("group", name, names if by is None or by.role == "admin" else list(self.of(by.user)))

    def _read(self) -> None:
        found: dict[str, list[str]] = {}
        for team, user in self._store.connection.execute("select team, user from members order by team"):
            found.setdefault(user, []).append(team)
        self._of = {user: tuple(teams) for user, teams in found.items()}
        rows = self._store.connection.execute("select kind, name, team from group_things")
        self._owning = {(kind, name): team for kind, name, team in rows}
