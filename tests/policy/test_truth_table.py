"""Every role on every syscall, on every owner's things, with words from outside or not, confirmed or not.

What must come out is said here once more.

The expectations are written from what README and the rules' comments promise, and read neither the Cedar files nor what
`schema.py` makes of a syscall. `test_monitor.py` does the same over made-up syscalls of every effect; this is the table
that is installed, and the calls that the suite brings beside it, so that each shipped rule has something to decide.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from agentos.policy.audit import ruling
from agentos.policy.entities import Member
from agentos.policy.monitor import Monitor
from agentos.policy.rules import shipped
from agentos.registry import Registry
from agentos.syscall import Syscall
from agentos.types import Allowed, Call, Caller, Json, Role

ROLES: dict[str, Role] = {
    "vera": "viewer", "oscar": "operator", "ada": "admin", "zoe": "operator", "robo": "operator", "root-bot": "admin",
}
SERVICES = {"robo", "root-bot"}
GROUPS = {"vera": ("crew",), "oscar": ("crew", "night"), "ada": ("crew",), "zoe": ("strangers",)}
RANK = ("viewer", "operator", "admin")
ON_JOBS = {"jobs.cancel", "jobs.logs", "jobs.retry", "jobs.show", "jobs.wait"}
PRINTS = {"jobs.logs"}
"""What gives what a job printed."""
ADMINISTERS = ("users.", "keys.", "roles.", "policy.")


@dataclass(frozen=True)
class Cell:
    """One place of the table."""

    user: str
    claimed: Role
    """What the caller's key allows."""
    syscall: str
    owner: str | None
    """Whose the thing is; None where nobody knows."""
    group: str | None
    """The group that it was given to: `crew` is the caller's, `strangers` are others."""
    named: str | None
    """The user that the call names, where it takes one."""
    outside: bool
    """Whether text from outside went into an argument."""
    confirmed: bool

    @property
    def role(self) -> str:
        return RANK[min(RANK.index(ROLES[self.user]), RANK.index(self.claimed))]


def named_thing(entry: Syscall) -> str | None:
    """The parameter that says what a call is on: a model, a data set or a job, else the first name it needs."""
    names = [param for param in entry.params if param.kind == "name" and not param.many]
    things = [param.name for param in names if param.name in ("model", "dataset", "job")]
    return next(iter([*things, *(param.name for param in names if param.required)]), None)


def cells(table: Registry) -> Iterator[Cell]:
    for entry in table:
        takes_user = any(param.name == "user" for param in entry.params)
        on_user = named_thing(entry) == "user"  # whom it is about is then what it is on, and is nobody's
        owned = [("self", None), ("zoe", None), (None, None)]
        if named_thing(entry) in ("model", "dataset", "job"):
            owned += [("zoe", "crew"), ("zoe", "strangers"), (None, "crew")]
        for user, claimed, (owner, group), named, outside, confirmed in itertools.product(
            ("vera", "oscar", "ada"), RANK, [(None, None)] if on_user else owned,
            (*([] if on_user else [None]), "self", "zoe") if takes_user else (None,), (False, True), (False, True),
        ):
            of, about = (user if who == "self" else who for who in (owner, named))
            yield Cell(user, claimed, entry.name, of, group, about, outside, confirmed)


@dataclass(frozen=True)
class Yes:
    """One who would say yes to a call that waits."""

    by: str
    claimed: Role
    """What their key allows."""
    asker: str
    syscall: str
    owner: str

    @property
    def role(self) -> str:
        return RANK[min(RANK.index(ROLES[self.by]), RANK.index(self.claimed))]


def yeses(table: Registry) -> Iterator[Yes]:
    for entry in table:
        for by, claimed, asker, owner in itertools.product(ROLES, RANK, ROLES, ("self", "zoe")):
            if entry.effect in ("execute", "destroy"):
                yield Yes(by, claimed, asker, entry.name, asker if owner == "self" else owner)  # type: ignore[arg-type]


def may_say_yes(yes: Yes, table: Registry) -> bool:
    """A person, an operator to their own calls and an administrator to all, and to nothing beyond their role."""
    if yes.by in SERVICES or yes.role == "viewer" or (yes.role == "operator" and yes.by != yes.asker):
        return False
    rank = RANK[min(RANK.index(yes.role), RANK.index(ROLES[yes.asker]))]
    named = yes.asker if any(param.name == "user" for param in table[yes.syscall].params) else None
    cell = Cell(yes.asker, rank, yes.syscall, yes.owner, None, named, False, True)  # type: ignore[arg-type]
    return wanted(cell, table[yes.syscall])[0] == "allow"


