"""Predictions come from what finished, get better with it, and are never taken for certain."""

from __future__ import annotations

import math
import random

import pytest

from agentos.jobs.prediction import GRID, History, signature
from agentos.jobs.scheduling import Request


def ask(job, at=0.0, user="ann", **more):
    return Request(str(job), user, at, **more)


def test_what_is_expected_comes_near_what_was_seen():
    history = History()
    for at in range(20):
        history.learn(ask(at, at * 10.0, key="train"), 500.0)
    assert history.estimate(ask("new", 205.0, key="train")).quantile(0.5) == pytest.approx(500, rel=0.25)


def test_each_finished_job_makes_the_predictions_better():
    rng = random.Random(4)
    usual = {(user, key): rng.lognormvariate(6, 2) for user in "abcd" for key in "xyz"}
    history, errors = History(), []
    for at in range(1200):
        user, key = rng.choice(list(usual))
        request = ask(at, at * 400.0, user=user, key=key)
        seconds = usual[user, key] * rng.lognormvariate(0, 0.2)
        errors.append(abs(math.log(history.estimate(request).quantile(0.5) / seconds)))
        history.learn(request, seconds)
    first, last = errors[:60], errors[-600:]
    assert sum(last) / len(last) < 0.4 * sum(first) / len(first)
    assert sum(last) / len(last) < 0.35


def test_a_new_command_is_judged_by_its_user_and_a_new_user_by_the_shape():
    history = History()
    for at in range(50):
        history.learn(ask(f"a{at}", at * 1000.0, user="ann", key="k", gpus=1), 20.0)
        history.learn(ask(f"b{at}", at * 1000.0, user="bob", key="k", gpus=4), 20000.0)
    assert history.estimate(ask("n", 6e4, user="ann", key="new", gpus=1)).quantile(0.5) < 60
    assert history.estimate(ask("m", 6e4, user="eve", key="new", gpus=4)).quantile(0.5) > 5000


def test_jobs_that_came_together_are_judged_by_each_other():
    history = History()
    for at in range(200):
        history.learn(ask(f"o{at}", at * 1000.0, key="python"), 30000.0)
    burst = [ask(f"s{at}", 1e6 + at, key="python") for at in range(50)]
    before = history.estimate(burst[-1]).quantile(0.5)
    for request in burst[:3]:
        history.learn(request, 10.0)
    assert before > 10000 and history.estimate(burst[-1]).quantile(0.5) < 20


def test_who_has_run_longer_than_all_before_is_expected_to_run_on():
    history = History()
    for at in range(100):
        history.learn(ask(at, at * 10.0), 60.0)
    request = ask("long", 1005.0)
    lefts = [history.estimate(request).after(ran).quantile(0.5) for ran in (0, 600, 6000, 60000)]
    assert lefts[1] > lefts[0] and lefts == sorted(lefts)
    assert history.estimate(request).after(2.0 * GRID[-1]).mean() > 0
    assert history.left(request, 60000.0) >= 0.3 * 60000


def test_a_distribution_adds_up_whatever_is_known():
    rng = random.Random(1)
    history = History()
    for at in range(300):
        request = ask(at, at * 100.0, user=rng.choice("ab"), key=rng.choice("xy"), gpus=rng.choice((0, 1)))
        estimate = history.estimate(request)
        assert estimate.weights.sum() == pytest.approx(1.0) and (estimate.weights >= 0).all()
        assert estimate.quantile(0.1) <= estimate.quantile(0.5) <= estimate.quantile(0.9)
        assert 0 < estimate.effort() <= estimate.mean() * 1.000001
        history.learn(request, rng.choice((0.0, 0.01, 5.0, 1e4, 1e12)))


def test_a_time_limit_bounds_the_prediction():
    assert History().estimate(ask(1, time_limit=120.0)).quantile(1.0) == 120.0


def test_ranks_put_priority_first_then_what_ends_soonest_for_what_it_takes():
    history = History()
    for at in range(20):
        history.learn(ask(f"s{at}", at * 1000.0, key="s", gpus=1), 10.0)
        history.learn(ask(f"l{at}", at * 1000.0, key="l", gpus=1), 10000.0)
    short, long = ask("a", 3e4, key="s", gpus=1), ask("b", 3e4, key="l", gpus=1)
    assert history.rank(short, 0.0) < history.rank(long, 0.0)
    urgent = ask("c", 3e4, key="l", gpus=1, priority="high")
    assert history.rank(urgent, 0.0) < history.rank(short, 0.0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("python train.py --lr 0.1 --seed 3", "python train.py --seed 4"),
        ("./run7.sh", "./run12.sh"),
        ("echo 'a b' 1", "echo 'a b' 2"),
        ("echo 'open", "echo 'open"),
    ],
)
def test_runs_of_one_command_have_one_signature(one, other):
    assert signature(one) == signature(other)


def test_different_programs_have_different_signatures():
    assert signature("python train.py") != signature("python evaluate.py")
    assert signature("") == ""
