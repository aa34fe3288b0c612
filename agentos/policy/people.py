"""Users, their roles, and the keys that stand for them."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentos.errors import DeniedError, UserError, unknown
from agentos.store import Store
from agentos.types import Caller, Role, Timestamp

ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")
_NAME = re.compile(r"[\w.@+-]{1,64}")
_USE_EVERY = 60.0
"""Seconds between two writes of a key's last use: a disk write for each request would be felt."""
_TABLES = """
create table if not exists users (name text primary key, role text not null, created real not null);
create table if not exists api_keys (
    id text primary key, user text not null references users(name), role text, hash text not null unique,
    created real not null, expires real, last_use real, revoked real
);
"""


@dataclass(frozen=True)
class User:
    """A person or service that may call."""

    name: str
    role: Role
    created: Timestamp
    owner: bool
    """Whether it is the machine account that the system runs under."""
    keys: int
    """Keys that work now."""
    service: bool = False
    """Whether it is a service account: it has keys alone, and approves nothing."""
    custom: str = ""
    """The role of the owner's own that it has, which `role` is the base of."""


@dataclass(frozen=True)
class NewKey:
    """A key, shown this once: only its hash is kept."""

    id: str
    key: str
    user: str
    role: Role
    expires: Timestamp | None
    scope: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Key:
    """What is kept of a key."""

    id: str
    user: str
    role: Role
    created: Timestamp
    expires: Timestamp | None
    last_use: Timestamp | None
    revoked: Timestamp | None
    scope: tuple[str, ...] | None = None
    """What it is for; None: all that its holder may."""


@dataclass(frozen=True)
class Kind:
    """What policy must know of a user beside the role."""

    service: bool = False
    custom: str = ""


