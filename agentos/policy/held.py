"""A call that waits for a person, what was said to it, and a yes given beforehand, as the database keeps them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from agentos.types import Approval, Effect, Json, Scope, Timestamp

EXPIRED = "expired"
"""The answer of a held call that nobody has answered in time."""
TABLES = """
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
HELD = (
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
    expires: Timestamp = 0.0
    """Until when it can be answered, while it waits."""
    state: str = "waiting"
    """`waiting`, `answered` or `expired`."""


@dataclass(frozen=True)
class Refused:
    """A person's no to one held call, or that of time."""

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


def outcome(held: Held) -> Approval | Refused | None:
    """What was said to a held call; None while it waits."""
    if not held.answer:
        return None
    if held.answer in ("no", EXPIRED):
        return Refused(held.answered_by, held.answer_reason, held.id)
    return Approval(held.answered_by, cast(Scope, held.answer), held.id)


def digest_of(args: Mapping[str, Json]) -> str:
    """What tells arguments from others without keeping them."""
    return hashlib.sha256(json.dumps(dict(args), sort_keys=True).encode()).hexdigest()
