"""Calls that wait for a person, and the rules by which a person has said yes beforehand."""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from agentos.errors import DeniedError, UserError, unknown
from agentos.policy.audit import audited_args, entry_of
from agentos.registry import Registry
from agentos.sealing import Sealer, Unreadable
from agentos.store import Store
from agentos.types import Approval, Call, Caller, Effect, Json, Role, Scope, Timestamp

Answer = Literal["once", "session", "always", "no"]
CONFIRMS: frozenset[Role] = frozenset({"operator", "admin"})
"""Roles that may confirm a call of their own; another person's takes an administrator."""
_TABLES = """
create table if not exists approvals (
    id text primary key, call text not null unique, user text not null, session text not null, door text not null,
    syscall text not null, effect text not null, arguments text not null, digest text not null, reason text not null,
    run text not null, created real not null, answer text not null default '', answered_by text not null default '',
    answer_reason text not null default '', answered real, outside text not null default ''
);
create index if not exists approvals_open on approvals(answer, created);
create table if not exists standing (
    id text primary key, user text not null, syscall text not null, digest text not null, scope text not null,
    session text not null, granted_by text not null, created real not null, arguments text not null,
    approval text not null
);
create index if not exists standing_for on standing(user, syscall);
"""
_HELD = (
    "id, call, user, session, door, syscall, effect, arguments, reason, run, created, answer, answered_by,"
    " answer_reason, outside"
)


@dataclass(frozen=True)
class Held:
    """A call that waits, or waited, for a person."""

    id: str
    call: str
    user: str
    session: str
    door: str
    syscall: str
    effect: Effect
    arguments: Mapping[str, Json]
    """Exactly what will run, while it waits; as the audit trail keeps them once it was answered."""
    reason: str
    run: str
    """The plan it belongs to."""
    created: Timestamp
    answer: str = ""
    """Empty while it waits."""
    answered_by: str = ""
    answer_reason: str = ""
    outside: Mapping[str, str] = field(default_factory=dict)
    """Arguments that text from outside went into, and what gave it."""


@dataclass(frozen=True)
class Refused:
    """A person's no to one held call."""

    by: str
    reason: str
    id: str


@dataclass(frozen=True)
class Standing:
    """A yes given beforehand; it can be taken back."""

    id: str
    user: str
    syscall: str
    scope: Scope
    session: str
    granted_by: str
    created: Timestamp
    arguments: Mapping[str, Json] = field(default_factory=dict)
    """For what destroys: the only arguments it holds for."""


