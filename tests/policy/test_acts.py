"""Administration is on the trail before it has its effect, refusals are too, and no secret is."""

import pytest

from agentos.config import Settings
from agentos.errors import DeniedError, Failed, UserError
from agentos.policy.acts import act, refused
from agentos.policy.audit import Audit
from agentos.policy.govern import govern
from agentos.policy.reload import EVERY
from agentos.policy.rules import RulesError
from agentos.types import Call, Caller

ADA, BOB = Caller("ada", "admin", door="cli"), Caller("bob", "operator", door="http")
KEY = "ak_c2VjcmV0LXNlY3JldC1zZWNyZXQ"
TOKEN = "ghp_" + "a1B2c3D4" * 4 + "abcd"
NEVER = '@id("pull-never") forbid (principal, action == Action::"models.pull", resource);\n'


@pytest.fixture
def audit(store, table, clock) -> Audit:
    return Audit(store, table, clock)


def rows(audit: Audit, **wanted):
    asked = {"user": None, "syscall": None, "decision": None, "since": None, **wanted}
    return list(reversed(audit.search(**asked, caller=ADA).rows))


def test_an_act_is_a_row_before_it_begins_and_says_who_did_what_to_what(audit) -> None:
    with act(audit, ADA, "users.create", {"name": "zoe@example.org", "role": "viewer", "service": False}):
        (row,) = rows(audit)
        assert (row.outcome, row.decision) == ("pending", "allow")
    (row,) = rows(audit, syscall="users")
    assert (row.user, row.door, row.syscall, row.outcome) == ("ada", "cli", "users.create", "done")
    assert row.arguments == {"name": "zoe@example.org", "role": "viewer", "service": False}
    assert rows(audit, syscall="keys") == [] and audit.verify().ok


def test_a_refused_act_is_a_row_by_which_rule(audit) -> None:
    refused(audit, BOB, "keys.create", {"user": "bob"}, DeniedError("this takes an administrator"))
    with pytest.raises(DeniedError), act(audit, BOB, "groups.give", {"group": "crew"}, "own-things"):
        raise DeniedError("it is not yours")
    found = [(row.syscall, row.decision, row.rule, row.outcome) for row in rows(audit)]
    assert found == [
        ("keys.create", "deny", "administration-by-admin", "refused"),
        ("groups.give", "allow", "own-things", "refused"),
        ("groups.give", "deny", "administration-by-admin", "refused"),
    ]
    assert len(rows(audit, decision="deny")) == 2 and audit.verify().ok


def test_an_act_that_fails_says_so(audit) -> None:
    for error in (UserError("there is one already"), ValueError("a bug")):
        with pytest.raises(type(error)), act(audit, ADA, "roles.create", {"name": "x"}):
            raise error
    assert [row.outcome for row in rows(audit)] == ["failed", "failed"]


def test_what_cannot_be_recorded_is_not_done(audit, store) -> None:
    store.connection.execute("pragma query_only=on")
    done = []
    with pytest.raises(Failed), act(audit, ADA, "users.create", {"name": "zoe"}):
        done.append("zoe")
    store.connection.execute("pragma query_only=off")
    assert not done and rows(audit) == []


def test_neither_keys_nor_what_a_refused_caller_wrote_in_a_names_place_are_kept(audit, store) -> None:
    refused(audit, BOB, "users.create", {"name": "reach me at bob@private.org", "role": {"a": "bob@private.org"}},
            DeniedError("no"))
    with act(audit, ADA, "keys.revoke", {"id": KEY, "scope": ["models.*", [["deep"]]], "amount": float("nan")}):
        pass
    with pytest.raises(UserError), act(audit, BOB, "secrets.put", {"name": TOKEN}, "own-things"):
        raise UserError("that is no name")
    said = "\n".join(str(row) for row in store.connection.execute("select * from audit"))
    assert "bob@private.org" not in said and KEY not in said and TOKEN not in said
    assert [row.arguments for row in rows(audit)] == [
        {"name": "reach me at <EMAIL>", "role": "(dict)"},
        {"id": "ak_***", "scope": ["models.*", "(list)"], "amount": "nan"},
        {"name": "<API_KEY>"},
    ]