def wanted(cell: Cell, entry: Syscall) -> tuple[str, set[str]]:
    """The house's rules in plain words: what is answered, and which rules say so."""
    admin = cell.role == "admin"
    has_thing = named_thing(entry) is not None
    mine = has_thing and (cell.owner == cell.user or cell.group == "crew")
    stopped = set()
    if entry.effect == "destroy" and not mine and not admin:
        stopped.add("destroy-own")
    if entry.name in ON_JOBS and entry.effect in ("write", "execute") and not mine and not admin:
        stopped.add("own-jobs")
    if entry.name in PRINTS and not mine and not admin:
        stopped.add("own-output")
    if cell.named not in (None, cell.user) and not admin:
        stopped.add("others-by-admin")
    if entry.name.startswith(ADMINISTERS) and entry.effect != "read" and not admin:
        stopped.add("administration-by-admin")
    if stopped:
        return "deny", stopped
    if cell.role == "viewer" and entry.effect != "read":
        return "deny", {"default-deny"}
    if not cell.confirmed:
        seen = {f"confirm-{entry.effect}"} if entry.effect in ("execute", "destroy") else set()
        seen |= {"confirm-outside"} if cell.outside and entry.effect != "read" else set()
        if seen:
            return "confirm", seen
    return "allow", {{"viewer": "viewer-reads", "operator": "operator-works", "admin": "admin-everything"}[cell.role]}


class World:
    """A monitor, and one thing of each owner for it to ask about."""

    def __init__(self, table: Registry, extra: object = None) -> None:
        self.table = table
        self.monitor = Monitor(
            table, ROLES.get, owner_of=self.owner_of, group_of=self.group_of, member_of=self.member_of,
            extra=extra,  # type: ignore[arg-type]
        )

    @staticmethod
    def owner_of(kind: str, name: str) -> str | None:
        return name.partition("~")[0] or None

    @staticmethod
    def group_of(kind: str, name: str) -> str | None:
        return name.partition("~")[2] or None

    @staticmethod
    def member_of(user: str) -> Member:
        return Member(GROUPS.get(user, ()), service=user in SERVICES)

    def call(self, cell: Cell) -> Call:
        entry = self.table[cell.syscall]
        filled: dict[str, Json] = {"int": 1, "bool": True, "float": 0.5, "size": "1GiB", "syscall": "models.list"}
        args = {
            param.name: param.choices[0] if param.choices else filled.get(param.kind, "x")
            for param in entry.params if param.required
        }
        thing = named_thing(entry)
        if thing is not None:
            args[thing] = f"{cell.owner or ''}~{cell.group or ''}"
        if cell.named is not None:
            args["user"] = cell.named
        source = {"x": "text of models.generate (s1)"} if cell.outside else {}
        return Call("c", entry.name, entry.validate(args), Caller(cell.user, cell.claimed), source)

    def said(self, cell: Cell) -> tuple[str, set[str]]:
        decision = self.monitor.decide(self.call(cell), self.table[cell.syscall], confirmed=cell.confirmed)
        return ruling(decision), set(decision.rule.split(", "))

    def lets(self, yes: Yes) -> bool:
        entry = self.table[yes.syscall]
        named = yes.asker if any(param.name == "user" for param in entry.params) else None
        call = self.call(Cell(yes.asker, "admin", yes.syscall, yes.owner, None, named, False, False))
        by = Caller(yes.by, yes.claimed, service=yes.by in SERVICES)
        return isinstance(self.monitor.approves(call, entry, by), Allowed)


def test_every_cell_is_decided_as_the_house_says_and_by_the_rules_that_say_so(table: Registry) -> None:
    world, asked = World(table), 0
    for cell in cells(table):
        assert world.said(cell) == wanted(cell, table[cell.syscall]), cell
        asked += 1
    assert asked >= len(table) * 3 * 3 * 2


def test_every_yes_is_taken_from_those_alone_who_may_give_it(table: Registry) -> None:
    world = World(table)
    for yes in yeses(table):
        assert world.lets(yes) == may_say_yes(yes, table), yes


def test_no_cell_is_allowed_to_less_and_denied_to_more(table: Registry) -> None:
    """Who is let do something in a role is let do it in every higher one."""
    world = World(table)
    strict = {"deny": 0, "confirm": 1, "allow": 2}
    for cell in cells(table):
        if cell.claimed != "admin":
            more = RANK[RANK.index(cell.claimed) + 1]
            higher = replace(cell, claimed=more)  # type: ignore[arg-type]
            assert strict[world.said(higher)[0]] >= strict[world.said(cell)[0]], cell


def test_the_calls_on_jobs_are_those_that_the_table_has(table: Registry) -> None:
    assert {entry.name for entry in table if named_thing(entry) == "job"} == ON_JOBS
    assert {entry.name for entry in table if entry.untrusted and named_thing(entry) == "job"} == PRINTS


@pytest.mark.parametrize("name", sorted(shipped()))
def test_without_any_one_rule_a_cell_differs(table: Registry, tmp_path, name: str) -> None:
    (tmp_path / name).write_text("// taken away\n")
    world = World(table, tmp_path)
    differs = (world.said(cell)[0] != wanted(cell, table[cell.syscall])[0] for cell in cells(table))
    assert any(differs) or any(world.lets(yes) != may_say_yes(yes, table) for yes in yeses(table))
