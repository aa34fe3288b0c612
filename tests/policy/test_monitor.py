"""The monitor says no unless a rule says otherwise."""

import itertools
import random
from dataclasses import replace

import cedarpy
import pytest

from agentos.errors import NotFound, UserError
from agentos.policy.monitor import Monitor
from agentos.registry import Registry
from agentos.syscall import describe, syscall
from agentos.types import Allowed, Call, Caller, Context, Denied, Name, NeedsPerson, Private

ROLES = {"vera": "viewer", "oscar": "operator", "otto": "operator", "ada": "admin"}
EFFECTS = ["read", "write", "execute", "destroy"]


def table_of_everything() -> Registry:
    """One syscall for each effect in a plain family and in one that administers."""
    table = Registry()
    for family, effect in itertools.product(["things", "users"], EFFECTS):

        @syscall(effect=effect, name=f"{effect}_it")
        async def one(ctx: Context, thing: Name, user: Name | None = None, note: Private = "", top: int = 3) -> None:
            """Does it.

            Args:
                thing: Which.
                user: For whom.
                note: Words.
                top: How many.
            """

        table.add(describe(one, family, "a package of somebody else"))
    return table


@pytest.fixture
def everything() -> Registry:
    return table_of_everything()


def owners(kind: str, name: str) -> str | None:
    return {"oscars": "oscar", "ottos": "otto", "veras": "vera", "adas": "ada"}.get(name)


@pytest.fixture
def monitor(everything: Registry) -> Monitor:
    return Monitor(everything, ROLES.get, owner_of=owners)


def ask(monitor: Monitor, table: Registry, who: str, name: str, confirmed: bool = False, **args):
    entry = table[name]
    call = Call("c", name, entry.validate(args), Caller(who, ROLES.get(who, "admin")))
    return monitor.decide(call, entry, confirmed=confirmed)


def right(role: str, family: str, effect: str, *, own: bool, other_user: bool, confirmed: bool) -> type:
    """The house's rules, said once more without looking at the policies."""
    admin = role == "admin"
    if other_user and not admin:
        return Denied
    if family == "users" and effect != "read" and not admin:
        return Denied
    if role == "viewer" and effect != "read":
        return Denied
    if effect == "destroy" and not (own or admin):
        return Denied
    return NeedsPerson if effect in ("execute", "destroy") and not confirmed else Allowed


def test_the_whole_truth_table_holds(monitor, everything) -> None:
    asked = 0
    for user, family, effect, thing, named, confirmed in itertools.product(
        ["vera", "oscar", "ada"], ["things", "users"], EFFECTS,
        ["veras", "oscars", "ottos", "adas", "nobodys"], [None, "vera", "oscar", "otto"], [False, True],
    ):
        said = ask(monitor, everything, user, f"{family}.{effect}_it", confirmed, thing=thing, user=named)
        other = named is not None and named != user
        own = thing == f"{user}s"
        wanted = right(ROLES[user], family, effect, own=own, other_user=other, confirmed=confirmed)
        assert type(said) is wanted, (user, family, effect, thing, named, confirmed, said)
        asked += 1
    assert asked == 960


@pytest.mark.parametrize("name", ["things.execute_it", "things.destroy_it"])
def test_what_executes_or_destroys_waits_for_a_person(monitor, everything, name) -> None:
    for user in ("oscar", "ada"):
        held = ask(monitor, everything, user, name, thing=f"{user}s")
        assert isinstance(held, NeedsPerson) and held.rule.startswith("confirm-") and held.reason
        assert isinstance(ask(monitor, everything, user, name, True, thing=f"{user}s"), Allowed)


def test_a_role_taken_away_holds_for_callers_made_before(everything) -> None:
    roles = dict(ROLES)
    monitor = Monitor(everything, roles.get, owner_of=owners)
    entry = everything["things.write_it"]
    call = Call("c", entry.name, entry.validate({"thing": "x"}), Caller("oscar", "operator"))
    assert isinstance(monitor.decide(call, entry), Allowed)
    roles["oscar"] = "viewer"
    assert monitor.decide(call, entry) == Denied("default-deny", "no rule lets a viewer make this call")
    del roles["oscar"]
    assert monitor.decide(call, entry).rule == "unknown-user"


def test_cedar_skips_a_forbid_that_errors_and_the_monitor_does_not(monitor, everything) -> None:
    broken = cedarpy.PolicySet.from_str(
        '@id("open") permit (principal, action, resource);'
        '@id("closed") forbid (principal, action, resource) when { context.args.missing == "x" };'
    )
    alone = cedarpy.is_authorized(
        {"principal": 'User::"ada"', "action": 'Action::"things.read_it"', "resource": 'Thing::"x"',
         "context": {"args": {}}},
        broken, "[]",
    )
    assert alone.allowed and alone.diagnostics.errors
    live = monitor._live
    live._loaded = replace(live._loaded, rules=replace(live._loaded.rules, policies=broken))
    said = ask(monitor, everything, "ada", "things.read_it", thing="x")
    assert isinstance(said, Denied) and said.rule == "policy-error"
    assert isinstance(ask(monitor, everything, "ada", "things.read_it", True, thing="x"), Denied)


