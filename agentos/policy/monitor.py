"""The reference monitor: the one place that says who may make which call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cedarpy

from agentos.errors import unknown
from agentos.policy.audit import ruling
from agentos.policy.people import ROLES, lower
from agentos.policy.reload import InForce, Loaded, Parties, Reloading
from agentos.policy.rules import Rules
from agentos.policy.schema import REVIEW, Shape
from agentos.registry import Registry
from agentos.syscall import Syscall
from agentos.types import Allowed, Call, Caller, Decision, Denied, Explanation, Json, NeedsPerson, Role

log = logging.getLogger(__name__)

RoleOf = Callable[[str], Role | None]
"""The role of a user, or None where there is no such user."""
OwnerOf = Callable[[str, str], str | None]
"""Who made a thing, by entity type (`Model`, `Dataset`, `Job`, `Thing`) and name; None where nobody knows."""
SOMEBODY = "(another user)"
"""A user no installation has, for explanations; user names hold no spaces."""


def unowned(kind: str, name: str) -> str | None:
    """An `OwnerOf` that knows of no owner, so that destroying takes an administrator."""
    return None


@dataclass(frozen=True)
class _Question:
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


@dataclass(frozen=True)
class _Verdict:
    allowed: bool
    rules: tuple[str, ...]


class _RuleError(Exception):
    """A rule could not be evaluated. Cedar skips such a rule, a `forbid` too: its allow is then worth nothing."""


class Monitor:
    """Decides on validated arguments. The answer is no unless a rule says otherwise, and a crash is a no.

    Each decision takes the set in force once and is made by that set to its end, whatever changes meanwhile.
    """

    def __init__(
        self, registry: Registry, role_of: RoleOf, *, owner_of: OwnerOf = unowned, extra: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Reads every rule: the package's, and the owner's in `extra` (a file named like one of ours replaces it).

        Raises:
            UserError: a rule does not parse or does not fit the schema; file and line are named.
        """
        self._registry = registry
        self._role_of = role_of
        self._owner_of = owner_of
        self._live = Reloading(registry, extra, clock)

    @property
    def rules(self) -> Rules:
        """The set in force."""
        return self._live.current().rules

    def state(self) -> InForce:
        """The rules in force, since when, and which change to the owner's files was refused."""
        return self._live.state()

    def reload(self) -> None:
        """Takes in rules and syscalls that have changed; on an error the old set stays in force.

        Raises:
            UserError: as when it was made.
        """
        self._live.reload()

    def decide(self, call: Call, entry: Syscall, *, confirmed: bool = False) -> Decision:
        """Yes, yes once a person has confirmed it, or no; reasons name rules, never data.

        Args:
            call: With validated arguments; anything else is denied.
            entry: The syscall it names.
            confirmed: Whether a person has said yes to this call.
        """
        try:
            return self._decide(self._live.current(), call, entry, confirmed)
        except Exception as error:
            return _crashed(entry, error)

    def reviews(self, caller: Caller) -> Decision:
        """Whether a caller may decide over replies that are held for review; it is no syscall, and takes no yes."""
        registered = self._role_of(caller.user)
        if registered not in ROLES or caller.role not in ROLES:
            return Denied("unknown-user", "policy knows no such user")
        try:
            role = lower(registered, caller.role)
            return self._judge(self._live.current(), _Question(REVIEW, caller.user, role, caller.door, {}), True)
        except Exception as error:
            log.error("the policy could not be evaluated for %s: %s", REVIEW.syscall, type(error).__name__)
            return Denied("policy-error", "the policy could not be evaluated, so the answer is no")

    def explain(
        self, syscall: str, user: str | None, caller: Caller, *, args: Mapping[str, Json] | None = None,
        owner: str | None = None,
    ) -> Explanation:
        """What policy would say to `user` (the caller where None) making a call.

        Args:
            syscall: Which call.
            user: Who would make it: a user, or a role for whoever has it where no user is called so.
            caller: Who asks.
            args: Validated arguments; made-up ones where None.
            owner: Whose the thing is, empty for nobody's; where None, its owner by `args`, else the user themself.

        Raises:
            NotFound: there is no such syscall, or no such user.
        """
        entry, loaded = self._registry[syscall], self._live.current()
        name = user or caller.user
        role = self._role_of(name) or next((one for one in ROLES if one == name), None)
        if role is None:
            raise unknown("user", name, [])
        if owner and self._role_of(owner) is None:
            raise unknown("user", owner, [])
        if name == caller.user:
            role = lower(role, caller.role)
        who = Caller(name, role, door=caller.door)
        if owner is None and args is not None and (item := loaded.shapes.get(syscall)):
            owner = self._real_owner(item, args)
        said = self._supposed(loaded, entry, who, name if owner is None else owner, args)
        reason = loaded.rules.reason(said.rule.split(", ")) if isinstance(said, Allowed) else said.reason
        if owner is None and not isinstance(said, Denied):
            other = self._supposed(loaded, entry, who, SOMEBODY, args)
            if isinstance(other, Denied):
                reason += f"; on what is another person's the answer is no ({other.rule}: {other.reason})"
        return Explanation(syscall, name, role, entry.effect, ruling(said), said.rule, reason)

    def _supposed(
        self, loaded: Loaded, entry: Syscall, who: Caller, owner: str, args: Mapping[str, Json] | None
    ) -> Decision:
        """What a call would get on a thing of `owner`, with made-up arguments where there are none."""
        try:
            item = loaded.shapes[entry.name]
            if args is None:
                neutral: dict[str, Json] = {"String": "", "Long": 0, "Bool": False}
                given = {param.name: param.default for param in entry.params if param.default is not None}
                args = {a.name: given.get(a.name, neutral.get(a.type, [])) for a in item.attributes if not a.optional}
                if owner and owner != who.user and "names-a-user" in item.groups:
                    args["user"] = owner
            return self._judge(loaded, _Question(item, who.user, who.role, who.door, args, owner), confirmed=False)
        except Exception as error:
            return _crashed(entry, error)

    def _decide(self, loaded: Loaded, call: Call, entry: Syscall, confirmed: bool) -> Decision:
        item = loaded.shapes.get(call.syscall)
        if item is None or entry.name != call.syscall or entry.effect != item.effect:
            return Denied("unknown-syscall", "policy knows no such syscall")
        caller = call.caller
        registered = self._role_of(caller.user)
        if registered is None:
            return Denied("unknown-user", "policy knows no such user")
        if registered not in ROLES or caller.role not in ROLES:
            return Denied("unknown-role", "policy knows no such role")
        if not call.args.keys() <= item.params:
            return Denied("unvalidated", "the arguments do not fit the syscall")
        owner = self._real_owner(item, call.args)
        # A key may hold less than its user's role, and a role that was taken away is gone at once.
        role = lower(registered, caller.role)
        question = _Question(item, caller.user, role, caller.door, call.args, owner, tuple(call.outside))
        return self._judge(loaded, question, confirmed)

    def _real_owner(self, item: Shape, args: Mapping[str, Json]) -> str:
        named = args.get(item.subject) if item.subject else None
        return (self._owner_of(item.resource, named) or "") if isinstance(named, str) else ""

    def _judge(self, loaded: Loaded, question: _Question, confirmed: bool) -> Decision:
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

    def _ask(self, loaded: Loaded, question: _Question, confirmed: bool) -> _Verdict:
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
                "door": question.door, "args": seen,
            },
        }
        owned_by = self._role_of(owner) if owner and owner != question.user else None
        graph = loaded.graph(Parties(question.user, question.role, item.resource, name, owner, owned_by))
        said = cedarpy.is_authorized(request, loaded.rules.policies, graph, loaded.rules.schema)
        if said.diagnostics.errors or said.decision is cedarpy.Decision.NoDecision:
            raise _RuleError
        named = said.diagnostics.id_annotations_by_reason
        return _Verdict(said.allowed, tuple(sorted(named.get(item, item) for item in said.diagnostics.reasons)))


def _crashed(entry: Syscall, error: Exception) -> Denied:
    log.error("the policy could not be evaluated for %s: %s", entry.name, type(error).__name__)
    return Denied("policy-error", "the policy could not be evaluated, so the answer is no")
