"""Nobody goes over a limit, two at once neither, and a restart forgets nothing."""

import random
from datetime import datetime

import pytest

from agentos.errors import Failed, NotFound, UserError
from agentos.policy.limits import OverQuota
from agentos.policy.periods import PERIODS, window
from agentos.policy.quotas import Quotas

SUBJECTS = {
    "bob": ("role:operator", "group:crew"), "eve": ("role:operator", "group:crew"), "ada": ("role:admin",),
    "ann": ("role:analyst", "role:operator"),
}


@pytest.fixture
def quotas(store, clock):
    clock.now = datetime(2026, 5, 20, 10, 30, 15).timestamp()
    made = Quotas(store, lambda user: SUBJECTS.get(user, ()), clock)
    yield made


def used(quotas: Quotas, user: str, resource: str) -> list[tuple[float, float]]:
    return [(one.used, one.reserved) for one in quotas.standings(user) if one.resource == resource]


def test_without_a_limit_nothing_is_counted(quotas: Quotas, store) -> None:
    quotas.reserve("c1", "bob", {"requests": 1, "tokens": 10**9})
    quotas.settle("c1", {"tokens": 10**9}, "bob")
    assert quotas.standings("bob") == [] and quotas.left("bob", "tokens") is None
    assert not store.connection.execute("select 1 from quota_use union select 1 from quota_held").fetchone()


def test_a_refusal_says_the_limit_the_use_the_reset_and_who_can_raise_it(quotas: Quotas) -> None:
    quotas.set("user:bob", "tokens", "day", 1000, "ada")
    quotas.reserve("c1", "bob", {"tokens": 600})
    quotas.settle("c1", {"tokens": 450})
    quotas.reserve("c2", "bob", {"tokens": 300})
    with pytest.raises(OverQuota) as said:
        quotas.reserve("c3", "bob", {"tokens": 251})
    assert said.value.decision.rule == "quota" and said.value.exit_code == 3
    for part in ("1,000 tokens a day is the limit of bob", "450 tokens used", "300 tokens reserved",
                 "this may take 251 tokens", "2026-05-21 00:00", "13h 29m 45s", "an administrator can raise it",
                 "agentos quotas set user:bob tokens AMOUNT/day"):
        assert part in str(said.value), part
    quotas.reserve("c3", "bob", {"tokens": 250})


def test_two_at_once_never_go_over_together(quotas: Quotas) -> None:
    dice = random.Random(3)
    quotas.set("user:bob", "tokens", "day", 10_000, "ada")
    quotas.set("group:crew", "tokens", "day", 12_000, "ada")
    spent, under_way, refused = 0, {}, 0
    for number in range(3000):
        if under_way and dice.random() < 0.5:
            key = dice.choice(list(under_way))
            took = dice.randint(0, under_way.pop(key))
            quotas.settle(key, {"tokens": took})
            spent += took
        else:
            most = dice.randint(1, 900)
            try:
                quotas.reserve(f"c{number}", dice.choice(["bob", "eve"]), {"tokens": most})
                under_way[f"c{number}"] = most
            except OverQuota:
                refused += 1
        assert spent + sum(under_way.values()) <= 12_000
        (taken,) = used(quotas, "eve", "tokens")
        assert taken == (spent, sum(under_way.values()))
    assert refused and used(quotas, "bob", "tokens")[0][0] <= 10_000


def test_a_limit_of_a_role_is_each_ones_and_that_of_a_group_is_shared(quotas: Quotas) -> None:
    quotas.set("role:operator", "requests", "minute", 2, "ada")
    quotas.set("group:crew", "requests", "day", 5, "ada")
    for user in ("bob", "bob", "eve", "eve"):
        quotas.reserve("", user, {"requests": 1})
    for user in ("bob", "eve"):
        with pytest.raises(OverQuota, match="2 requests a minute is the limit of role operator"):
            quotas.reserve("", user, {"requests": 1})
    quotas.reserve("", "ada", {"requests": 1})
    assert used(quotas, "bob", "requests") == [(2, 0), (4, 0)]
    assert {(one.subject, one.user, one.used) for one in quotas.standings()} == {
        ("role:operator", "bob", 2), ("role:operator", "eve", 2), ("group:crew", "", 4),
    }


def test_ones_own_limit_takes_the_place_of_the_roles_and_a_role_of_ones_own_that_of_its_base(quotas: Quotas) -> None:
    quotas.set("role:operator", "tokens", "day", 10, "ada")
    quotas.set("role:analyst", "tokens", "day", 20, "ada")
    quotas.set("user:bob", "tokens", "day", 100, "ada")
    assert [quotas.left(user, "tokens") for user in ("bob", "eve", "ann", "ada")] == [100, 10, 20, None]