def test_a_rule_that_fits_the_schema_and_still_fails_is_a_denial(everything, tmp_path) -> None:
    (tmp_path / "sum.cedar").write_text(
        '@id("sum") forbid (principal, action == Action::"things.read_it", resource)\n'
        "when { context.args.top + 9223372036854775807 < 0 };"
    )
    monitor = Monitor(everything, ROLES.get, extra=tmp_path)
    assert ask(monitor, everything, "ada", "things.read_it", thing="x", top=3).rule == "policy-error"
    assert isinstance(ask(monitor, everything, "ada", "things.read_it", thing="x", top=0), Allowed)


def test_a_crash_in_policy_is_a_denial(everything, caplog) -> None:
    def crash(*said: str) -> None:
        raise RuntimeError("the secret word")

    entry = everything["things.read_it"]
    call = Call("c", entry.name, entry.validate({"thing": "x"}), Caller("ada", "admin"))
    for monitor in (Monitor(everything, crash), Monitor(everything, ROLES.get, owner_of=crash)):
        said = monitor.decide(call, entry, confirmed=True)
        assert isinstance(said, Denied) and said.rule == "policy-error"
        assert "secret" not in said.reason + caplog.text


def test_nothing_malformed_is_allowed(monitor, everything) -> None:
    dice = random.Random(7)
    junk = [None, True, -1, 2**70, 1.5, "", "x\x00y", "x" * 9000, [], ["a"], {}, {"$ref": "s1.model"}]
    for number in range(2000):
        name = dice.choice([*[entry.name for entry in everything], "none", "read", "things", "", "things.read_it "])
        entry = dice.choice(list(everything))
        names = dice.sample(["thing", "user", "note", "top", "more"], dice.randint(0, 5))
        args = {key: dice.choice(junk) for key in names}
        caller = Caller(dice.choice(["ada", "vera", "", "nobody", "ada "]), dice.choice(["admin", "root", "", None]))
        call = Call(str(number), name, args, caller)
        sound = (
            entry.name == name and caller == Caller("ada", "admin") and "more" not in args
            and isinstance(args.get("thing"), str) and isinstance(args.get("user", ""), str | None)
            and type(args.get("top")) is int and args["top"] < 2**63
        )
        said = monitor.decide(call, entry, confirmed=True)
        assert isinstance(said, Denied) or sound, call


def test_reasons_name_rules_and_no_data(monitor, everything) -> None:
    for user, name in itertools.product(["vera", "oscar", "mallory"], [entry.name for entry in everything]):
        said = ask(monitor, everything, user, name, thing="churn-2026", user="wang.fang", note="my password is hunter2")
        if not isinstance(said, Allowed):
            for word in ("churn-2026", "wang.fang", "hunter2", user):
                assert word not in said.reason


def test_a_syscall_that_was_installed_later_is_governed_after_a_reload(everything) -> None:
    table = Registry()
    monitor = Monitor(table, ROLES.get)
    entry = everything["things.destroy_it"]
    call = Call("c", entry.name, entry.validate({"thing": "x"}), Caller("ada", "admin"))
    assert monitor.decide(call, entry).rule == "unknown-syscall"
    table.add(entry)
    assert monitor.decide(call, entry).rule == "unknown-syscall"
    monitor.reload()
    assert isinstance(monitor.decide(call, entry), NeedsPerson)


def test_an_effect_that_was_changed_after_boot_is_denied(monitor, everything) -> None:
    entry = replace(everything["things.destroy_it"], effect="read")
    call = Call("c", entry.name, entry.validate({"thing": "oscars"}), Caller("oscar", "operator"))
    assert monitor.decide(call, entry).rule == "unknown-syscall"


def test_a_broken_file_at_reload_leaves_the_old_set_in_force(everything, tmp_path) -> None:
    monitor = Monitor(everything, ROLES.get, extra=tmp_path)
    (tmp_path / "mine.cedar").write_text("permit (principal, action")
    with pytest.raises(UserError):
        monitor.reload()
    assert isinstance(ask(monitor, everything, "vera", "things.read_it", thing="x"), Allowed)


def test_an_explanation_gives_the_decision_and_what_differs_on_other_peoples_things(monitor) -> None:
    ada = Caller("ada", "admin")
    mine = monitor.explain("things.destroy_it", None, Caller("oscar", "operator"))
    assert (mine.decision, mine.rule, mine.role, mine.effect) == ("confirm", "confirm-destroy", "operator", "destroy")
    assert "destroy-own" in mine.reason
    assert monitor.explain("things.write_it", "vera", ada).decision == "deny"
    assert monitor.explain("things.write_it", None, ada).decision == "allow"
    viewer = monitor.explain("things.destroy_it", "viewer", ada)  # a role stands for whoever has it
    assert (viewer.user, viewer.role, viewer.decision) == ("viewer", "viewer", "deny")
    assert "others-by-admin" in monitor.explain("things.read_it", "vera", ada).reason
    with pytest.raises(NotFound):
        monitor.explain("things.explode", None, ada)
    with pytest.raises(NotFound):
        monitor.explain("things.read_it", "mallory", ada)
