"""A suite of who may do what, run against the monitor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pydantic import ConfigDict, create_model

from agentos.errors import UserError
from agentos.policy.audit import ruling
from agentos.policy.entities import Member
from agentos.policy.monitor import Monitor
from agentos.registry import Registry
from agentos.syscall import Param, Syscall
from agentos.types import Call, Caller, Context, Effect, Json, Name, Private, Role

_TYPES: dict[str, Any] = {"name": Name, "private": Private, "text": str}
_EFFECTS = {"read", "write", "execute", "destroy"}


@dataclass(frozen=True)
class Case:
    """One question and the answer it must get."""

    user: str
    syscall: str
    expect: Literal["allow", "confirm", "deny"]
    rule: str
    args: Mapping[str, Json] = field(default_factory=dict)
    confirmed: bool = False
    """Whether a person has confirmed it."""
    role: str = ""
    """The role that the caller claims; the user's own where empty."""
    outside: bool = False
    """Whether an argument came from outside."""
    approves: str = ""
    """Whose held call the user would say yes to; empty where they make it themselves."""


@dataclass(frozen=True)
class Checked:
    """A case and what the monitor said."""

    case: Case
    decision: str
    rule: str

    @property
    def ok(self) -> bool:
        """Whether the answer and the rule are the expected ones."""
        return (self.decision, self.rule) == (self.case.expect, self.case.rule)


@dataclass(frozen=True)
class Suite:
    """Users, owners, calls that are not installed, and cases."""

    users: Mapping[str, Role]
    owners: Mapping[str, str]
    syscalls: tuple[Syscall, ...]
    cases: tuple[Case, ...]
    services: frozenset[str] = frozenset()
    """Users that are service accounts."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Members by group."""
    given: Mapping[str, str] = field(default_factory=dict)
    """The groups that things were given to."""

    def role_of(self, user: str) -> Role | None:
        """The suite's answer for the monitor."""
        return self.users.get(user)

    def owner_of(self, kind: str, name: str) -> str | None:
        """The suite's answer for the monitor."""
        return self.owners.get(name)

    def group_of(self, kind: str, name: str) -> str | None:
        """The suite's answer for the monitor."""
        return self.given.get(name)

    def member_of(self, user: str) -> Member:
        """The suite's answer for the monitor."""
        teams = tuple(name for name, members in self.groups.items() if user in members)
        return Member(teams, service=user in self.services)

    def table(self, installed: Iterable[Syscall]) -> Registry:
        """The installed table and, beside it, the suite's own calls."""
        table = Registry()
        for entry in installed:
            table.add(entry)
        for entry in self.syscalls:
            if entry.name not in table:
                table.add(entry)
        return table


@dataclass(frozen=True)
class Report:
    """What a suite found."""

    results: tuple[Checked, ...]

    @property
    def right(self) -> int:
        """How many got the expected answer by the expected rule."""
        return sum(result.ok for result in self.results)

    @property
    def wrong(self) -> tuple[Checked, ...]:
        """The others."""
        return tuple(result for result in self.results if not result.ok)

    def text(self, name: str) -> str:
        """How many are right, and one line for each that is not, with the rule that decided."""
        lines = [f"{name}: {self.right} of {len(self.results)} cases right"]
        for wrong in self.wrong:
            case, yes = wrong.case, ", confirmed" if wrong.case.confirmed else ""
            lines.append(
                f"  {case.user} {case.syscall} {dict(case.args)}{yes}: expected {case.expect} by {case.rule}, "
                f"got {wrong.decision} by {wrong.rule}"
            )
        return "\n".join(lines)

    def to_json(self, name: str) -> dict[str, Json]:
        """Every case with the answer it got."""
        rows: list[Json] = [
            {"user": one.case.user, "syscall": one.case.syscall, "args": dict(one.case.args),
             "confirmed": one.case.confirmed, "expected": one.case.expect, "expected_rule": one.case.rule,
             "decision": one.decision, "rule": one.rule, "ok": one.ok}
            for one in self.results
        ]
        return {"suite": name, "right": self.right, "rows": rows}


