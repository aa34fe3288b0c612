"""A role of the owner's own is a shipped one with differences, and less where its rules are gone."""

from pathlib import Path

import pytest

from agentos.config import Settings
from agentos.errors import NotFound, UserError
from agentos.policy.govern import Governance, govern
from agentos.types import Caller


@pytest.fixture
def rule(settings: Settings, store, table, clock):
    made = govern(settings, store, table, lambda kind, name: "bob", clock)
    made.people.add("bob", "operator")
    return made


def give(rule: Governance, user: str, name: str) -> None:
    own = rule.roles.get(name)
    assert own is not None
    rule.people.set_role(user, own.base, own.name)
    rule.monitor.reload()


def said(rule: Governance, syscall: str, role: str = "operator", user: str = "bob") -> str:
    return rule.monitor.explain(syscall, None, Caller(user, role)).decision  # type: ignore[arg-type]


def test_what_is_forbidden_is_denied_and_what_is_allowed_besides_is_not(rule: Governance) -> None:
    rule.people.add("eve", "viewer")
    rule.roles.create("analyst", "operator", [], ["models.delete", "training.*"])
    rule.roles.create("puller", "viewer", ["models.pull"], ["jobs.list"])
    give(rule, "bob", "analyst")
    give(rule, "eve", "puller")
    assert [said(rule, name) for name in ("models.delete", "training.finetune", "jobs.submit", "models.load")] == [
        "deny", "deny", "confirm", "allow",
    ]
    assert [said(rule, name, "viewer", "eve") for name in ("models.pull", "jobs.list", "models.list",
    "models.load")] == [
        "allow", "deny", "allow", "deny",
    ]


def test_a_key_that_holds_less_than_the_base_gets_nothing_besides(rule: Governance) -> None:
    rule.roles.create("looker", "operator", ["datasets.list"], ["models.list"])
    give(rule, "bob", "looker")
    assert said(rule, "models.load", "viewer") == "deny"
    assert said(rule, "models.list", "viewer") == "deny"
    assert said(rule, "datasets.list", "viewer") == "allow"


def test_without_its_rules_a_role_may_do_nothing_until_they_are_back(rule: Governance) -> None:
    role = rule.roles.create("analyst", "operator", [], ["models.delete"])
    give(rule, "bob", "analyst")
    text = Path(role.file).read_text("utf-8")
    Path(role.file).unlink()
    rule.monitor.reload()
    assert {said(rule, entry.name) for entry in rule.monitor._registry} == {"deny"}
    assert rule.monitor.explain("models.list", None, Caller("bob", "operator")).rule == "unknown-role"
    assert {one.decision for one in rule.monitor.may("operator", "analyst", role.rules)} == {"deny"}
    Path(role.file).write_text(text, "utf-8")
    rule.monitor.reload()
    assert said(rule, "models.load") == "allow"


def test_what_a_role_may_is_what_the_rules_say_to_who_has_it(rule: Governance) -> None:
    role = rule.roles.create("analyst", "operator", [], ["models.delete"])
    give(rule, "bob", "analyst")
    for one in rule.monitor.may("operator", "analyst", role.rules):
        assert one.decision == said(rule, one.syscall), one
    assert {one.syscall for one in rule.monitor.may("viewer") if one.decision != "deny"} == {
        entry.name for entry in rule.monitor._registry if entry.effect == "read"
    }


def test_a_role_that_somebody_has_stays_and_one_that_nobody_has_goes_with_its_file(rule: Governance) -> None:
    role = rule.roles.create("analyst", "operator", [], ["models.delete"])
    give(rule, "bob", "analyst")
    with pytest.raises(UserError, match="bob have the role"):
        rule.roles.delete("analyst")
    rule.people.set_role("bob", "operator")
    rule.roles.delete("analyst")
    assert not Path(role.file).exists() and rule.roles.all() == []
    rule.monitor.reload()
    assert said(rule, "models.delete") == "confirm"
    with pytest.raises(NotFound):
        rule.roles.delete("analyst")


@pytest.mark.parametrize("asked", [
    ("viewer", "operator", [], ["models.delete"]), ("Analyst", "operator", [], ["models.delete"]),
    ("../x", "operator", [], ["models.delete"]), ("bob", "operator", [], ["models.delete"]),
    ("analyst", "admin", [], ["models.delete"]), ("analyst", "operator", [], []),
    ("analyst", "operator", [], ["models.explode"]), ("analyst", "operator", ['x"] , resource); permit'], []),
])
def test_what_is_no_role_leaves_no_file(rule: Governance, settings: Settings, asked) -> None:
    with pytest.raises(UserError):
        rule.roles.create(*asked)
    assert rule.roles.all() == [] and not list((settings.home / "policies").glob("*"))
