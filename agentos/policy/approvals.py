"""Calls that wait for a person, and the rules by which a person has said yes beforehand."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Literal

from agentos.errors import DeniedError, UserError, unknown
from agentos.policy.acts import OWN, Trail, act
from agentos.policy.audit import entry_of
from agentos.policy.audited import audited_args
from agentos.policy.held import EXPIRED, HELD, TABLES, Held, Refused, Standing, digest_of, outcome
from agentos.policy.scopes import covers, lacking
from agentos.registry import Registry
from agentos.sealing import Sealer, Unreadable
from agentos.store import Store
from agentos.syscall import Syscall
from agentos.types import Allowed, Approval, Call, Caller, Decision, Denied, Effect, Seconds
from agentos.types.units import show_seconds

Answer = Literal["once", "session", "always", "no"]
Approves = Callable[[Call, Syscall, Caller], Decision]
"""Whether a caller may say yes to a held call; `Monitor.approves`."""
DAY = 86400.0
PENDING = 100
"""Calls of one user that may wait, and replies."""


class Approvals:
    """Holds calls for hours and through restarts; each is answered once, by a person and in time."""

    def __init__(
        self, store: Store, registry: Registry, approves: Approves, clock: Callable[[], float] = time.time, *,
        lasts: Seconds = DAY, most: int = PENDING, trail: Trail | None = None,
    ) -> None:
        """Makes the tables.

        Args:
            store: The system's database.
            registry: The syscalls.
            approves: What the rules say to who would answer.
            clock: Seconds since the epoch.
            lasts: How long a call can be answered.
            most: How many calls of one user may wait.
            trail: Where a yes that is given beforehand is recorded.
        """
        self._store = store
        self._registry = registry
        self._approves = approves
        self._clock = clock
        self._lasts, self._most, self._trail = lasts, most, trail
        self._sealer = Sealer(store.path.parent, "held calls")
        store.connection.executescript(TABLES)
        store.add_column("approvals", "outside", "text not null default ''")

    def full(self, call: Call) -> Denied | None:
        """No, where so many calls of a user wait that this one cannot; None of one that is held already."""
        user = call.caller.user
        (count, known) = self._store.connection.execute(
            "select count(*), coalesce(max(call = ?), 0) from approvals where answer = '' and created > ? and user = ?",
            (call.id, self._clock() - self._lasts, user),
        ).fetchone()
        if count < self._most or known:
            return None
        return Denied("pending-limit", (
            f"{count} calls of {user} wait for a person already, and no more than {self._most} can; answer some of them"
            " or take them back (`agentos approvals` lists them, `agentos refuse ID`), then ask again. The setting"
            " pending_limit says how many"
        ))

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
                 digest_of(call.args), reason, run, self._clock(),
                 json.dumps(dict(call.outside)) if call.outside else ""),
            )
        return name

    def pending(self, user: str | None = None) -> list[Held]:
        """Calls that wait, everybody's or one user's, oldest first."""
        rows = self._store.connection.execute(
            f"select {HELD} from approvals where answer = '' and created > ? and (? is null or user = ?)"
            " order by created, rowid",
            (self._clock() - self._lasts, user, user),
        )
        return [self._held(row) for row in rows]

    def expired(self, user: str | None = None) -> list[Held]:
        """Calls that nobody answered in time, everybody's or one user's, the last fifty, newest first."""
        rows = self._store.connection.execute(
            f"select {HELD} from approvals where (answer = '{EXPIRED}' or (answer = '' and created <= ?))"
            " and (? is null or user = ?) order by created desc, rowid desc limit 50",
            (self._clock() - self._lasts, user, user),
        )
        return [self._held(row) for row in rows]

    def expire(self) -> list[Held]:
        """Closes the calls whose time is over, and gives them: their runs are to be ended."""
        over = self._store.connection.execute(
            f"select {HELD} from approvals where answer = '' and created <= ? order by created, rowid",
            (self._clock() - self._lasts,),
        ).fetchall()
        found = [self._held(row) for row in over]
        for held in found:
            self.settle(held.id, "expired", "policy", self._late())
        return found

    def held(self, approval: str, by: Caller | None = None) -> Held:
        """One held call, answered or not.

        Args:
            approval: Its id.
            by: Who asks, who is told of no others than they may see.

        Raises:
            NotFound: there is none of that id.
        """
        row = self._store.connection.execute(f"select {HELD} from approvals where id = ?", (approval,)).fetchone()
        if row is None:
            seen = None if by is None else self.pending(None if by.role == "admin" else by.user)
            raise unknown("held call", approval, None if seen is None else [item.id for item in seen])
        return self._held(row)

    def answered(self, approval: str) -> Approval | Refused | None:
        """What a person said to a held call, or None while it waits; one that has expired is refused.

        Raises:
            NotFound: there is none of that id.
        """
        held = self.held(approval)
        if not held.answer and held.state == EXPIRED:
            return Refused("policy", self._late(), held.id)
        return outcome(held)

    def answer(self, approval: str, by: Caller, answer: Answer, reason: str = "") -> Approval | Refused:
        """Records a person's answer. `always` and `session` leave a rule behind; what destroys, for the same arguments.

        Raises:
            NotFound: there is none of that id.
            DeniedError: this caller may not answer it.
            UserError: it was answered already, has expired, or there is no session for it to hold in.
        """
        if answer not in ("once", "session", "always", "no"):
            raise UserError(f"{answer!r} is no answer; say once, session, always or no. The call still waits.")
        held = self.held(approval, by)  # nothing is awaited from here on, so that it stays as it is found
        self._may_answer(held, by, answer)
        if held.state == EXPIRED:
            at = time.strftime("%Y-%m-%d %H:%M", time.localtime(held.expires))
            raise UserError(f"{approval!r} expired on {at}: {self._late()}. It was not run and will not be; ask for"
                            " it again.")
        if held.answer:
            raise UserError(f"{approval!r} was answered already ({held.answer}); nothing was changed")
        if answer == "session" and not held.session:
            raise UserError("the call belongs to no session; answer once or always. The call still waits.")
        rule = f"r{secrets.token_hex(4)}" if answer in ("session", "always") else ""
        with self._granting(rule, held, by, answer), self._store.transaction() as db:
            kept = json.dumps(
                audited_args(entry_of(self._registry, held.syscall), held.arguments), ensure_ascii=False
            )
            db.execute(
                "update approvals set answer = ?, answered_by = ?, answer_reason = ?, answered = ?, arguments = ?"
                " where id = ?",
                (answer, by.user, reason, self._clock(), kept, approval),
            )
            if rule:
                self._grant(rule, held, by, answer, kept)
        said = outcome(self.held(approval))
        assert said is not None
        return said

    def settle(self, approval: str, answer: Literal["once", "no", "expired"], by: str, reason: str) -> None:
        """Closes a held call that no person has to answer any more: a rule or the time has, or its run has ended."""
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
            (call.caller.user, call.syscall, digest_of(call.args), effect, call.caller.session),
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
                mine = None if by is None or by.role == "admin" else by.user
                raise unknown("standing rule", rule, [item.id for item in self.rules(mine)])
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
        held = Held(*values)
        expires = held.created + self._lasts
        if held.answer == EXPIRED or not held.answer and self._clock() >= expires:
            return replace(held, expires=expires, state=EXPIRED)
        return replace(held, expires=expires, state="answered" if held.answer else "waiting")

    def _may_answer(self, held: Held, by: Caller, answer: str) -> None:
        """Everybody may take back what they asked for; a yes, and a no to another's, is for whom the rules let.

        Raises:
            DeniedError: they do not let this caller.
        """
        if not covers(by.scope, held.syscall, held.effect):
            said: Decision = Denied("scope", lacking(by.scope or (), held.syscall, held.effect))
        elif answer == "no" and (by.user == held.user or (by.role == "admin" and not by.service)):
            return
        elif held.answer and (by.user == held.user or by.role == "admin"):
            return  # which the caller is told
        elif (entry := entry_of(self._registry, held.syscall)) is None:
            said = Denied("unknown-syscall", "there is no such syscall any more; it can only be refused")
        else:
            said = self._asked(held, entry, by)
        if isinstance(said, Allowed):
            return
        rule = f"{said.rule}: {said.reason}"
        if said.rule == "default-deny":
            rule = "their role may not confirm" if by.user == held.user else "it is another person's call"
        raise DeniedError(f"this caller cannot answer {held.id!r} ({rule}). It still waits; ask an administrator.")

    def _asked(self, held: Held, entry: Syscall, by: Caller) -> Decision:
        """What the rules say to a yes."""
        try:
            args = entry.validate(held.arguments)  # filled in: a newer version may take more than it was asked with
        except UserError:
            return Denied("unvalidated", "its arguments do not fit the syscall any more; it can only be refused")
        asker = Caller(held.user, "admin", held.session, held.door)  # policy takes the lower of this role and theirs
        return self._approves(Call(held.call, held.syscall, args, asker, held.outside), entry, by)

    def _late(self) -> str:
        return f"nobody answered within {show_seconds(self._lasts)}"

    def _granting(self, rule: str, held: Held, by: Caller, scope: str) -> AbstractContextManager[object]:
        """A yes that is given beforehand is on the trail before it holds."""
        if not rule or self._trail is None:
            return nullcontext()
        said = {"id": rule, "user": held.user, "syscall": held.syscall, "scope": scope, "approval": held.id}
        return act(self._trail, by, "rules.grant", said, OWN if by.user == held.user else "admin-everything")

    def _grant(self, rule: str, held: Held, by: Caller, scope: str, kept: str) -> None:
        db, destroys = self._store.connection, held.effect == "destroy"
        (digest,) = db.execute("select digest from approvals where id = ?", (held.id,)).fetchone()
        db.execute(
            "insert into standing values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (rule, held.user, held.syscall, digest if destroys else "", scope,
             held.session if scope == "session" else "", by.user, self._clock(), kept if destroys else "{}", held.id),
        )