class People:
    """Who is known. The machine account is always an administrator."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time, account: str | None = None) -> None:
        """Makes the tables, and the machine account's user; `account` names another than the one it runs under."""
        self._store = store
        self._clock = clock
        self._account = account or machine_account()
        store.connection.executescript(_TABLES)
        store.add_column("users", "kind", "text not null default 'person'")
        store.add_column("users", "custom", "text not null default ''")
        store.add_column("api_keys", "scope", "text")
        store.connection.execute(
            "insert into users (name, role, created) values (?, 'admin', ?)"
            " on conflict (name) do update set role = 'admin', kind = 'person', custom = ''"
            " where role != 'admin' or kind != 'person' or custom != ''",
            (self._account, clock()),
        )
        self._kinds: dict[str, Kind] = {}
        self._roles: dict[str, Role] = {}

    def owner(self, session: str = "", door: str = "api") -> Caller:
        """The machine account as a caller."""
        return Caller(self._account, "admin", session, door)

    def role_of(self, user: str) -> Role | None:
        """A user's role, or None where there is no such user; remembered, as every decision asks several times."""
        if user not in self._roles:
            row = self._store.connection.execute("select role from users where name = ?", (user,)).fetchone()
            if row is None:
                return None
            self._roles[user] = row[0]
        return self._roles[user]

    def kind_of(self, user: str) -> Kind:
        """What a user is beside the role; remembered, for every decision asks."""
        if user not in self._kinds:
            row = self._store.connection.execute("select kind, custom from users where name = ?", (user,)).fetchone()
            if row is None:
                return Kind()
            self._kinds[user] = Kind(row[0] == "service", row[1])
        return self._kinds[user]

    def users(self) -> list[User]:
        """Everybody, by name."""
        rows = self._store.connection.execute(
            "select name, role, created, (select count(*) from api_keys where user = name and revoked is null"
            " and (expires is null or expires > ?)), kind = 'service', custom from users order by name",
            (self._clock(),),
        )
        return [
            User(name, role, created, name == self._account, keys, bool(service), custom)
            for name, role, created, keys, service, custom in rows
        ]

    def add(self, user: str, role: Role, *, service: bool = False, custom: str = "") -> None:
        """Makes a user.

        Args:
            user: The name.
            role: What they may do; of a role of the owner's own, its base.
            service: Whether it is a service account.
            custom: The role of the owner's own.

        Raises:
            UserError: the name is taken or unfit, or there is no such role.
        """
        _fit(user, role)
        if self.role_of(user):
            raise UserError(f"there is a user {user!r} already; nothing was changed")
        with self._store.transaction() as db:
            db.execute(
                "insert into users (name, role, created, kind, custom) values (?, ?, ?, ?, ?)",
                (user, role, self._clock(), "service" if service else "person", custom),
            )
        self._kinds.pop(user, None)
        self._roles.pop(user, None)

    def set_role(self, user: str, role: Role, custom: str = "") -> None:
        """Gives a user another role, at once and for the keys they hold.

        Raises:
            NotFound: there is no such user.
            UserError: there is no such role, or it is the machine account.
        """
        _fit(user, role)
        self._known(user)
        if user == self._account and role != "admin":
            raise UserError(f"{user!r} is the machine account and stays an administrator; nothing was changed")
        with self._store.transaction() as db:
            db.execute("update users set role = ?, custom = ? where name = ?", (role, custom, user))
        self._kinds.pop(user, None)
        self._roles.pop(user, None)

    def create_key(
        self, user: str, role: Role | None = None, expires: Timestamp | None = None,
        scope: Sequence[str] | None = None, id: str = "",
    ) -> NewKey:
        """A key for a user, shown this once; a user who is not known yet is made, as a viewer unless a role is given.

        Args:
            user: Whom it stands for.
            role: What the key may do, at most; the user's role where None.
            expires: Seconds since the epoch after which it no longer works.
            scope: What it is for, as `scopes.read` gives it; all that its holder may where None.
            id: What it is called, as `key_id` gives it; one of its own where empty.

        Raises:
            UserError: the role is more than the user's, a name is unfit, or it would have expired already.
        """
        _fit(user, role or "viewer")
        if expires is not None and not self._clock() < expires < 1e11:
            raise UserError("a key expires later than now, and within what a date can say; nothing was made")
        held = self.role_of(user)
        if held and role and ROLES.index(role) > ROLES.index(held):
            raise UserError(f"{user!r} is {held}: their key cannot be {role}; nothing was made. Set the role first.")
        key = "ak_" + secrets.token_urlsafe(32)
        name = id or key_id()
        with self._store.transaction() as db:
            if held is None:
                db.execute(
                    "insert into users (name, role, created) values (?, ?, ?)", (user, role or "viewer", self._clock())
                )
            db.execute(
                "insert into api_keys (id, user, role, hash, created, expires, scope) values (?, ?, ?, ?, ?, ?, ?)",
                (name, user, role, _hash(key), self._clock(), expires, None if scope is None else json.dumps(scope)),
            )
        return NewKey(name, key, user, role or held or "viewer", expires, None if scope is None else tuple(scope))

    def keys(self, user: str | None = None) -> list[Key]:
        """Every key, or one user's, newest first; never the key itself."""
        rows = self._store.connection.execute(
            "select k.id, user, coalesce(k.role, u.role), u.role, k.created, expires, last_use, revoked, scope"
            " from api_keys k join users u on u.name = user where ? is null or user = ? order by k.created desc",
            (user, user),
        )
        return [
            Key(i, who, lower(role, held), made, until, used, ended, _scope(scope))
            for i, who, role, held, made, until, used, ended, scope in rows
        ]

    def revoke_key(self, key: str) -> None:
        """Ends a key, by its id.

        Raises:
            NotFound: there is no such key.
            UserError: it is a key itself.
        """
        if _is_key(key):
            raise UserError("that is a key, and not its id, which `agentos keys list` shows; nothing was revoked")
        with self._store.transaction() as db:
            done = db.execute("update api_keys set revoked = coalesce(revoked, ?) where id = ?", (self._clock(), key))
            if not done.rowcount:
                raise unknown("key", key, [item.id for item in self.keys()])

    def caller_for_key(self, key: str, session: str = "", door: str = "http") -> Caller | None:
        """Whom a key stands for; None where it is unknown, expired or revoked."""
        if not _is_key(key):
            return None
        digest = _hash(key)
        row = self._store.connection.execute(
            "select k.id, k.user, coalesce(k.role, u.role), u.role, k.hash, k.last_use, k.scope, u.kind"
            " from api_keys k"
            " join users u on u.name = k.user where k.hash = ? and k.revoked is null"
            " and (k.expires is null or k.expires > ?)",
            (digest, self._clock()),
        ).fetchone()
        if row is None or not hmac.compare_digest(row[4], digest):
            return None
        if row[5] is None or self._clock() - row[5] > _USE_EVERY:
            self._store.connection.execute("update api_keys set last_use = ? where id = ?", (self._clock(), row[0]))
        return Caller(
            row[1], lower(row[2], row[3]), session, door, scope=_scope(row[6]), service=row[7] == "service"
        )

    def ended(self, key: str) -> str:
        """Why a key that was one no longer works, for who holds it; empty where it never was."""
        if not _is_key(key):
            return ""
        row = self._store.connection.execute(
            "select id, expires, revoked from api_keys where hash = ?", (_hash(key),)
        ).fetchone()
        if row is None:
            return ""
        word, at = ("was revoked", row[2]) if row[2] is not None else ("expired", row[1])
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) if at is not None else "some time ago"
        return f"this key ({row[0]}) {word} on {when}"

    def caller_as(self, owner: Caller, user: str) -> Caller:
        """Another user as seen by policy, with that user's role; only an administrator may act for others.

        Raises:
            DeniedError: `owner` is no administrator, or `user` is a service account, which has keys alone.
            NotFound: there is no such user.
        """
        if user == owner.user:
            return owner
        if owner.role != "admin" or self.role_of(owner.user) != "admin":
            raise DeniedError("acting as another user takes an administrator (others-by-admin); nothing was done")
        role = self._known(user)
        if self.kind_of(user).service:
            raise DeniedError(f"{user!r} is a service account: it speaks by its keys alone; nothing was done")
        return Caller(user, role, owner.session, owner.door)

    def _known(self, user: str) -> Role:
        role = self.role_of(user)
        if role is None:
            raise unknown("user", user, [item.name for item in self.users()])
        return role


def key_id() -> str:
    """What a new key can be called; it is no secret."""
    return "k" + secrets.token_hex(4)


def machine_account() -> str:
    """The account this process runs under: by its uid where there is one, whatever the environment says."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except ImportError:
        return getpass.getuser()
    except KeyError:
        return f"uid{os.getuid()}"


def _fit(user: str, role: str) -> None:
    if not _NAME.fullmatch(user):
        raise UserError(f"{user!r} is no user's name: letters, digits and . @ + - _, at most 64. Nothing was changed.")
    if role not in ROLES:
        raise UserError(f"there is no role {role!r}; there are: {', '.join(ROLES)}. Nothing was changed.")


def lower(one: Role, other: Role) -> Role:
    """Which of two roles may do less."""
    return min(one, other, key=ROLES.index)


def _is_key(said: str) -> bool:
    return said.startswith("ak_") and said.isascii() and len(said) <= 100


def _scope(kept: str | None) -> tuple[str, ...] | None:
    return None if kept is None else tuple(json.loads(kept))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
