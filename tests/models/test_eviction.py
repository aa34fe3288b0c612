"""What leaves memory: size, cost and use decide, the set is no larger than needed, and what was learnt lasts."""

from __future__ import annotations

import itertools
import json
import random

from agentos.models.eviction import Frugal, cheapest

GB = 10**9


def policy(*models: tuple[str, int, float], uses: str = "") -> Frugal:
    made = Frugal()
    for name, size, cost in models:
        made.used(name, 0.0)
        made.loaded(name, size, cost, 0.0)
    for name in uses:
        made.used(name, 0.0)
    return made


def test_of_equals_the_longest_unused_leaves():
    made = policy(("a", GB, 3.0), ("b", GB, 3.0), ("c", GB, 3.0), uses="abc" * 5)
    assert made.victims({"a": GB, "b": GB, "c": GB}, GB, 0.0) == ["a"]


def test_what_is_quick_to_reload_leaves_before_what_is_slow():
    made = policy(("slow", GB, 60.0), ("quick", GB, 1.0))
    for _ in range(5):
        made.used("slow", 0.0)
        made.used("quick", 0.0)
    assert made.victims({"slow": GB, "quick": GB}, GB, 0.0) == ["quick"]


def test_at_the_same_cost_and_use_the_large_one_leaves():
    made = policy(("s", GB, 5.0), ("l", 8 * GB, 5.0), uses="ls" * 5)
    assert made.victims({"s": GB, "l": 8 * GB}, GB, 0.0) == ["l"]


def test_a_model_asked_for_once_leaves_before_a_popular_one_that_is_older():
    made = policy(("p", GB, 3.0), ("o", GB, 3.0), uses="p" * 200 + "o")
    assert made.victims({"p": GB, "o": GB}, GB, 0.0) == ["o"]


def test_a_popular_model_that_nobody_asks_for_any_more_leaves():
    made = policy(("p", GB, 3.0), ("n", GB, 3.0), uses="p" * 50 + "n" * 3000)
    assert made.victims({"p": GB, "n": GB}, GB, 0.0) == ["p"]


def test_nothing_leaves_where_nothing_is_needed_and_none_says_that_all_are_too_little():
    made = policy(("a", GB, 3.0))
    assert made.victims({"a": GB}, 0, 0.0) == []
    assert made.victims({"a": GB}, GB + 1, 0.0) is None


def test_no_model_too_many_leaves_and_enough_do():
    draw = random.Random(7)
    for _ in range(300):
        sizes = {str(at): draw.randint(1, 30) for at in range(draw.randint(1, 12))}
        worths = {name: draw.random() * 10 for name in sizes}
        needed = draw.randint(1, sum(sizes.values()))
        chosen = cheapest(sizes, worths, needed)
        freed = sum(sizes[name] for name in chosen)
        assert len(set(chosen)) == len(chosen)
        assert freed >= needed
        assert all(freed - sizes[name] < needed for name in chosen)


def test_the_set_is_the_one_of_least_worth_when_spare_bytes_count_at_the_marginal_price():
    draw = random.Random(3)
    for _ in range(100):
        sizes = {str(at): draw.randint(1, 9) for at in range(7)}
        worths = {name: float(draw.randint(1, 50)) for name in sizes}
        needed = draw.randint(1, sum(sizes.values()))
        chosen = cheapest(sizes, worths, needed)
        freed, price = 0, 0.0
        for name in sorted(sizes, key=lambda name: (worths[name] / sizes[name], name)):
            freed, price = freed + sizes[name], worths[name] / sizes[name]
            if freed >= needed:
                break

        def net(names, price=price, sizes=sizes, worths=worths):
            return sum(worths[name] - price * sizes[name] for name in names)

        def minimal(names, sizes=sizes, needed=needed):
            spare = sum(sizes[name] for name in names) - needed
            return spare >= 0 and all(sizes[name] > spare for name in names)

        sets = (names for count in range(1, 8) for names in itertools.combinations(sizes, count))
        assert net(chosen) <= min(net(names) for names in sets if minimal(names)) + 1e-9


def test_two_small_ones_go_where_they_are_worth_less_than_one_that_is_far_too_large():
    assert sorted(cheapest({"a": 4, "b": 100, "c": 1}, {"a": 1.0, "b": 50.0, "c": 0.9}, 5)) == ["a", "c"]


def test_one_large_one_goes_where_it_is_worth_less_than_several_small():
    assert cheapest({"a": 4, "b": 4, "big": 8}, {"a": 5.0, "b": 5.0, "big": 2.0}, 8) == ["big"]


def test_a_model_never_heard_of_may_leave():
    assert policy().victims({"stray": GB}, 1, 0.0) == ["stray"]


def test_what_was_learnt_outlasts_a_restart():
    made = policy(("p", GB, 3.0), ("o", GB, 3.0), ("q", 2 * GB, 9.0), uses="pqpqppoq" * 20)
    again = Frugal()
    again.restore(json.loads(json.dumps(made.save())))
    assert again.save() == made.save()
    held = {"p": GB, "o": GB, "q": 2 * GB}
    for needed in (GB, 2 * GB, 3 * GB):
        assert again.victims(held, needed, 0.0) == made.victims(held, needed, 0.0)


def test_a_spoilt_record_is_left_out_and_the_rest_is_taken_up():
    made = policy(("p", GB, 3.0), ("o", GB, 3.0))
    saved = made.save()
    saved["models"]["o"] = {"size": "large"}
    again = Frugal()
    again.restore(saved)
    assert set(again.save()["models"]) == {"p"}
    again.restore({"clock": None})
    assert set(again.save()["models"]) == {"p"}


def test_a_deleted_model_is_forgotten():
    made = policy(("p", GB, 3.0))
    made.forget("p")
    assert made.save()["models"] == {}


def test_where_popularity_misleads_recency_takes_over():
    made, held = Frugal(), {}
    draw = random.Random(2)
    for at in range(12_000):
        name = str((draw.randrange(10) + 10 * (at // 2000)) % 80)
        made.used(name, float(at))
        if name not in held:
            for victim in made.victims(held, (len(held) + 1 - 12) * GB, float(at)) or ():
                del held[victim]
            held[name] = GB
            made.loaded(name, GB, 3.0, float(at))
    assert made.way == "recency"