def test_all_is_taken_or_nothing(quotas: Quotas) -> None:
    quotas.set("user:bob", "requests", "day", 10, "ada")
    quotas.set("user:bob", "cost", "month", 1, "ada")
    with pytest.raises(OverQuota, match=r"1 USD a month is the limit of bob; 0 USD used, and this may take 1\.5 USD"):
        quotas.reserve("c1", "bob", {"requests": 1, "cost": 1.5})
    assert used(quotas, "bob", "requests") == [(0, 0)] and used(quotas, "bob", "cost") == [(0, 0)]
    quotas.reserve("c1", "bob", {"requests": 1, "cost": 0.5}, dry=True)
    assert used(quotas, "bob", "requests") == [(0, 0)]


def test_counting_starts_anew_with_each_period_and_what_is_under_way_stays_reserved(quotas: Quotas, clock) -> None:
    quotas.set("user:bob", "requests", "minute", 1, "ada")
    quotas.set("user:bob", "tokens", "hour", 100, "ada")
    quotas.reserve("c1", "bob", {"requests": 1, "tokens": 80})
    with pytest.raises(OverQuota):
        quotas.reserve("c2", "bob", {"requests": 1})
    clock.now += 45
    quotas.reserve("c2", "bob", {"requests": 1})
    clock.now += 1800
    assert quotas.left("bob", "tokens") == 20
    quotas.settle("c1", {"tokens": 70})
    assert quotas.left("bob", "tokens") == 30
    clock.now += 3600
    assert quotas.left("bob", "tokens") == 100


def test_counts_and_reservations_survive_a_system_that_was_killed(quotas: Quotas, store, clock) -> None:
    quotas.set("user:bob", "tokens", "day", 1000, "ada")
    quotas.set("user:bob", "cpu-hours", "day", 10, "ada")
    quotas.reserve("c1", "bob", {"tokens": 300})
    quotas.settle("c1", {"tokens": 100})
    quotas.reserve("c2", "bob", {"tokens": 400})  # and the system dies with it
    quotas.reserve("job-call:bob:c3", "bob", {"cpu-hours": 4})
    quotas.rename("job-call:bob:c3", "job:7")
    again = Quotas(store, lambda user: SUBJECTS.get(user, ()), clock)
    assert used(again, "bob", "tokens") == [(500, 0)]  # what a call under way took nobody knows: all of it
    assert used(again, "bob", "cpu-hours") == [(0, 4)] and again.keys("job:") == ["job:7"]
    again.settle("job:7", {"cpu-hours": 0.25})
    assert used(again, "bob", "cpu-hours") == [(0.25, 0)]


def test_a_limit_of_nothing_lets_nothing_through(quotas: Quotas) -> None:
    quotas.set("role:operator", "cost", "month", 0, "ada")
    with pytest.raises(OverQuota):
        quotas.reserve("c1", "bob", {"cost": 0.0})
    quotas.reserve("c1", "bob", {"tokens": 5})


def test_a_limit_can_be_lifted(quotas: Quotas) -> None:
    for period in ("minute", "day"):
        quotas.set("user:bob", "requests", period, 0, "ada")
    assert quotas.remove("user:bob", "requests", "minute") == 1
    with pytest.raises(NotFound, match="user:bob requests"):
        quotas.remove("user:bob", "requests", "minute")
    assert quotas.remove("user:bob", "requests") == 1
    quotas.reserve("", "bob", {"requests": 1})


@pytest.mark.parametrize(("subject", "resource", "period", "amount"), [
    ("bob", "tokens", "day", 1), ("user:", "tokens", "day", 1), ("team:x", "tokens", "day", 1),
    ("user:bob", "pens", "day", 1), ("user:bob", "tokens", "week", 1), ("user:bob", "tokens", "day", -1),
    ("user:bob", "tokens", "day", float("nan")), ("user:bob", "tokens", "day", float("inf")),
])
def test_what_cannot_be_limited_is_refused(quotas: Quotas, subject, resource, period, amount) -> None:
    with pytest.raises(UserError, match="Nothing was changed"):
        quotas.set(subject, resource, period, amount, "ada")
    assert quotas.standings() == []


def test_a_time_is_in_its_window_and_windows_follow_one_another() -> None:
    dice = random.Random(5)
    for period in PERIODS:
        for _ in range(300):
            now = dice.uniform(1.6e9, 2.0e9)
            found = window(period, now)
            assert found.start <= now < found.end
            assert window(period, found.end).start == found.end


def test_a_request_whose_reservation_cannot_be_written_down_is_not_counted(quotas: Quotas, store) -> None:
    quotas.set("user:bob", "requests", "day", 5, "ada")
    quotas.set("user:bob", "tokens", "day", 100, "ada")
    store.connection.execute("pragma query_only=on")
    with pytest.raises(Failed):
        quotas.reserve("c1", "bob", {"requests": 1, "tokens": 10})
    store.connection.execute("pragma query_only=off")
    assert used(quotas, "bob", "requests") == [(0, 0)] and used(quotas, "bob", "tokens") == [(0, 0)]
    quotas.reserve("c1", "bob", {"requests": 1, "tokens": 10})
    assert used(quotas, "bob", "requests") == [(1, 0)] and used(quotas, "bob", "tokens") == [(0, 10)]
