"""The reference monitor: the one place that says who may make which call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from agentos.errors import unknown
from agentos.policy.audit import ruling
from agentos.policy.entities import Member
from agentos.policy.judging import Judge, MemberOf, Question, RoleOf
from agentos.policy.people import ROLES, lower
from agentos.policy.reload import InForce, Loaded, Reloading, Told
from agentos.policy.rules import Rules
from agentos.policy.schema import APPROVE, REVIEW, Shape
from agentos.policy.scopes import covers, lacking
from agentos.registry import Registry
from agentos.syscall import Syscall
from agentos.types import Allowed, Call, Caller, Decision, Denied, Explanation, Json, Role

log = logging.getLogger(__name__)

OwnerOf = Callable[[str, str], str | None]
"""Who made a thing, by entity type (`Model`, `Dataset`, `Job`, `Thing`) and name; None where nobody knows."""
SOMEBODY = "(another user)"
"""A user no installation has, for explanations; user names hold no spaces."""


def unowned(kind: str, name: str) -> str | None:
    """An `OwnerOf` that knows of no owner, so that destroying takes an administrator."""
    return None


def alone(user: str) -> Member:
    """A `MemberOf` that knows of no groups, roles of one's own, or service accounts."""
    return Member()


class Monitor:
    """Decides on validated arguments. The answer is no unless a rule says otherwise, and a crash is a no.

    Each decision takes the set in force once and is made by that set to its end, whatever changes meanwhile.
    """

    def __init__(
        self, registry: Registry, role_of: RoleOf, *, owner_of: OwnerOf = unowned, group_of: OwnerOf = unowned,
        member_of: MemberOf = alone, extra: Path | None = None, clock: Callable[[], float] = time.time,
        told: Told | None = None,
    ) -> None:
        """Reads every rule: the package's, and the owner's in `extra` (a file named like one of ours replaces it).

        Args:
            registry: The syscalls.
            role_of: The role of a user.
            owner_of: Who owns a thing.
            group_of: The group that owns a thing, likewise.
            member_of: What a user is beside the role.
            extra: The folder of the owner's rules.
            clock: Seconds since the epoch.
            told: Told of each set of rules before it is in force.

        Raises:
            UserError: a rule does not parse or does not fit the schema; file and line are named.
        """
        self._registry = registry
        self._role_of = role_of
        self._owner_of = owner_of
        self._group_of = group_of
        self._member_of = member_of
        self._judge = Judge(role_of, member_of)
        self._live = Reloading(registry, extra, clock, told)

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
            return _crashed(entry.name, error)

    def reviews(self, caller: Caller) -> Decision:
        """Whether a caller may decide over replies that are held for review; it is no syscall, and takes no yes."""
        try:
            if not covers(caller.scope, REVIEW.syscall, REVIEW.effect):
                return Denied("scope", lacking(caller.scope or (), REVIEW.syscall, REVIEW.effect))
            loaded = self._live.current()
            found = self._standing(loaded, caller)
            if isinstance(found, Denied):
                return found
            role, member = found
            return self._judge.decide(loaded, Question(REVIEW, caller.user, role, caller.door, {}, member=member), True)
        except Exception as error:
            return _crashed(REVIEW.syscall, error)

    def approves(self, call: Call, entry: Syscall, by: Caller) -> Decision:
        """Whether a caller may say yes to a held call, their own or another's.

        The rules must let them answer, and must let the call be made in the asker's place by one of their role: an
        operator says no yes for which an administrator is needed, and neither does an administrator's lesser key.
        """
        try:
            if not covers(by.scope, entry.name, entry.effect):
                return Denied("scope", lacking(by.scope or (), entry.name, entry.effect))
            loaded = self._live.current()
            found = self._standing(loaded, by)
            if isinstance(found, Denied):
                return found
            role, member = found
            own = by.user == call.caller.user
            more: dict[str, Json] = {"syscall": entry.name, "asked": entry.effect, "own": own}
            item = Shape(APPROVE, "write", (), frozenset(), "System", None, ())
            asked = Question(
                item, by.user, role, by.door, {}, outside=tuple(call.outside), member=member, more=more
            )
            said = self._judge.decide(loaded, asked, True)
            if not isinstance(said, Allowed):
                return said
            asker = replace(call.caller, role=lower(call.caller.role, role), scope=None)
            made = self._decide(loaded, replace(call, caller=asker), entry, True)
            return said if isinstance(made, Allowed) else made
        except Exception as error:
            return _crashed(APPROVE, error)

    def may(self, role: Role, custom: str = "", needs: tuple[str, ...] = ()) -> list[Explanation]:
        """What the rules say to whoever has a role, about every syscall, on a thing of their own."""
        loaded, who = self._live.current(), Caller(SOMEBODY, role)
        member = Member(custom=custom, needs=needs)
        found = []
        for entry in self._registry:
            said = self._supposed(loaded, entry, who, SOMEBODY, None, member=member)
            if (absent := _absent(loaded, member)) is not None:
                said = absent
            reason = loaded.rules.reason(said.rule.split(", ")) if isinstance(said, Allowed) else said.reason
            found.append(Explanation(
                entry.name, custom or role, role, entry.effect, ruling(said), said.rule, reason
            ))
        return found

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
            raise unknown("user", name, None)
        if owner and self._role_of(owner) is None:
            raise unknown("user", owner, None)
        if name == caller.user:
            role = lower(role, caller.role)
            if not covers(caller.scope, syscall, entry.effect):
                reason = lacking(caller.scope or (), syscall, entry.effect)
                return Explanation(syscall, name, role, entry.effect, "deny", "scope", reason)
        who = Caller(name, role, door=caller.door)
        if owner is None and args is not None and (item := loaded.shapes.get(syscall)):
            owner = self._real_owner(item, args)
        member = self._member_of(name)
        said = self._supposed(loaded, entry, who, name if owner is None else owner, args, member=member)
        reason = loaded.rules.reason(said.rule.split(", ")) if isinstance(said, Allowed) else said.reason
        if owner is None and not isinstance(said, Denied):
            other = self._supposed(loaded, entry, who, SOMEBODY, args, member=member)
            if isinstance(other, Denied):
                reason += f"; on what is another person's the answer is no ({other.rule}: {other.reason})"
        return Explanation(syscall, name, role, entry.effect, ruling(said), said.rule, reason)

    def _supposed(
        self, loaded: Loaded, entry: Syscall, who: Caller, owner: str, args: Mapping[str, Json] | None, *,
        member: Member,
    ) -> Decision:
        """What a call would get on a thing of `owner`, with made-up arguments where there are none."""
        try:
            if (absent := _absent(loaded, member)) is not None:
                return absent
            item, group = loaded.shapes[entry.name], ""
            if args is not None and owner != SOMEBODY:
                group = self._real_group(item, args)
            if args is None:
                neutral: dict[str, Json] = {"String": "", "Long": 0, "Bool": False}
                given = {param.name: param.default for param in entry.params if param.default is not None}
                args = {a.name: given.get(a.name, neutral.get(a.type, [])) for a in item.attributes if not a.optional}
                if owner and owner != who.user and "names-a-user" in item.groups:
                    args["user"] = owner
            asked = Question(item, who.user, who.role, who.door, args, owner, member=member, group=group)
            return self._judge.decide(loaded, asked, confirmed=False)
        except Exception as error:
            return _crashed(entry.name, error)

    def _standing(self, loaded: Loaded, caller: Caller) -> tuple[Role, Member] | Denied:
        """What the rules must know of a caller: the role, as the user and the key have it now, and what else."""
        registered = self._role_of(caller.user)
        if registered is None:
            return Denied("unknown-user", "policy knows no such user")
        if registered not in ROLES or caller.role not in ROLES:
            return Denied("unknown-role", "policy knows no such role")
        member = self._member_of(caller.user)
        # A key may hold less than its user's role, and a role that was taken away is gone at once.
        return _absent(loaded, member) or (lower(registered, caller.role), member)

    def _decide(self, loaded: Loaded, call: Call, entry: Syscall, confirmed: bool) -> Decision:
        item = loaded.shapes.get(call.syscall)
        if item is None or entry.name != call.syscall or entry.effect != item.effect:
            return Denied("unknown-syscall", "policy knows no such syscall")
        caller = call.caller
        if not covers(caller.scope, item.syscall, item.effect):
            return Denied("scope", lacking(caller.scope or (), item.syscall, item.effect))
        found = self._standing(loaded, caller)
        if isinstance(found, Denied):
            return found
        if not call.args.keys() <= item.params:
            return Denied("unvalidated", "the arguments do not fit the syscall")
        role, member = found
        question = Question(
            item, caller.user, role, caller.door, call.args, self._real_owner(item, call.args), tuple(call.outside),
            member, self._real_group(item, call.args),
        )
        return self._judge.decide(loaded, question, confirmed)

    def _real_owner(self, item: Shape, args: Mapping[str, Json]) -> str:
        named = args.get(item.subject) if item.subject else None
        return (self._owner_of(item.resource, named) or "") if isinstance(named, str) else ""

    def _real_group(self, item: Shape, args: Mapping[str, Json]) -> str:
        named = args.get(item.subject) if item.subject else None
        return (self._group_of(item.resource, named) or "") if isinstance(named, str) else ""


def _absent(loaded: Loaded, member: Member) -> Denied | None:
    """No, where the rules of somebody's role are not in force: its base alone may do more than the role."""
    if all(rule in loaded.rules.rules for rule in member.needs):
        return None
    return Denied("unknown-role", "the rules of this role are not in force: its file in the policies folder is gone")


def _crashed(what: str, error: Exception) -> Denied:
    log.error("the policy could not be evaluated for %s: %s", what, type(error).__name__)
    return Denied("policy-error", "the policy could not be evaluated, so the answer is no")
