"""What the live policy promises, shown on small clusters with a clock of its own."""

from __future__ import annotations

import copy
import heapq
import random
import sys
from dataclasses import replace

from agentos.jobs.ours import OURS
from agentos.jobs.prediction import History
from agentos.jobs.scheduling import Node, Request, Running, fits
from agentos.jobs.waiting import PATIENCE, Waiting

GIB = 2**30
ONE = (Node("a", 8, 32 * GIB, (0, 1, 2, 3)),)


class Cluster:
    """Runs requests for as long as they say, starting what the policy starts; no resource is ever given twice."""

    def __init__(self, nodes=ONE, policy=None):
        self.nodes = {node.name: node for node in nodes}
        self.policy = policy or OURS.steady()
        self.queue = Waiting(History())
        self.running: dict[str, Running] = {}
        self.ends: list[tuple[float, str]] = []
        self.started: dict[str, float] = {}
        self.where: dict[str, str] = {}
        self.order: list[str] = []

    def free(self):
        left = []
        for node in self.nodes.values():
            here = [one for one in self.running.values() if one.node == node.name]
            used = [gpu for one in here for gpu in one.gpus]
            assert len(used) == len(set(used)) and set(used) <= set(node.gpus)
            cpus = node.cpus - sum(one.request.cpus for one in here)
            memory = node.memory - sum(one.request.memory for one in here)
            assert cpus >= 0 and memory >= 0
            left.append(Node(node.name, cpus, memory, tuple(gpu for gpu in node.gpus if gpu not in used)))
        return left

    def play(self, jobs, until=float("inf")):
        """`jobs`: (request, seconds), by submission."""
        jobs = sorted(jobs, key=lambda job: job[0].submitted)
        seconds = {request.job: long for request, long in jobs}
        coming = 0
        while coming < len(jobs) or self.ends:
            now = min(jobs[coming][0].submitted if coming < len(jobs) else 1e18, self.ends[0][0] if self.ends else 1e18)
            if now > until:
                break
            while self.ends and self.ends[0][0] <= now:
                gone = self.running.pop(heapq.heappop(self.ends)[1])
                self.queue.learn(gone.request, seconds[gone.request.job])
            while coming < len(jobs) and jobs[coming][0].submitted <= now:
                self.queue.add(jobs[coming][0])
                coming += 1
            for start in self.policy.decide(now, self.queue, list(self.running.values()), self.free()):
                request = self.queue.remove(start.job)
                assert len(start.gpus) == request.gpus
                self.running[start.job] = Running(request, start.node, now, start.gpus)
                self.started[start.job] = now
                self.where[start.job] = start.node
                self.order.append(start.job)
                heapq.heappush(self.ends, (now + seconds[start.job], start.job))
                self.free()
        return self


def ask(job, at=0.0, user="ann", **more):
    return Request(str(job), user, at, **more)


def test_what_is_submitted_to_an_idle_machine_starts_at_once():
    assert Cluster().play([(ask(1, at=5.0), 10.0)]).started == {"1": 5.0}


def test_higher_priorities_start_first_and_equals_in_order_of_arrival():
    full = [(ask("full", cpus=8), 10.0)]
    jobs = [(ask(f"{name}{at}", at=1.0 + at, cpus=8, priority=name), 10.0) for at in (0, 1) for name in PATIENCE]
    order = Cluster().play(full + jobs).order
    assert order == ["full", "high0", "high1", "normal0", "normal1", "low0", "low1"]


def test_a_low_priority_job_gets_its_turn_in_an_endless_stream_of_high_ones():
    stream = [(ask(f"h{at}", at=at * 590.0, cpus=8, priority="high", user="bob"), 600.0) for at in range(400)]
    cluster = Cluster().play([(ask("low", at=10.0, cpus=8, priority="low"), 60.0), *stream])
    assert cluster.started["low"] <= (10.0 + PATIENCE["low"]) * 600 / 590 + 2 * 600.0


def test_a_job_that_needs_the_whole_machine_is_not_starved_by_small_ones():
    stream = [(ask(f"s{at}", at=at * 100.0, gpus=1, user="bob"), 390.0 + at % 7) for at in range(2000)]
    cluster = Cluster().play([*stream, (ask("big", at=150.0, gpus=4), 100.0)])
    assert cluster.started["big"] <= 150.0 + PATIENCE["normal"] + 5 * 400.0


def test_predictions_that_are_always_wrong_starve_nobody():
    rng = random.Random(1)
    stream = []
    for at in range(1500):  # every command is short ten times, then long
        stream.append(
            (ask(f"s{at}", at=at * 60.0, gpus=1, user="bob", key="k"), 4000.0 if at % 11 == 10 else 1.0 + rng.random())
        )
    cluster = Cluster().play([*stream, (ask("big", at=90.0, gpus=4, user="ann"), 100.0)])
    assert cluster.started["big"] <= 90.0 + PATIENCE["normal"] + 5 * 4000.0


