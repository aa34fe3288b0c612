"""Replaying traces: answers worked out by hand, optima found by trying everything, and a bound that holds."""

from __future__ import annotations

import json
import random
from functools import cache
from itertools import combinations

import pytest

from agentos.errors import UserError
from agentos.interfaces import bench_eviction
from agentos.interfaces.cli import main
from agentos.models.replay import POLICIES, Cost, replay
from agentos.models.replay_bound import least
from agentos.models.replay_trace import Request, Trace, dealt, read_trace, synthetic

SECOND = Cost(start=0.0, bandwidth=1.0)


def trace(names: str, seconds: float = 0.0, **sizes: int) -> Trace:
    requests = tuple(Request(float(at), name, seconds) for at, name in enumerate(names))
    return Trace(requests, {name: sizes.get(name, 1) for name in set(names)})


def optimum(names: str, sizes: dict[str, int], budget: int) -> int:
    """Fewest bytes loaded, by trying whatever may be held after each request."""

    @cache
    def best(at: int, held: frozenset[str]) -> int:
        if at == len(names):
            return 0
        now = names[at]
        others = held - {now}
        return (0 if now in held else sizes[now]) + min(
            best(at + 1, frozenset(kept) | {now})
            for count in range(len(others) + 1)
            for kept in combinations(sorted(others), count)
            if sum(sizes[name] for name in kept) + sizes[now] <= budget
        )

    return best(0, frozenset())


def test_lru_loads_what_it_does_on_paper():
    done = replay(trace("abcabdab"), 75, "lru", SECOND)  # three of four
    assert (done.loads, done.bytes, done.loading, done.of_lru) == (4, 4, 4.0, 1.0)
    assert replay(trace("abcdabcd"), 75, "lru", SECOND).loads == 8


def test_belady_on_a_loop_keeps_all_but_one():
    assert replay(trace("abcdabcd"), 75, "belady", SECOND).loads == optimum("abcdabcd", dict.fromkeys("abcd", 1), 3)


def test_lfu_keeps_the_popular_one():
    assert replay(trace("aaabcbca"), 67, "lfu", SECOND).loads == 5
    assert replay(trace("aaabcbca"), 67, "lru", SECOND).loads == 4