def read_suite(text: str, name: str = "permissions.yaml") -> Suite:
    """A suite from its YAML.

    Raises:
        UserError: it is not YAML, or a case is incomplete; its number is named.
    """
    try:
        data = yaml.safe_load(text)
        users, owners = dict(data["users"]), dict(data.get("owners", {}))
        cases = tuple(_case(number, raw, users) for number, raw in enumerate(data["cases"], 1))
        syscalls = tuple(_syscall(raw) for raw in data.get("syscalls", []))
        groups = {name: tuple(members) for name, members in data.get("groups", {}).items()}
        services, given = frozenset(data.get("services", ())), dict(data.get("given", {}))
        return Suite(users, owners, syscalls, cases, services, groups, given)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{name} is not a permission suite: {error}. Nothing was checked.") from error


def check(suite: Suite, monitor: Monitor, table: Registry) -> Report:
    """Asks a monitor every case; the table is the one that it was made with.

    Raises:
        UserError: a case's arguments do not fit its syscall; its number is named.
    """
    return Report(tuple(_checked(suite, number, monitor, table) for number in range(len(suite.cases))))


def evaluate(suite: Suite, installed: Iterable[Syscall], extra: Path | None = None) -> Report:
    """Checks the rules in force: the package's and the owner's in `extra`.

    Raises:
        UserError: a rule does not parse or does not fit the schema, or a case not its syscall.
    """
    table = suite.table(installed)
    monitor = Monitor(
        table, suite.role_of, owner_of=suite.owner_of, group_of=suite.group_of, member_of=suite.member_of, extra=extra
    )
    return check(suite, monitor, table)


def _checked(suite: Suite, number: int, monitor: Monitor, table: Registry) -> Checked:
    case = suite.cases[number]
    caller = Caller(case.user, cast(Role, case.role or suite.users[case.user]), door="eval")
    source = dict.fromkeys(case.args, "elsewhere") if case.outside else {}
    if case.syscall in table:
        entry = table[case.syscall]
        try:
            args = entry.validate(case.args)
        except UserError as error:
            raise UserError(f"case {number + 1} of the suite does not fit: {error}. Nothing was checked.") from error
        call = Call("eval", case.syscall, args, caller, source)
    else:
        entry = next(iter(table))
        call = Call("eval", case.syscall, case.args, caller, source)
    if case.approves:
        asker = Caller(case.approves, suite.users[case.approves], door="eval")
        said = monitor.approves(replace(call, caller=asker), entry, caller)
    else:
        said = monitor.decide(call, entry, confirmed=case.confirmed)
    return Checked(case, ruling(said), said.rule)


def _case(number: int, raw: Mapping[str, Any], users: Mapping[str, Role]) -> Case:
    try:
        case = Case(**raw)
    except TypeError as error:
        raise ValueError(f"case {number}: {error}") from error
    if case.expect not in ("allow", "confirm", "deny"):
        raise ValueError(f"case {number}: 'expect' must be allow, confirm or deny, and is {case.expect!r}")
    if case.user not in users and not case.role:
        raise ValueError(f"case {number}: {case.user!r} is none of 'users', and no 'role' is given")
    if case.approves and case.approves not in users:
        raise ValueError(f"case {number}: {case.approves!r} is none of 'users'")
    return case


def _syscall(raw: Mapping[str, Any]) -> Syscall:
    """A table entry for a call that is not installed; policy is asked about it, and nothing can run it."""
    name, effect = str(raw["name"]), str(raw["effect"])
    if effect not in _EFFECTS:
        raise ValueError(f"{name}: there is no effect {effect!r}")
    params = tuple(
        Param(param, _TYPES[kind], True, None, param, (), kind) for param, kind in raw.get("params", {}).items()
    )
    shape: dict[str, Any] = {param.name: (param.annotation, ...) for param in params}
    model = create_model(name, __config__=ConfigDict(extra="forbid"), **shape)
    return Syscall(name, cast(Effect, effect), _not_installed, f"{name}, in a suite", params, (), {}, model, "suite")


async def _not_installed(ctx: Context, **args: Json) -> None:
    raise UserError("this syscall stands in a permission suite and is not installed; nothing was run")