def test_every_job_of_a_random_mix_ends_whatever_it_asks_for():
    rng = random.Random(7)
    nodes = (*ONE, Node("b", 16, 64 * GIB), Node("c", 4, 16 * GIB, (0, 1)))
    jobs = []
    for at in range(600):
        request = ask(
            at,
            at=at * 20.0,
            user=rng.choice("abcd"),
            cpus=rng.choice((1, 1, 2, 4, 8)),
            memory=rng.choice((0, 1, 4, 30)) * GIB,
            gpus=rng.choice((0, 0, 1, 2, 4)),
            priority=rng.choice(("low", "normal", "high")),
            key=rng.choice("xyz"),
        )
        if fits(request, nodes) is None:
            jobs.append((request, rng.lognormvariate(5, 2)))
    cluster = Cluster(nodes).play(jobs)
    assert set(cluster.started) == {request.job for request, _ in jobs}
    assert not len(cluster.queue)


def test_what_is_known_to_be_short_goes_before_what_is_known_to_be_long():
    cluster = Cluster()
    for at in range(10):
        cluster.queue.learn(ask(f"p{at}", cpus=8, key="short"), 5.0)
        cluster.queue.learn(ask(f"q{at}", cpus=8, key="long"), 5000.0)
    jobs = [(ask("full", cpus=8, key="full"), 10.0), (ask("l", at=1.0, cpus=8, key="long"), 5000.0)]
    cluster.play([*jobs, (ask("s", at=2.0, cpus=8, key="short"), 5.0)])
    assert cluster.order == ["full", "s", "l"]


def test_two_users_with_like_jobs_share_the_machine_evenly():
    jobs = [(ask(f"a{at}", at=0.0, user="ann"), 100.0) for at in range(200)]
    jobs += [(ask(f"b{at}", at=1.0, user="bob"), 100.0) for at in range(200)]
    cluster = Cluster().play(jobs, until=1050.0)
    later = [job for job in cluster.order if cluster.started[job] >= 300.0]
    assert 0.4 <= sum(job.startswith("b") for job in later) / len(later) <= 0.6


def test_a_short_job_runs_beside_a_reservation_and_does_not_put_it_off():
    cluster = Cluster()
    for at in range(30):
        cluster.queue.learn(ask(f"p{at}", gpus=1, key="short"), 30.0)
        cluster.queue.learn(ask(f"q{at}", gpus=3, key="hour"), 3600.0)
    big = ask("big", at=-PATIENCE["normal"], gpus=4, key="big")
    jobs = [(replace(ask("first", at=-PATIENCE["normal"] - 1), gpus=3, key="hour"), 3600.0), (big, 100.0)]
    cluster.play([*jobs, (ask("short", at=-60.0, gpus=1, key="short"), 30.0)])
    assert cluster.started["short"] == -60.0
    assert cluster.started["big"] == cluster.started["first"] + 3600.0


def test_gpu_jobs_fill_nodes_up_and_the_others_are_spread():
    nodes = [Node(name, 8, 32 * GIB, (0, 1, 2, 3)) for name in "ab"] + [Node(name, 8, 32 * GIB) for name in "cd"]
    cluster = Cluster(nodes).play([(ask(f"g{at}", gpus=1), 100.0) for at in range(4)])
    assert len({cluster.where[f"g{at}"] for at in range(4)}) == 1
    cluster = Cluster(nodes).play([(ask(f"c{at}"), 100.0) for at in range(4)])
    assert sorted(cluster.where.values()) == ["c", "c", "d", "d"]


def test_deciding_changes_nothing_and_gives_the_same_again():
    queue = Waiting(History())
    for at in range(50):
        queue.add(ask(at, at=float(at), gpus=at % 3, user="ab"[at % 2], key=str(at % 4)))
    before = copy.deepcopy(sorted(request.job for request in queue))
    first = OURS.decide(1e6, queue, [], ONE)
    assert first and first == OURS.decide(1e6, queue, [], ONE)
    assert sorted(request.job for request in queue) == before


def test_only_what_may_be_set_aside_is_stopped():
    queue = Waiting(History(preemptive=True))
    for at in range(20):
        queue.learn(ask(f"p{at}", gpus=4, key="short"), 5.0)
        queue.learn(ask(f"q{at}", gpus=4, key="long"), 90000.0)
    queue.add(ask("new", at=100.0, gpus=4, key="short"))
    for may in (False, True):
        old = Running(ask("old", gpus=4, key="long", preemptible=may), "a", 0.0, (0, 1, 2, 3))
        free = [Node("a", 7, 32 * GIB)]
        assert OURS.preempt(100.0, queue, [old], free) == (["old"] if may else [])


def test_a_decision_takes_no_more_steps_with_a_hundred_times_as_many_waiting():
    steps = {}
    for many in (1_000, 100_000):
        queue = Waiting(History())
        for at in range(many):
            queue.add(ask(at, at=float(at), user=f"u{at % 20}", gpus=at % 3, key=f"k{at % 50}"))
        running = [Running(ask(f"r{at}", gpus=1), "a", 0.0, (at,)) for at in range(3)]
        counted = [0]
        sys.setprofile(lambda *_, counted=counted: counted.__setitem__(0, counted[0] + 1))
        starts = OURS.decide(float(many), queue, running, [Node("a", 5, 32 * GIB, (3,))])
        sys.setprofile(None)
        assert starts
        steps[many] = counted[0]
    assert steps[100_000] <= 2 * steps[1_000]
