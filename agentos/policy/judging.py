"""One question to Cedar: a call, who makes it and on what, and the rules that answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cedarpy

from agentos.policy.entities import Member, Parties
from agentos.policy.reload import Loaded
from agentos.policy.schema import Shape
from agentos.types import Allowed, Decision, Denied, Json, NeedsPerson, Role

RoleOf = Callable[[str], Role | None]
"""The role of a user, or None where there is no such user."""
MemberOf = Callable[[str], Member]
"""What a user is beside the role."""
NOBODY = Member()
_CACHED = 1024
"""Verdicts that are kept: they follow from the set of rules and what it can read of a call, and from nothing else."""
_WHOLE = re.compile(r"\bcontext\b(?!\s*(?:\.|has\b))|\bargs\b(?!\s*(?:\.|has\b))|\[\s*\"")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Question:
    """One call as the rules see it."""

    item: Shape
    user: str
    role: Role
    door: str
    args: Mapping[str, Json]
    owner: str = ""
    """Who owns what the call is on; empty where nobody knows."""
    outside: tuple[str, ...] = ()
    """The arguments that text from outside went into."""
    member: Member = NOBODY
    group: str = ""
    """The group that owns it; empty where none does."""
    more: Mapping[str, Json] = field(default_factory=dict)
    """What else the context of this action says."""


@dataclass(frozen=True)
class _Verdict:
    allowed: bool
    rules: tuple[str, ...]


class _RuleError(Exception):
    """A rule could not be evaluated. Cedar skips such a rule, a `forbid` too: its allow is then worth nothing."""


class Judge:
    """Asks the rules."""

    def __init__(self, role_of: RoleOf, member_of: MemberOf) -> None:
        """Looks up the owners of things."""
        self._role_of, self._member_of = role_of, member_of
        self._loaded: Loaded | None = None
        self._read: Callable[[str], bool] = lambda name: True
        self._known: dict[tuple[Hashable, ...], _Verdict] = {}

    def decide(self, loaded: Loaded, question: Question, confirmed: bool) -> Decision:
        """Yes, yes once a person has confirmed it, or no."""
        verdict = self._ask(loaded, question, confirmed)
        if verdict.allowed:
            return Allowed(", ".join(verdict.rules))
        if not confirmed:
            with_yes = self._ask(loaded, question, True)
            if with_yes.allowed:
                return NeedsPerson(", ".join(verdict.rules), loaded.rules.reason(list(verdict.rules)))
            verdict = with_yes
        if not verdict.rules:
            return Denied("default-deny", f"no rule lets a {question.role} make this call")
        return Denied(", ".join(verdict.rules), loaded.rules.reason(list(verdict.rules)))

    def _ask(self, loaded: Loaded, question: Question, confirmed: bool) -> _Verdict:
        item, args, owner = question.item, question.args, question.owner
        name = str(args.get(item.subject, "")) if item.subject else "agentos"
        seen = {a.name: args[a.name] for a in item.attributes if args.get(a.name) is not None}
        request: dict[str, Any] = {
            "principal": {"type": "User", "id": question.user},
            "action": {"type": "Action", "id": item.syscall},
            "resource": {"type": item.resource, "id": name},
            "context": {
                "effect": item.effect, "confirmed": confirmed, "outside": bool(question.outside),
                "outsideArgs": list(question.outside), "destinations": list(item.destinations),
                "given": [name for name, value in args.items() if value not in (None, "", [])],
                "door": question.door, "args": seen, **question.more,
            },
        }
        other = bool(owner) and owner != question.user
        parties = Parties(
            question.user, question.role, question.member, item.resource, name, owner,
            self._role_of(owner) if other else None, self._member_of(owner) if other else NOBODY, question.group,
        )
        if loaded is not self._loaded:
            self._loaded, self._read, self._known = loaded, _reading(loaded), {}
        text = {name: value for name, value in seen.items() if self._read(name)}
        key = (
            parties, item.syscall, item.effect, item.destinations, confirmed, question.outside, question.door,
            tuple(request["context"]["given"]), json.dumps([text, dict(question.more)], sort_keys=True),
        )
        if (verdict := self._known.get(key)) is None:
            verdict = self._asked(loaded, request, loaded.graph(parties))
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[key] = verdict
        return verdict

    def _asked(self, loaded: Loaded, request: dict[str, Any], graph: cedarpy.Entities) -> _Verdict:
        said = cedarpy.is_authorized(request, loaded.rules.policies, graph, loaded.rules.schema)
        if said.diagnostics.errors or said.decision is cedarpy.Decision.NoDecision:
            raise _RuleError
        named = said.diagnostics.id_annotations_by_reason
        return _Verdict(said.allowed, tuple(sorted(named.get(item, item) for item in said.diagnostics.reasons)))


def _reading(loaded: Loaded) -> Callable[[str], bool]:
    """Whether any rule of a set may read an argument: one that its text does not name decides nothing.

    A set that takes the arguments as a whole, or the context, may read any.
    """
    text = "\n".join(loaded.files.values())
    if _WHOLE.search(text):
        return lambda name: True
    named = {*_WORD.findall(text)}
    return lambda name: name in named or not _WORD.fullmatch(name)