def test_a_row_of_an_act_that_is_changed_afterwards_is_found(audit, store) -> None:
    with act(audit, ADA, "users.set", {"name": "bob", "role": "admin"}):
        pass
    store.connection.execute("drop trigger audit_no_update")
    store.connection.execute("""update audit set arguments = '{"name":"bob","role":"viewer"}' where id = 1""")
    found = audit.verify()
    assert (found.ok, found.first_bad) == (False, 1)


class World:
    """What governs, on a home of its own, and how its rules come to be."""

    def __init__(self, settings: Settings, store, table, clock) -> None:
        self.file, self.clock, self.table = settings.home / "policies" / "mine.cedar", clock, table
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.made = govern(settings, store, table, lambda kind, name: None, clock)
        self.owner = self.made.people.owner()

    def reloads(self, what: str = "policies") -> list[tuple[str, str]]:
        return [(row.decision, row.outcome) for row in rows(self.made.audit, syscall=what)]

    def decide(self) -> str:
        self.clock.now += EVERY
        entry = self.table["models.pull"]
        call = Call("c", entry.name, entry.validate({"model": "m"}), self.owner)
        return type(self.made.monitor.decide(call, entry)).__name__


@pytest.fixture
def world(settings, store, table, clock) -> World:
    return World(settings, store, table, clock)


def test_rules_that_change_are_on_the_trail_before_they_are_in_force(world: World) -> None:
    assert world.reloads() == [] and world.decide() == "Allowed"
    world.file.write_text(NEVER)
    assert world.decide() == "Denied"
    (row,) = rows(world.made.audit, syscall="policies.reload")
    assert (row.user, row.door, row.decision, row.outcome) == (world.owner.user, "files", "allow", "done")
    assert row.arguments["files"] == ["mine.cedar"] and len(row.arguments["sha256"]) == 16
    world.decide()
    assert len(world.reloads()) == 1
    world.file.write_text("permit (nobody);")
    assert world.decide() == "Denied"
    assert world.reloads() == [("allow", "done"), ("deny", "refused")]
    assert rows(world.made.audit)[-1].rule == "rules-broken"
    assert world.made.audit.verify().ok


def test_rules_that_cannot_be_recorded_are_not_in_force_until_they_can(world: World, store) -> None:
    world.file.write_text(NEVER)
    store.connection.execute("pragma query_only=on")
    assert world.decide() == "Allowed"
    store.connection.execute("pragma query_only=off")
    assert world.decide() == "Denied" and len(world.reloads()) == 1


def test_rules_that_changed_while_the_system_was_down_are_on_the_trail_at_its_start(
    settings, store, table, clock
) -> None:
    first = World(settings, store, table, clock)
    assert first.reloads() == []
    first.file.write_text(NEVER)
    again = World(settings, store, table, clock)
    assert again.reloads() == [("allow", "done")]
    assert World(settings, store, table, clock).reloads() == [("allow", "done")]
    first.file.unlink()
    assert World(settings, store, table, clock).reloads() == [("allow", "done")] * 2


def test_rules_that_do_not_parse_stop_a_start_as_before(settings, store, table, clock) -> None:
    (settings.home / "policies").mkdir(parents=True)
    (settings.home / "policies" / "mine.cedar").write_text("permit (nobody);")
    with pytest.raises(RulesError):
        World(settings, store, table, clock)


def test_a_yes_that_is_given_beforehand_is_on_the_trail(world: World) -> None:
    held = world.made.approvals.hold(
        Call("c1", "models.pull", {"model": "m"}, world.owner), "write", "first a person", "r1"
    )
    world.made.approvals.answer(held, world.owner, "always")
    (row,) = rows(world.made.audit, syscall="rules")
    (rule,) = world.made.approvals.rules()
    assert row.arguments == {
        "id": rule.id, "user": world.owner.user, "syscall": "models.pull", "scope": "always", "approval": held,
    }
    assert (row.syscall, row.outcome) == ("rules.grant", "done")
