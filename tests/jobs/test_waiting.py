"""The queue keeps its orders through any adding, removing and learning."""

from __future__ import annotations

import random

import pytest

from agentos.jobs.prediction import History
from agentos.jobs.scheduling import Request
from agentos.jobs.waiting import Waiting, due


def ask(job, at, **more):
    return Request(str(job), more.pop("user", "ann"), at, **more)


def test_a_job_waits_once():
    queue = Waiting(History())
    queue.add(ask(1, 0.0))
    with pytest.raises(ValueError, match="already waiting"):
        queue.add(ask(1, 1.0))
    assert "1" in queue and queue["1"].submitted == 0.0 and len(queue) == 1


def test_removing_who_does_not_wait_says_so():
    with pytest.raises(KeyError):
        Waiting(History()).remove("1")


def test_both_orders_hold_through_any_sequence_of_changes():
    rng = random.Random(3)
    queue, alive = Waiting(History()), {}
    for at in range(4000):
        if alive and rng.random() < 0.45:
            job = rng.choice(list(alive))
            request = alive.pop(job)
            assert queue.remove(job) is request
            if rng.random() < 0.5:
                queue.learn(request, rng.lognormvariate(4, 2))
        else:
            submitted = at * 30.0 - (5000.0 if rng.random() < 0.1 else 0.0)
            request = ask(at, submitted, user=rng.choice("ab"), gpus=rng.choice((0, 1, 2)), key=rng.choice("xyz"))
            queue.add(request)
            alive[request.job] = request
    assert {request.job for request in queue} == set(alive)
    seen = []
    for when, _, bucket in queue.arrivals:
        members = list(bucket)
        assert members == sorted(members, key=lambda one: one.submitted)
        assert when == due(members[0]) and bucket.live == len(members)
        seen += [one.job for one in members]
    assert sorted(seen) == sorted(alive)
    assert [item[:2] for item in queue.arrivals] == sorted(item[:2] for item in queue.arrivals)
    ranked = []
    for lane in queue.lanes.values():
        assert [front[:3] for front in lane.fronts] == sorted(mine[0][:3] for mine in lane.users.values())
        for mine in lane.users.values():
            assert [item[:3] for item in mine] == sorted(item[:3] for item in mine)
            ranked += [one.job for item in mine for one in item[3]]
    assert sorted(ranked) == sorted(alive)


def test_an_emptied_queue_keeps_nothing():
    queue = Waiting(History())
    for at in range(100):
        queue.add(ask(at, at * 1000.0, gpus=at % 3))
    for at in reversed(range(100)):
        queue.remove(str(at))
    assert not len(queue) and not queue.arrivals and not queue.lanes
