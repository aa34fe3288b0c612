"""Keys are shown once and kept as hashes; roles hold at once."""

import base64
import hashlib

import pytest

from agentos.errors import DeniedError, NotFound, UserError
from agentos.policy.people import People, machine_account
from agentos.types import Caller


@pytest.fixture
def people(store, clock) -> People:
    return People(store, clock, account="ada")


def test_the_machine_account_is_an_administrator_and_stays_one(people, store, clock, monkeypatch) -> None:
    assert people.owner() == Caller("ada", "admin")
    with pytest.raises(UserError, match="stays an administrator"):
        people.set_role("ada", "viewer")
    assert People(store, clock, account="ada").role_of("ada") == "admin"
    monkeypatch.setenv("USER", "mallory")
    monkeypatch.setenv("LOGNAME", "mallory")
    assert machine_account() != "mallory"


def test_a_key_stands_for_its_user_and_is_nowhere_in_clear(people, store, settings) -> None:
    made = people.create_key("bob", "operator")
    assert made.key.startswith("ak_") and len(base64.urlsafe_b64decode(made.key[3:] + "=")) == 32
    caller = people.caller_for_key(made.key, session="s")
    assert caller == Caller("bob", "operator", "s", "http")
    store.connection.execute("pragma wal_checkpoint(truncate)")
    assert made.key not in str(people.keys()) + str(people.users())
    for file in settings.home.iterdir():
        assert made.key.encode() not in file.read_bytes() and made.key[3:].encode() not in file.read_bytes()


@pytest.mark.parametrize("key", ["", "ak_", "ak_" + "x" * 43, "bob", "ak_钥匙", "ak_' or 1=1 --", "ak_" + "a" * 10_000])
def test_what_is_no_key_stands_for_nobody(people, key) -> None:
    people.create_key("bob")
    assert people.caller_for_key(key) is None


def test_an_unknown_user_gets_the_least_role(people) -> None:
    assert people.create_key("bob").role == "viewer" and people.role_of("bob") == "viewer"


def test_a_key_expires_and_can_be_revoked(people, clock) -> None:
    short, long = people.create_key("bob", expires=clock.now + 60), people.create_key("bob")
    assert people.caller_for_key(short.key)
    clock.now += 61
    assert people.caller_for_key(short.key) is None and people.caller_for_key(long.key)
    people.revoke_key(long.id)
    assert people.caller_for_key(long.key) is None
    assert {key.id: bool(key.revoked) for key in people.keys("bob")} == {short.id: False, long.id: True}
    with pytest.raises(NotFound):
        people.revoke_key("k0")


def test_last_use_is_kept(people, clock) -> None:
    made = people.create_key("bob")
    assert people.keys()[0].last_use is None
    people.caller_for_key(made.key)
    first = clock.now
    clock.now += 10
    people.caller_for_key(made.key)
    assert people.keys()[0].last_use == first
    clock.now += 60
    people.caller_for_key(made.key)
    assert people.keys()[0].last_use == clock.now


def test_a_key_never_holds_more_than_its_user(people) -> None:
    people.add("bob", "operator")
    less = people.create_key("bob", "viewer")
    assert people.caller_for_key(less.key).role == "viewer"
    with pytest.raises(UserError, match="Set the role first"):
        people.create_key("bob", "admin")
    same = people.create_key("bob")
    people.set_role("bob", "viewer")
    assert people.caller_for_key(same.key).role == "viewer"
    assert len(people.keys("bob")) == 2


def test_an_administrator_acts_as_another_user_with_that_users_role(people) -> None:
    people.add("bob", "operator")
    people.add("vera", "viewer")
    owner = people.owner("s1", "cli")
    assert people.caller_as(owner, "vera") == Caller("vera", "viewer", "s1", "cli")
    assert people.caller_as(Caller("bob", "operator"), "bob").role == "operator"
    with pytest.raises(DeniedError):
        people.caller_as(Caller("bob", "operator"), "vera")
    with pytest.raises(DeniedError):
        people.caller_as(Caller("bob", "admin"), "ada")
    with pytest.raises(NotFound):
        people.caller_as(owner, "mallory")


def test_users_are_listed_with_their_keys(people) -> None:
    people.revoke_key(people.create_key("小李").id)
    people.create_key("小李")
    assert [(user.name, user.role, user.owner, user.keys) for user in people.users()] == [
        ("ada", "admin", True, 0), ("小李", "viewer", False, 1),
    ]


def test_a_service_account_has_keys_alone(people) -> None:
    people.add("robo", "operator", service=True)
    caller = people.caller_for_key(people.create_key("robo").key)
    assert caller == Caller("robo", "operator", "", "http", service=True)
    with pytest.raises(DeniedError, match="service account"):
        people.caller_as(people.owner(), "robo")
    assert [(user.name, user.service) for user in people.users()] == [("ada", False), ("robo", True)]


def test_a_key_carries_its_scope_and_shows_it(people) -> None:
    made = people.create_key("bob", "operator", scope=("jobs.list", "models.*"))
    assert made.scope == ("jobs.list", "models.*")
    assert people.caller_for_key(made.key).scope == ("jobs.list", "models.*")
    assert people.caller_for_key(people.create_key("bob").key).scope is None
    assert {key.scope for key in people.keys("bob")} == {None, ("jobs.list", "models.*")}


def test_why_a_key_no_longer_works_is_told_to_who_holds_it_alone(people, clock) -> None:
    short, long = people.create_key("bob", expires=clock.now + 60), people.create_key("bob")
    people.revoke_key(long.id)
    clock.now += 61
    assert f"this key ({short.id}) expired on " in people.ended(short.key)
    assert f"this key ({long.id}) was revoked on " in people.ended(long.key)
    for other in ("", "ak_", "bob", short.id, short.key[:-1], "ak_" + "x" * 43):
        assert people.ended(other) == ""
    for wrong in (clock.now, clock.now - 1, float("inf"), 1e300):
        with pytest.raises(UserError, match="later than now"):
            people.create_key("bob", expires=wrong)


def test_a_home_from_before_goes_on_working(store, clock) -> None:
    store.connection.executescript("""
        create table users (name text primary key, role text not null, created real not null);
        create table api_keys (
            id text primary key, user text not null references users(name), role text, hash text not null unique,
            created real not null, expires real, last_use real, revoked real
        );
        insert into users values ('bob', 'operator', 1.0);
    """)
    key = "ak_" + "k" * 43
    store.connection.execute(
        "insert into api_keys values ('k1', 'bob', null, ?, 1.0, null, null, null)",
        (hashlib.sha256(key.encode()).hexdigest(),),
    )
    for _ in range(2):
        people = People(store, clock, account="ada")
        assert people.caller_for_key(key) == Caller("bob", "operator", "", "http")
        assert [(user.name, user.service, user.custom) for user in people.users()] == [
            ("ada", False, ""), ("bob", False, ""),
        ]


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a\n", "../a", 'a"', "(another user)"])
def test_an_unfit_name_is_refused(people, name) -> None:
    for make in (lambda: people.add(name, "viewer"), lambda: people.create_key(name)):
        with pytest.raises(UserError):
            make()
    assert len(people.users()) == 1


def test_unknown_roles_and_users_are_refused(people) -> None:
    with pytest.raises(UserError, match="no role"):
        people.add("bob", "root")
    with pytest.raises(NotFound):
        people.set_role("bob", "viewer")
    people.add("bob", "viewer")
    with pytest.raises(UserError, match="already"):
        people.add("bob", "admin")
    assert people.role_of("bob") == "viewer"
