"""What another server carries out is governed like any other call, and a little more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentos.mounts.answer import Answer, Tool
from agentos.mounts.tools import entries
from agentos.policy.monitor import Monitor
from agentos.registry import Registry, installed
from agentos.types import Allowed, Call, Caller, Decision, Denied, NeedsPerson, Role

ROLES: dict[str, Role] = {"vera": "viewer", "oscar": "operator", "ada": "admin"}


async def unused(tool: str, args: dict[str, Any], ctx: Any) -> Answer:
    raise AssertionError


@pytest.fixture
def table() -> Registry:
    made = installed()
    text = {"type": "object", "properties": {"text": {"type": "string"}, "user": {"type": "string"}}}
    tools = [Tool("read", "", text, reads=True), Tool("act", "", text), Tool("drop", "", text, destroys=True)]
    made.mounted("other", entries("other", tools, True, unused).entries)
    return made


def ask(
    monitor: Monitor, table: Registry, user: str, name: str, *, outside: bool = False, yes: bool = False
) -> Decision:
    args = table[name].validate({"text": "x", "user": "nobody-here"})
    call = Call("c", name, args, Caller(user, ROLES[user]), {"text": "logs of jobs.logs (s1)"} if outside else {})
    return monitor.decide(call, table[name], confirmed=yes)


def test_text_from_outside_leaves_for_another_server_only_when_a_person_has_seen_it(
    table: Registry, tmp_path: Path
) -> None:
    monitor = Monitor(table, ROLES.get, extra=tmp_path)
    assert isinstance(ask(monitor, table, "oscar", "other.read"), Allowed)
    held = ask(monitor, table, "oscar", "other.read", outside=True)
    assert isinstance(held, NeedsPerson) and held.rule == "confirm-outside"
    assert isinstance(ask(monitor, table, "oscar", "other.read", outside=True, yes=True), Allowed)
    (tmp_path / "confirm-outside.cedar").write_text("// It may leave.\n")
    without = Monitor(table, ROLES.get, extra=tmp_path)
    assert isinstance(ask(without, table, "oscar", "other.read", outside=True), Allowed)


def test_what_acts_is_confirmed_and_what_destroys_takes_an_administrator(table: Registry) -> None:
    monitor = Monitor(table, ROLES.get)
    assert isinstance(ask(monitor, table, "oscar", "other.act"), NeedsPerson)
    assert isinstance(ask(monitor, table, "vera", "other.act", yes=True), Denied)
    assert isinstance(ask(monitor, table, "oscar", "other.drop", yes=True), Denied)
    assert isinstance(ask(monitor, table, "ada", "other.drop"), NeedsPerson)


def test_what_the_rules_have_not_taken_in_is_denied(table: Registry) -> None:
    monitor = Monitor(table, ROLES.get)
    table.mounted("more", entries("more", [Tool("read", reads=True)], True, unused).entries)
    call = Call("c", "more.read", {}, Caller("ada", "admin"))
    assert monitor.decide(call, table["more.read"], confirmed=True) == Denied(
        "unknown-syscall", "policy knows no such syscall"
    )
    monitor.reload()
    assert isinstance(monitor.decide(call, table["more.read"]), Allowed)
