"""The reference monitor: the one place that says who may make which call."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cedarpy

from agentos.errors import unknown
from agentos.policy.audit import ruling
from agentos.policy.rules import Rules, added, compile_rules, shipped
from agentos.policy.schema import Shape, cedar_schema, shape
from agentos.registry import Registry
from agentos.syscall import Syscall
from agentos.types import Allowed, Call, Caller, Decision, Denied, Explanation, Json, NeedsPerson, Role

log = logging.getLogger(__name__)

RANK: dict[Role, int] = {"viewer": 0, "operator": 1, "admin": 2}
RoleOf = Callable[[str], Role | None]
"""The role of a user, or None where there is no such user."""
OwnerOf = Callable[[str, str], str | None]
"""Who made a thing, by entity type (`Model`, `Dataset`, `Job`, `Thing`) and name; None where nobody knows."""
SOMEBODY = "(another user)"
"""A user no installation has, for explanations; user names hold no spaces."""
_CACHED = 1024


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


@dataclass(frozen=True)
class _Verdict:
    allowed: bool
    rules: tuple[str, ...]


class _RuleError(Exception):
    """A rule could not be evaluated. Cedar skips such a rule, a `forbid` too: its allow is then worth nothing."""


@dataclass(frozen=True)
class _Loaded:
    """All that decisions read, swapped as one."""

    rules: Rules
    shapes: Mapping[str, Shape]
    roles: cedarpy.Entities


class Monitor:
    """Decides on validated arguments. The answer is no unless a rule says otherwise, and a crash is a no."""

    def __init__(
        self, registry: Registry, role_of: RoleOf, *, owner_of: OwnerOf = unowned, extra: Path | None = None
    ) -> None:
        """Reads every rule: the package's, and the owner's in `extra` (a file named like one of ours replaces it).

        Raises:
            UserError: a rule does not parse or does not fit the schema; file and line are named.
        """
        self._registry = registry
        self._role_of = role_of
        self._owner_of = owner_of
        self._extra = extra
        self._graphs: OrderedDict[tuple[str, str, str, str, str], cedarpy.Entities] = OrderedDict()
        self._loaded = self._read()

    @property
    def rules(self) -> Rules:
        """The set in force."""
        return self._loaded.rules

    def reload(self) -> None:
        """Takes in rules and syscalls that have changed; on an error the old set stays in force.

        Raises:
            UserError: as when it was made.
        """
        loaded = self._read()
        self._graphs.clear()
        self._loaded = loaded

    def decide(self, call: Call, entry: Syscall, *, confirmed: bool = False) -> Decision:
        """Yes, yes once a person has confirmed it, or no; reasons name rules, never data.

        Args:
            call: With validated arguments; anything else is denied.
            entry: The syscall it names.
            confirmed: Whether a person has said yes to this call.
        """
        try:
            return self._decide(call, entry, confirmed)
        except Exception as error:
            return _crashed(entry, error)

    def explain(self, syscall: str, user: str | None, caller: Caller) -> Explanation:
        """What policy would say to `user` (the caller where None) making a call, on their own things.

        Raises:
            NotFound: there is no such syscall, or no such user.
        """
        entry = self._registry[syscall]
        name = user or caller.user
        role = self._role_of(name)
        if role is None:
            raise unknown("user", name, [])
        if name == caller.user:
            role = _lower(role, caller.role)
        own = self._supposed(entry, Caller(name, role, door=caller.door), owner=name)
        other = self._supposed(entry, Caller(name, role, door=caller.door), owner=SOMEBODY)
        reason = self.rules.reason(own.rule.split(", ")) if isinstance(own, Allowed) else own.reason
        if isinstance(other, Denied) and not isinstance(own, Denied):
            reason += f"; on what is another person's the answer is no ({other.rule}: {other.reason})"
        return Explanation(syscall, name, role, entry.effect, ruling(own), own.rule, reason)

    def _supposed(self, entry: Syscall, who: Caller, owner: str) -> Decision:
        """What a call with made-up arguments would get, on a thing of `owner`."""
        item = self._loaded.shapes[entry.name]
        neutral: dict[str, Json] = {"String": "", "Long": 0, "Bool": False}
        given = {param.name: param.default for param in entry.params if param.default is not None}
        args = {a.name: given.get(a.name, neutral.get(a.type, [])) for a in item.attributes if not a.optional}
        if owner != who.user and "names-a-user" in item.groups:
            args["user"] = owner
        try:
            return self._judge(_Question(item, who.user, who.role, who.door, args, owner), confirmed=False)
        except Exception as error:
            return _crashed(entry, error)

    def _decide(self, call: Call, entry: Syscall, confirmed: bool) -> Decision:
        item = self._loaded.shapes.get(call.syscall)
        if item is None or entry.name != call.syscall or entry.effect != item.effect:
            return Denied("unknown-syscall", "policy knows no such syscall")
        caller = call.caller
        registered = self._role_of(caller.user)
        if registered is None:
            return Denied("unknown-user", "policy knows no such user")
        if registered not in RANK or caller.role not in RANK:
            return Denied("unknown-role", "policy knows no such role")
        if not call.args.keys() <= item.params:
            return Denied("unvalidated", "the arguments do not fit the syscall")
        named = call.args.get(item.subject) if item.subject else None
        owner = self._owner_of(item.resource, named) if isinstance(named, str) else None
        # A key may hold less than its user's role, and a role that was taken away is gone at once.
        role = _lower(registered, caller.role)
        return self._judge(_Question(item, caller.user, role, caller.door, call.args, owner or ""), confirmed)

    def _judge(self, question: _Question, confirmed: bool) -> Decision:
        verdict = self._ask(question, confirmed)
        if verdict.allowed:
            return Allowed(", ".join(verdict.rules))
        if not confirmed:
            with_yes = self._ask(question, True)
            if with_yes.allowed:
                return NeedsPerson(", ".join(verdict.rules), self.rules.reason(list(verdict.rules)))
            verdict = with_yes
        if not verdict.rules:
            return Denied("default-deny", f"no rule lets a {question.role} make this call")
        return Denied(", ".join(verdict.rules), self.rules.reason(list(verdict.rules)))

    def _ask(self, question: _Question, confirmed: bool) -> _Verdict:
        item, args, loaded = question.item, question.args, self._loaded
        name = str(args.get(item.subject, "")) if item.subject else "agentos"
        seen = {a.name: args[a.name] for a in item.attributes if args.get(a.name) is not None}
        request: dict[str, Any] = {
            "principal": {"type": "User", "id": question.user},
            "action": {"type": "Action", "id": item.syscall},
            "resource": {"type": item.resource, "id": name},
            "context": {"effect": item.effect, "confirmed": confirmed, "door": question.door, "args": seen},
        }
        graph = self._graph(question.user, question.role, item.resource, name, question.owner)
        said = cedarpy.is_authorized(request, loaded.rules.policies, graph, loaded.rules.schema)
        if said.diagnostics.errors or said.decision is cedarpy.Decision.NoDecision:
            raise _RuleError
        named = said.diagnostics.id_annotations_by_reason
        return _Verdict(said.allowed, tuple(sorted(named.get(item, item) for item in said.diagnostics.reasons)))

    def _graph(self, user: str, role: Role, kind: str, name: str, owner: str) -> cedarpy.Entities:
        """The entities of one request; the last thousand are kept parsed."""
        key = (user, role, kind, name, owner)
        found = self._graphs.get(key)
        if found is not None:
            self._graphs.move_to_end(key)
            return found
        delta = [_entity("User", user, {"name": user}, role)]
        attributes: dict[str, Json] = {}
        if owner:
            attributes["owner"] = {"__entity": {"type": "User", "id": owner}}
            if owner != user:
                delta.append(_entity("User", owner, {"name": owner}, self._role_of(owner)))
        delta.append(_entity(kind, name, attributes, None))
        graph = self._loaded.roles.with_added_json_str(json.dumps(delta), self._loaded.rules.schema)
        self._graphs[key] = graph
        if len(self._graphs) > _CACHED:
            self._graphs.popitem(last=False)
        return graph

    def _read(self) -> _Loaded:
        shapes = {entry.name: shape(entry) for entry in self._registry}
        files = shipped()
        for path, text in (added(self._extra) if self._extra else {}).items():
            files.pop(Path(path).name, None)
            files[path] = text
        rules = compile_rules(files, cedar_schema(shapes.values()))
        roles = json.dumps([_entity("Role", name, {}, None) for name in RANK])
        return _Loaded(rules, shapes, cedarpy.Entities.from_json_str(roles, rules.schema))


def _crashed(entry: Syscall, error: Exception) -> Denied:
    log.error("the policy could not be evaluated for %s: %s", entry.name, type(error).__name__)
    return Denied("policy-error", "the policy could not be evaluated, so the answer is no")


def _lower(one: Role, other: Role) -> Role:
    return one if RANK[one] <= RANK[other] else other


def _entity(kind: str, name: str, attributes: dict[str, Json], role: Role | None) -> dict[str, Any]:
    parents = [{"type": "Role", "id": role}] if role else []
    return {"uid": {"type": kind, "id": name}, "attrs": attributes, "parents": parents}
