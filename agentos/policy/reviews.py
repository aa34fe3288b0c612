"""Replies that wait for an administrator: held by a rule of `output.yaml`, then released or refused by a person.

The text is sealed in the database and goes once it is of no more use: when the asker has fetched it, or when it was
refused; the record stays. Nothing that a syscall or a model reaches leads here: `Context` has no reviews, and the doors
ask Cedar (`reviews.decide`) who the person is.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agentos.errors import DeniedError, TooMany, UserError, unknown
from agentos.policy.acts import Changes
from agentos.policy.approvals import PENDING
from agentos.policy.audit import Audit
from agentos.policy.output import Rule
from agentos.sealing import Sealer
from agentos.store import Store
from agentos.types import Allowed, Approval, Call, Caller, Decision, Denied, NeedsPerson, Seconds, Timestamp

State = Literal["waiting", "released", "refused"]
_TABLE = """
create table if not exists reviews (
    id text primary key, user text not null, model text not null, rule text not null, why text not null,
    created real not null, state text not null default 'waiting', sealed blob, decided_by text not null default '',
    reason text not null default '', decided real, fetched real
);
create index if not exists reviews_waiting on reviews(state, created);
"""
_SHOWN = "id, user, model, rule, why, created, state, decided_by, reason, decided, fetched"


@dataclass(frozen=True)
class Review:
    """A reply that waits, or waited, for review."""

    id: str
    user: str
    """Who asked for it."""
    model: str
    rule: str
    """Of `output.yaml`."""
    why: str
    """What that rule says to people."""
    created: Timestamp
    state: State
    decided_by: str
    reason: str
    """Of the decision."""
    decided: Timestamp | None
    fetched: Timestamp | None
    """When the asker had it; the text is gone since then."""
    age: Seconds
    text: str | None = None
    """For who may read it, as long as it is kept."""


class Reviews:
    """Holds replies for days and through restarts; each is decided once, by a person."""

    def __init__(
        self, store: Store, audit: Audit, judge: Callable[[Caller], Decision], owner: str,
        clock: Callable[[], float] = time.time, *, most: int = PENDING, told: Changes | None = None,
    ) -> None:
        """Makes the table.

        Args:
            store: The database.
            audit: Where holds and decisions are recorded.
            judge: Whether a caller may decide over held replies.
            owner: The machine account, who alone may decide over replies of their own.
            clock: Seconds since the epoch.
            most: How many replies to one user may wait.
            told: Records which rules over replies are in force.
        """
        self._most, self._told = most, told
        self._store, self._audit, self._judge, self._owner, self._clock = store, audit, judge, owner, clock
        self._sealer = Sealer(store.path.parent, "held replies")
        store.connection.executescript(_TABLE)

    def hold(self, caller: Caller, model: str, rule: Rule, text: str) -> str:
        """Keeps a reply until it is reviewed; its id. On disk when this returns.

        Raises:
            TooMany: as many of the caller's replies wait as may; this one is gone.
            Failed: it cannot be kept, and must not leave either.
        """
        name = "v" + secrets.token_hex(5)
        (count,) = self._store.connection.execute(
            "select count(*) from reviews where state = 'waiting' and user = ?", (caller.user,)
        ).fetchone()
        if count >= self._most:
            full = Denied("pending-limit", (
                f"the rule {rule.id} holds the answer for review, {count} answers to {caller.user} wait already, and no"
                f" more than {self._most} can (pending_limit)"
            ))
            self._audit.decided(Call(name, "output.hold", {}, caller), full)
            raise TooMany(
                f"the answer is not given and was not kept: {full.reason}. Ask an administrator to review them"
                " (`agentos review`), then ask again."
            )
        sealed = self._sealer.seal(text.encode("utf-8", "surrogatepass"), name)
        self._audit.decided(Call(name, "output.hold", {}, caller), NeedsPerson(rule.id, rule.reason))
        with self._store.transaction() as db:
            db.execute(
                "insert into reviews (id, user, model, rule, why, created, sealed) values (?, ?, ?, ?, ?, ?, ?)",
                (name, caller.user, model, rule.id, rule.reason, self._clock(), sealed),
            )
        return name

    def blocked(self, caller: Caller, model: str, rule: Rule) -> None:
        """Records that a reply was not given.

        Raises:
            Failed: the disk refuses.
        """
        name = "o" + secrets.token_hex(5)
        self._audit.decided(Call(name, "output.block", {}, caller), Denied(rule.id, rule.reason))

    def ruled(self, files: Mapping[str, str], rules: int) -> None:
        """Records rules over replies that are about to be in force.

        Raises:
            Failed: it could not be recorded; those before must stay in force.
        """
        if self._told is not None:
            self._told.taken(files, rules)

    def misruled(self, file: str) -> None:
        """Records that a file of rules over replies was not taken in."""
        if self._told is not None:
            self._told.broken([file], 1)

    def waiting(self, by: Caller) -> list[Review]:
        """Replies that wait, oldest first: everybody's for who reviews, their own for others; never the texts."""
        mine = None if isinstance(self._judge(by), Allowed) else by.user
        rows = self._store.connection.execute(
            f"select {_SHOWN} from reviews where state = 'waiting' and (? is null or user = ?) order by created, rowid",
            (mine, mine),
        )
        return [self._review(row) for row in rows]

    def get(self, review: str, by: Caller) -> Review:
        """One, for the asker and for who reviews; with its text for a reviewer, and for the asker once released.

        Raises:
            NotFound: there is none of that id that the caller may see.
            Failed: the text cannot be opened.
        """
        row = self._store.connection.execute(
            f"select {_SHOWN}, sealed from reviews where id = ?", (review,)
        ).fetchone()
        reviews = row is not None and self._no(row[1], by) is None
        if row is None or not (reviews or row[1] == by.user):
            raise unknown("held reply", review, [item.id for item in self.waiting(by)])
        *shown, sealed = row
        readable = sealed is not None and (reviews or row[6] == "released")
        return self._review(shown, self._opened(review, sealed) if readable else None)

    def fetched(self, review: str, by: Caller) -> None:
        """Forgets the text of a released reply, once its asker has it; of others, nothing."""
        with self._store.transaction() as db:
            db.execute(
                "update reviews set sealed = null, fetched = ?"
                " where id = ? and user = ? and state = 'released' and fetched is null",
                (self._clock(), review, by.user),
            )

    def release(self, review: str, by: Caller, reason: str = "") -> Review:
        """Lets the asker have it.

        Raises:
            NotFound: there is none of that id.
            DeniedError: this caller may not decide over it.
            UserError: it was decided already.
        """
        return self._decide(review, by, "released", reason)

    def refuse(self, review: str, by: Caller, reason: str) -> Review:
        """Says no for good; the text is deleted.

        Raises:
            NotFound: there is none of that id.
            DeniedError: this caller may not decide over it.
            UserError: no reason was given, or it was decided already.
        """
        if not reason.strip():
            raise UserError("a refusal takes a reason, which the asker is told; the reply still waits")
        return self._decide(review, by, "refused", reason)

    def _decide(self, review: str, by: Caller, state: State, reason: str) -> Review:
        row = self._store.connection.execute(f"select {_SHOWN} from reviews where id = ?", (review,)).fetchone()
        if row is None or (row[1] != by.user and not isinstance(self._judge(by), Allowed)):
            raise unknown("held reply", review, [item.id for item in self.waiting(by)])
        held = self._review(row)
        if (why := self._no(held.user, by)) is not None:
            raise DeniedError(f"this caller cannot decide over {review!r}: {why}. It stays as it is.")
        if held.state != "waiting":
            raise UserError(f"{review!r} was {held.state} already by {held.decided_by}; nothing was changed")
        if state == "released":
            call = Call(review, "output.release", {}, by)
        else:
            self._audit.refused(review, by.user)
            call = Call(f"{review}.refused", "output.refuse", {}, by)
        line = self._audit.decided(call, self._judge(by), Approval(by.user, "once", review))
        with self._store.transaction() as db:
            db.execute(
                "update reviews set state = ?, decided_by = ?, reason = ?, decided = ?"
                + (", sealed = null" if state == "refused" else "") + " where id = ?",
                (state, by.user, reason, self._clock(), review),
            )
        self._audit.finished(line, "done", {
            "review": review, "user": held.user, "model": held.model, "rule": held.rule, "reason": reason,
        })
        return self.get(review, by)

    def _no(self, asker: str, by: Caller) -> str | None:
        """Why a caller may not decide over an asker's reply; None where they may."""
        decision = self._judge(by)
        if not isinstance(decision, Allowed):
            return f"reviewing takes an administrator ({decision.rule})"
        if asker == by.user != self._owner:
            return "nobody reviews a reply to themself; ask another administrator"
        return None

    def _opened(self, review: str, sealed: bytes) -> str:
        return self._sealer.open(sealed, review).decode("utf-8", "surrogatepass")

    def _review(self, row: Any, text: str | None = None) -> Review:
        named = dict(zip(_SHOWN.split(", "), row, strict=True))
        return Review(**named, age=max(0.0, self._clock() - named["created"]), text=text)
