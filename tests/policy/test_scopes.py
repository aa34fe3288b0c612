"""A scope narrows a key's role, in every decision, and says what it lacks."""

import pytest

from agentos.errors import UserError
from agentos.policy import scopes
from agentos.policy.monitor import Monitor
from agentos.registry import Registry
from agentos.types import Allowed, Call, Caller, Denied, NeedsPerson

ROLES = {"vera": "viewer", "oscar": "operator", "ada": "admin"}


@pytest.mark.parametrize("scope", [None, ("models.*",), ("read",), ("jobs.list", "write"), ("models.*", "read-only")])
def test_a_scope_only_ever_narrows_and_the_refusal_says_what_it_lacks(table: Registry, scope) -> None:
    monitor = Monitor(table, ROLES.get)
    for entry in table:
        args = {p.name: p.choices[0] if p.choices else 1 if p.kind == "int" else "models.list" if p.kind == "syscall"
                else "1GiB" if p.kind == "size" else "x" for p in entry.params if p.required}
        for user, role in ROLES.items():
            call = Call("c", entry.name, entry.validate(args), Caller(user, role))
            wide = monitor.decide(call, entry)
            narrow = monitor.decide(Call("c", entry.name, call.args, Caller(user, role, scope=scope)), entry)
            inside = scope is None or (
                ("read-only" not in scope or entry.effect == "read")
                and any(item in (entry.name, f"{entry.family}.*", entry.effect) for item in scope)
            )
            if inside:
                assert narrow == wide
            else:
                assert isinstance(narrow, Denied) and narrow.rule == "scope"
                assert entry.name in narrow.reason


def test_a_scope_takes_effect_in_explanations_and_reviews(table: Registry) -> None:
    monitor = Monitor(table, ROLES.get)
    said = monitor.explain("models.load", None, Caller("oscar", "operator", scope=("jobs.*",)))
    assert (said.decision, said.rule) == ("deny", "scope") and "its scope lacks models.load" in said.reason
    assert monitor.explain("jobs.list", None, Caller("oscar", "operator", scope=("jobs.*",))).decision == "allow"
    assert isinstance(monitor.reviews(Caller("ada", "admin")), Allowed)
    assert monitor.reviews(Caller("ada", "admin", scope=("models.*",))).rule == "scope"
    assert isinstance(monitor.reviews(Caller("ada", "admin", scope=("reviews.*",))), Allowed)


def test_a_confirmation_does_not_widen_a_scope(table: Registry) -> None:
    monitor, entry = Monitor(table, ROLES.get), table["jobs.submit"]
    args = entry.validate({"command": "ls"})
    wide, narrow = Caller("oscar", "operator"), Caller("oscar", "operator", scope=("models.*",))
    assert isinstance(monitor.decide(Call("c", entry.name, args, wide), entry), NeedsPerson)
    assert monitor.decide(Call("c", entry.name, args, narrow), entry, confirmed=True).rule == "scope"


@pytest.mark.parametrize("item", ["", "modles.list", "models", "models.", "*", "*.*", "models.lst", "READ", "a b"])
def test_an_item_that_names_nothing_makes_no_key(table: Registry, item: str) -> None:
    with pytest.raises(UserError, match="Nothing was made"):
        scopes.read([item], [entry.name for entry in table])


def test_a_scope_is_kept_sorted_and_may_name_what_people_do(table: Registry) -> None:
    names = [entry.name for entry in table]
    assert scopes.read(["write", "models.*", "jobs.list", "models.*"], names) == ("jobs.list", "models.*", "write")
    assert scopes.read(["keys.create", "users.*", "read-only"], names) == ("keys.create", "read-only", "users.*")
    with pytest.raises(UserError, match="empty scope"):
        scopes.read([], names)


@pytest.mark.parametrize(("scope", "outer", "inside"), [
    (None, None, True), (("keys.*",), None, True), (None, ("keys.*",), False), (("keys.*",), ("keys.*",), True),
    (("models.list",), ("models.*", "keys.*"), True), (("models.*",), ("models.list", "keys.*"), False),
    (("models.*", "read-only"), ("models.*",), True), (("read-only",), ("models.*",), False),
    (("models.*",), ("models.*", "read-only"), False), (("read-only", "jobs.*"), ("read-only",), True),
    (("jobs.*",), ("models.*",), False), (("write",), ("keys.*", "write"), True),
])
def test_a_scope_lies_within_another_where_it_is_for_nothing_more(scope, outer, inside: bool) -> None:
    assert scopes.inside(scope, outer) is inside