@pytest.mark.parametrize("seed", range(40))
def test_belady_is_the_optimum_for_equal_sizes(seed):
    draw = random.Random(seed)
    names = "".join(draw.choice("abcde") for _ in range(14))
    made = trace(names)
    budget = max(1, len(made.sizes) // 2)
    done = replay(made, 100 * budget / len(made.sizes) + 1e-9, "belady", SECOND)
    assert done.loading == optimum(names, dict(made.sizes), budget)


@pytest.mark.parametrize("seed", range(40))
def test_the_bound_is_at_most_the_optimum_and_that_at_most_any_policy(seed):
    draw = random.Random(seed)
    names = "".join(draw.choice("abcde") for _ in range(14))
    sizes = {name: draw.randint(1, 5) for name in sorted(set(names))}
    total = sum(sizes.values())
    budget = max(*sizes.values(), draw.randint(total // 3, total))
    exact = optimum(names, sizes, budget)
    assert least(names, sizes, {name: float(size) for name, size in sizes.items()}, budget) <= exact + 1e-6
    made = trace(names, **sizes)
    for policy in (*POLICIES, "belady"):
        assert replay(made, 100 * budget / total + 1e-9, policy, SECOND).loading >= exact


def test_the_bound_is_tight_where_everything_fits_and_where_nothing_is_asked_for_again():
    assert least("abab", {"a": 1, "b": 1}, {"a": 1.0, "b": 2.0}, 2) == pytest.approx(3.0)
    assert least("abcd", dict.fromkeys("abcd", 1), dict.fromkeys("abcd", 1.0), 2) == pytest.approx(4.0)


def test_a_model_in_use_is_kept_and_the_load_waits_for_it():
    busy = trace("abc", seconds=10.0)
    done = replay(busy, 67, "ours", SECOND, pins=True)
    assert done.loads == 3
    assert done.waited == pytest.approx(9.0)  # c comes at 2 s; a, loaded by 1 s, answers until 11 s
    assert replay(busy, 67, "ours", SECOND).waited is None


@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize(("kind", "most"), [("zipf", 0.85), ("drift", 0.92), ("scan", 0.95)])
def test_ours_loads_clearly_less_than_lru_where_popularity_lasts(kind, most, equal):
    made = synthetic(kind, count=8000, equal=equal)
    for budget in (10, 20, 40):
        assert replay(made, budget, "ours", Cost()).of_lru <= most


@pytest.mark.parametrize("kind", ["bursts", "shift"])
def test_ours_is_hardly_worse_than_lru_where_recency_is_all_there_is(kind):
    made = synthetic(kind, count=12_000)
    for budget in (10, 20, 40):
        assert replay(made, budget, "ours", Cost()).of_lru <= 1.15


def test_sizes_are_dealt_by_name_alone():
    names = [f"m{at}" for at in range(400)]
    sizes = dealt(names)
    assert dealt(reversed(names[:50])) == {name: sizes[name] for name in names[:50]}
    assert dealt(names, seed="b") != sizes
    assert set(dealt(names, equal=True).values()) == {4_000_000_000}
    assert 100 < sum(size == 2_130_000_000 for size in sizes.values()) < 180


def test_a_trace_is_read_by_its_header_in_time_order(tmp_path):
    path = tmp_path / "trace.csv"
    header = "model,time,size,exec_time_seconds\n"
    path.write_text(f"{header}b,2024-11-15 16:57:51,7,3.5\na,2024-11-15 16:57:50,5,\n,1,1,1\n")
    read = read_trace(path)
    assert [(request.model, request.seconds) for request in read.requests] == [("a", 0.0), ("b", 3.5)]
    assert read.requests[1].time - read.requests[0].time == 1
    assert read.sizes == {"a": 5, "b": 7}
    assert read.notes == ("1 rows name no model; they are left out",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("when,what\n1,a\n", "no column 'time' or 'model'"),
        ("time,model\nsoon,a\n", "line 2"),
        ("time,model\n", "holds no"),
    ],
)
def test_a_trace_that_cannot_be_read_is_refused_with_its_line(tmp_path, text, says):
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        read_trace(path)


def test_requests_for_models_larger_than_the_budget_are_counted_and_left_out():
    done = replay(trace("abab", a=9), 50, "ours", SECOND)
    assert (done.refused, done.loads, done.loading) == (2, 1, 1.0)
    with pytest.raises(UserError, match="no model fits"):
        replay(trace("ab", a=9, b=9), 10, "ours", SECOND)


def test_the_command_prints_a_table_and_json(tmp_path, capsys):
    path = tmp_path / "trace.csv"
    path.write_text("time,model,size\n" + "".join(f"{at},{name},1000000000\n" for at, name in enumerate("abcdabcd")))
    assert main(["models", "replay", str(path), "--budget", "75", "--start", "0"]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[1] for line in printed.splitlines()[2:]] == ["ours", "gdsf", "lfu", "lru", "belady", "bound"]
    assert main(["models", "replay", str(path), "--budget", "75", "--policy", "lru", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["replays"]
    assert (one["loads"], one["of_lru"]) == (8, 1.0)


def test_the_bench_shows_made_traces_and_a_given_one(tmp_path):
    path = tmp_path / "trace.csv"
    draw = random.Random(1)
    path.write_text("time,model\n" + "".join(f"{at},m{min(59, int(draw.expovariate(0.1)))}\n" for at in range(600)))
    figures = bench_eviction.measure(path, count=600)
    rows = bench_eviction.rows(json.loads(json.dumps(figures)))
    assert [row[0] for row in rows[:3]] == [f"loading of LRU's, {budget}% budget" for budget in (10, 20, 40)]
    for deal in figures["trace"]["deals"].values():
        for at in deal.values():
            assert at["bound"]["seconds"] <= at["belady"]["seconds"] <= at["lru"]["seconds"]