class Approvals:
    """Holds calls for days and through restarts; each is answered once, by a person."""

    def __init__(self, store: Store, registry: Registry, clock: Callable[[], float] = time.time) -> None:
        """Makes the tables."""
        self._store = store
        self._registry = registry
        self._clock = clock
        self._sealer = Sealer(store.path.parent, "held calls")
        store.connection.executescript(_TABLES)
        if "outside" not in {row[1] for row in store.connection.execute("pragma table_info(approvals)")}:
            store.connection.execute("alter table approvals add column outside text not null default ''")

    def hold(self, call: Call, effect: Effect, reason: str, run: str) -> str:
        """Keeps a call until somebody answers; its id. A call that is held already keeps its place."""
        caller = call.caller
        with self._store.transaction() as db:
            held = db.execute("select id from approvals where call = ?", (call.id,)).fetchone()
            if held:
                return str(held[0])
            name = "a" + secrets.token_hex(4)
            shown = self._sealer.text(json.dumps(dict(call.args), ensure_ascii=False), name)
            db.execute(
                "insert into approvals (id, call, user, session, door, syscall, effect, arguments, digest, reason, run,"
                " created, outside) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (name, call.id, caller.user, caller.session, caller.door, call.syscall, effect, shown,
                 _digest(call.args), reason, run, self._clock(),
                 json.dumps(dict(call.outside)) if call.outside else ""),
            )
        return name

    def pending(self, user: str | None = None) -> list[Held]:
        """Calls that wait, everybody's or one user's, oldest first."""
        rows = self._store.connection.execute(
            f"select {_HELD} from approvals where answer = '' and (? is null or user = ?) order by created, rowid",
            (user, user),
        )
        return [self._held(row) for row in rows]

    def held(self, approval: str) -> Held:
        """One held call, answered or not.

        Raises:
            NotFound: there is none of that id.
        """
        row = self._store.connection.execute(f"select {_HELD} from approvals where id = ?", (approval,)).fetchone()
        if row is None:
            raise unknown("held call", approval, [item.id for item in self.pending()])
        return self._held(row)

    def answered(self, approval: str) -> Approval | Refused | None:
        """What a person said to a held call, or None while it waits.

        Raises:
            NotFound: there is none of that id.
        """
        return _outcome(self.held(approval))

    def answer(self, approval: str, by: Caller, answer: Answer, reason: str = "") -> Approval | Refused:
        """Records a person's answer. `always` and `session` leave a rule behind; what destroys, for the same arguments.

        Raises:
            NotFound: there is none of that id.
            DeniedError: this caller may not answer it.
            UserError: it was answered already, or there is no session for it to hold in.
        """
        if answer not in ("once", "session", "always", "no"):
            raise UserError(f"{answer!r} is no answer; say once, session, always or no. The call still waits.")
        with self._store.transaction() as db:
            held = self.held(approval)
            self._may_answer(held, by, answer)
            if held.answer:
                raise UserError(f"{approval!r} was answered already ({held.answer}); nothing was changed")
            if answer == "session" and not held.session:
                raise UserError("the call belongs to no session; answer once or always. The call still waits.")
            kept = json.dumps(
                audited_args(entry_of(self._registry, held.syscall), held.arguments), ensure_ascii=False
            )
            db.execute(
                "update approvals set answer = ?, answered_by = ?, answer_reason = ?, answered = ?, arguments = ?"
                " where id = ?",
                (answer, by.user, reason, self._clock(), kept, approval),
            )
            if answer in ("session", "always"):
                self._grant(db, held, by, answer, kept)
        said = _outcome(self.held(approval))
        assert said is not None
        return said

    def settle(self, approval: str, answer: Literal["once", "no"], by: str, reason: str) -> None:
        """Closes a held call that no person has to answer any more: a rule has, or its run has ended."""
        with self._store.transaction() as db:
            held = self.held(approval)
            kept = audited_args(entry_of(self._registry, held.syscall), held.arguments)
            db.execute(
                "update approvals set answer = ?, answered_by = ?, answer_reason = ?, answered = ?, arguments = ?"
                " where id = ? and answer = ''",
                (answer, by, reason, self._clock(), json.dumps(kept, ensure_ascii=False), approval),
            )

    def covers(self, call: Call) -> Approval | None:
        """The standing yes that holds for a call, if there is one; what destroys needs one for the same arguments.

        None holds for what came from outside: whoever said yes had not seen it.
        """
        if call.outside:
            return None
        effect = self._registry[call.syscall].effect
        row = self._store.connection.execute(
            "select id, granted_by, scope from standing where user = ? and syscall = ?"
            " and (digest = ? or (digest = '' and ? != 'destroy'))"
            " and (scope = 'always' or (session = ? and session != '')) order by scope, created limit 1",
            (call.caller.user, call.syscall, _digest(call.args), effect, call.caller.session),
        ).fetchone()
        return Approval(row[1], row[2], row[0]) if row else None

    def rules(self, user: str | None = None) -> list[Standing]:
        """Every standing yes, or one user's, newest first."""
        rows = self._store.connection.execute(
            "select id, user, syscall, scope, session, granted_by, created, arguments from standing"
            " where ? is null or user = ? order by created desc, rowid desc",
            (user, user),
        )
        return [Standing(*(*row[:-1], json.loads(row[-1]))) for row in rows]

    def revoke(self, rule: str, by: Caller | None = None) -> Standing:
        """Takes a standing yes back; the next call is asked about again. Gives what was taken back.

        Args:
            rule: Its id.
            by: Who takes it back: its user or an administrator; None for the system itself.

        Raises:
            NotFound: there is none of that id.
            DeniedError: it is another person's.
        """
        with self._store.transaction() as db:
            known = {item.id: item for item in self.rules()}
            if rule not in known:
                raise unknown("standing rule", rule, list(known))
            if by is not None and by.role != "admin" and by.user != known[rule].user:
                raise DeniedError("taking back another person's yes takes an administrator; nothing was changed")
            db.execute("delete from standing where id = ?", (rule,))
        return known[rule]

    def _held(self, row: tuple[str, ...]) -> Held:
        values: list[Any] = list(row)
        try:
            values[7] = json.loads(self._sealer.plain(row[7], row[0]))
        except Unreadable as error:  # the others can be answered, and this one refused
            values[7] = {"unreadable": str(error)}
        values[-1] = json.loads(row[-1]) if row[-1] else {}
        return Held(*values)

    def _may_answer(self, held: Held, by: Caller, answer: str) -> None:
        if by.role == "admin" or (by.user == held.user and (by.role in CONFIRMS or answer == "no")):
            return
        rule = "their role may not confirm" if by.user == held.user else "it is another person's call"
        raise DeniedError(f"this caller cannot answer {held.id!r}: {rule}. It still waits; ask an administrator.")

    def _grant(self, db: sqlite3.Connection, held: Held, by: Caller, scope: str, kept: str) -> None:
        destroys = held.effect == "destroy"
        (digest,) = db.execute("select digest from approvals where id = ?", (held.id,)).fetchone()
        db.execute(
            "insert into standing values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ("r" + secrets.token_hex(4), held.user, held.syscall, digest if destroys else "", scope,
             held.session if scope == "session" else "", by.user, self._clock(), kept if destroys else "{}", held.id),
        )


def _outcome(held: Held) -> Approval | Refused | None:
    if not held.answer:
        return None
    if held.answer == "no":
        return Refused(held.answered_by, held.answer_reason, held.id)
    return Approval(held.answered_by, cast(Scope, held.answer), held.id)


def _digest(args: Mapping[str, Json]) -> str:
    return hashlib.sha256(json.dumps(dict(args), sort_keys=True).encode()).hexdigest()
