"""Members of a group own what was given to it, as long as they are in it."""

from types import SimpleNamespace

import pytest

from agentos.errors import DeniedError, NotFound, UserError
from agentos.policy.entities import Member
from agentos.policy.groups import Groups
from agentos.policy.monitor import Monitor
from agentos.policy.owners import Owners
from agentos.policy.people import People
from agentos.types import Allowed, Call, Caller

ADA, OSCAR, OTTO, ZOE = (
    Caller("ada", "admin"), Caller("oscar", "operator"), Caller("otto", "operator"), Caller("zoe", "operator"),
)


@pytest.fixture
def people(store, clock) -> People:
    made = People(store, clock, account="ada")
    for user in (OSCAR, OTTO, ZOE):
        made.add(user.user, "operator")
    return made


@pytest.fixture
def owners(store, clock, table) -> Owners:
    made = Owners(store, clock)
    made.made(table["models.pull"], SimpleNamespace(model="m", fetched=True), "oscar")
    return made


@pytest.fixture
def groups(store, people, owners, clock) -> Groups:
    made = Groups(store, owners.of, clock)
    made.create("crew", "ada")
    made.add("crew", "oscar")
    made.add("crew", "otto")
    return made


def test_a_member_owns_what_the_group_was_given_and_nobody_else_does(groups, people, owners, table) -> None:
    monitor = Monitor(table, people.role_of, owner_of=owners.of, group_of=groups.owning,
                      member_of=lambda user: Member(groups.of(user)))

    def may(who: Caller) -> bool:
        call = Call("c", "models.delete", {"model": "m"}, who)
        return isinstance(monitor.decide(call, table["models.delete"], confirmed=True), Allowed)

    assert [may(who) for who in (OSCAR, OTTO, ZOE, ADA)] == [True, False, False, True]
    groups.give("crew", "model", "m", OSCAR)
    assert [may(who) for who in (OSCAR, OTTO, ZOE, ADA)] == [True, True, False, True]
    assert monitor.explain("models.delete", "otto", ADA, args={"model": "m"}).decision == "confirm"
    groups.remove("crew", "otto")
    assert [may(who) for who in (OSCAR, OTTO, ZOE)] == [True, False, False]
    groups.add("crew", "zoe")
    assert may(ZOE)
    groups.take("crew", "model", "m", OSCAR)
    assert [may(who) for who in (OSCAR, ZOE)] == [True, False]


def test_only_the_owner_in_the_group_or_an_administrator_gives(groups) -> None:
    with pytest.raises(DeniedError, match="not 'otto''s"):
        groups.give("crew", "model", "m", OTTO)
    groups.create("night", "ada")
    with pytest.raises(DeniedError, match="is not in 'night'"):
        groups.give("night", "model", "m", OSCAR)
    groups.give("night", "model", "m", ADA)
    assert groups.owning("Model", "m") == "night" and groups.owning("Dataset", "m") is None
    groups.give("crew", "model", "m", OSCAR)
    assert groups.owning("Model", "m") == "crew"
    with pytest.raises(UserError, match="does not own"):
        groups.take("night", "model", "m", ADA)
    with pytest.raises(UserError, match="owns models, data sets and jobs"):
        groups.give("crew", "key", "m", ADA)


def test_groups_survive_a_restart_and_go_with_all_that_they_had(groups, store, owners) -> None:
    groups.give("crew", "model", "m", OSCAR)
    again = Groups(store, owners.of)
    assert again.of("oscar") == ("crew",) and again.owning("Model", "m") == "crew"
    (shown,) = again.all("otto")
    assert (shown.name, shown.members, [thing.name for thing in shown.things]) == ("crew", ("oscar", "otto"), ["m"])
    assert again.all("zoe") == []
    again.delete("crew")
    assert again.all() == [] and again.of("oscar") == () and again.owning("Model", "m") is None
    acts = (
        lambda: again.delete("crew"), lambda: again.add("crew", "zoe"), lambda: again.give("crew", "model", "m", ADA),
    )
    for act in acts:
        with pytest.raises(NotFound, match="crew"):
            act()


def test_a_thing_that_is_gone_is_no_groups(groups) -> None:
    groups.give("crew", "model", "m", OSCAR)
    groups.forget("Model", "m")
    assert groups.owning("Model", "m") is None


def test_unknown_users_and_unfit_names_are_refused(groups) -> None:
    with pytest.raises(NotFound, match="no user 'mallory'"):
        groups.add("crew", "mallory")
    with pytest.raises(NotFound, match="member of crew"):
        groups.remove("crew", "zoe")
    for name in ("", "a b", "x" * 65, "../a", 'a"', "crew"):
        with pytest.raises(UserError):
            groups.create(name, "ada")
