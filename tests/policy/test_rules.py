"""Rules are read whole or not at all."""

import pytest

from agentos.errors import UserError
from agentos.policy.monitor import Monitor
from agentos.policy.rules import shipped, statements
from agentos.types import Allowed, Call, Caller, Denied, NeedsPerson

ROLES = {"vera": "viewer", "oscar": "operator", "ada": "admin"}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("// one\n\n@id(\"a\") permit (principal, action", 3, "does not parse"),
        ('@id("a") permit (principal, action, resource);\n\nnonsense;', 3, "does not parse"),
        ('@id("a")\npermit (principal, action == Action::"models.explode", resource);', 1, "does not fit the schema"),
        ('@id("a") forbid (principal, action, resource) when { context.args.model == "x" };', 1, "args.model"),
        ('@id("a") forbid (principal, action, resource) when { context.confirmed == "yes" };', 1, "schema"),
        ('@id("a") forbid (principal, action, resource) when { resource.owner == principal };', 1, "owner"),
        ("permit (principal, action, resource);", 1, "@id"),
        ('@id("destroy-own") permit (principal, action, resource);', 1, "destroy-own.cedar:3"),
        ('@id("a") permit (principal == ?principal, action, resource);', 1, "template"),
    ],
)
def test_a_file_that_does_not_fit_stops_the_start_and_is_named_with_its_line(table, tmp_path, text, line, says) -> None:
    file = tmp_path / "mine.cedar"
    file.write_text(text)
    with pytest.raises(UserError) as fault:
        Monitor(table, ROLES.get, extra=tmp_path)
    assert f"{file}:{line}:" in str(fault.value) and says in str(fault.value)


def test_a_file_that_cannot_be_read_stops_the_start(table, tmp_path) -> None:
    (tmp_path / "mine.cedar").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="mine.cedar"):
        Monitor(table, ROLES.get, extra=tmp_path)


def test_the_owners_rules_are_added_to_the_shipped_ones(table, tmp_path) -> None:
    (tmp_path / "night.cedar").write_text(
        "// What is pulled fills the disk.\n"
        '@id("pull-asked") @reason("pulling is confirmed here")\n'
        'forbid (principal, action == Action::"models.pull", resource) unless { context.confirmed };\n'
        '@id("vera-loads") permit (principal == User::"vera", action == Action::"models.load", resource)\n'
        'when { context.args.model == "small;one" }; // a semicolon in a string ends nothing'
    )
    monitor = Monitor(table, ROLES.get, extra=tmp_path)

    def ask(user: str, name: str, **args: str):
        return monitor.decide(Call("c", name, table[name].validate(args), Caller(user, ROLES[user])), table[name])

    assert ask("ada", "models.pull", model="m") == NeedsPerson("pull-asked", "pulling is confirmed here")
    assert ask("vera", "models.load", model="small;one") == Allowed("vera-loads")
    assert isinstance(ask("vera", "models.load", model="other"), Denied)


def test_a_file_named_like_a_shipped_one_takes_its_place(table, tmp_path) -> None:
    (tmp_path / "confirm-execute.cedar").write_text("// Nobody is asked on this machine.\n")
    monitor = Monitor(table, ROLES.get, extra=tmp_path)
    entry = table["models.generate"]
    call = Call("c", entry.name, entry.validate({"model": "m", "prompt": "p"}), Caller("oscar", "operator"))
    assert isinstance(monitor.decide(call, entry), Allowed)


def test_every_shipped_policy_stands_alone_in_its_file_with_its_reason() -> None:
    for name, text in shipped().items():
        assert len(statements(text)) == 1, name
        assert text.startswith("// ") and "@id(" in text and "@reason(" in text, name
