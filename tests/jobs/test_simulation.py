"""The replay is right: cases worked out by hand, nothing given twice, and every job runs its time."""

from __future__ import annotations

import random

import numpy as np
import pytest

from agentos.errors import UserError
from agentos.jobs import simulation
from agentos.jobs.reporting import text
from agentos.jobs.simulation import POLICIES, Replay, replay, simulate
from agentos.jobs.traces import TraceJob
from agentos.jobs.waiting import Waiting


def ends(jobs, gpus, policy, restart=0.0, preemption=True):
    chosen, outlook = simulation.choose(policy, jobs, preemption)
    run = Replay(jobs, gpus, chosen, Waiting(outlook), restart)
    run.run()
    return run.ended.tolist()


def mix(seed, many=300):
    rng = random.Random(seed)
    jobs = [
        TraceJob(
            float(rng.randrange(20000)),
            float(round(rng.lognormvariate(5, 2))),
            rng.choice((1, 1, 1, 2, 4, 8)),
            "ab"[at % 2],
        )
        for at in range(many)
    ]
    return sorted(jobs, key=lambda job: job.submitted)


def test_fifo_makes_all_wait_behind_the_head():
    jobs = [TraceJob(0, 10, 2), TraceJob(1, 5, 4), TraceJob(2, 3, 1)]
    assert ends(jobs, 4, "fifo") == [10, 15, 18]


def test_easy_lets_by_who_needs_only_what_is_left_over():
    jobs = [TraceJob(0, 1000, 2), TraceJob(1, 5, 3), TraceJob(2, 9000, 1), TraceJob(3, 9000, 2)]
    assert ends(jobs, 4, "easy") == [1000, 1005, 9002, 10005]


def test_the_oracle_sets_the_long_aside_for_the_short():
    jobs = [TraceJob(0, 100, 1), TraceJob(10, 5, 1)]
    assert ends(jobs, 1, "srtf") == [105, 15]


def test_a_stop_costs_the_stopped_job_its_restart():
    jobs = [TraceJob(0, 100, 1), TraceJob(10, 5, 1)]
    assert ends(jobs, 1, "srtf", restart=60.0) == [165, 15]


def test_a_job_stopped_while_it_restarts_makes_no_headway_and_pays_again():
    jobs = [TraceJob(0, 100, 1), TraceJob(10, 5, 1), TraceJob(30, 5, 1)]
    assert ends(jobs, 1, "srtf", restart=60.0) == [35 + 60 + 90, 15, 35]


def test_tiresias_serves_who_is_below_the_threshold_first():
    hour = 3600.0
    jobs = [TraceJob(0, 20 * hour, 1), TraceJob(9 * hour, 2 * hour, 1)]
    assert ends(jobs, 1, "tiresias") == [22 * hour, 12 * hour]


def test_without_contention_every_policy_ends_each_job_after_its_own_time():
    jobs = [TraceJob(at * 10.0, 25.0, 1) for at in range(20)]
    for policy in POLICIES:
        assert ends(jobs, 8, policy) == [at * 10.0 + 25.0 for at in range(20)]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("restart", [0.0, 60.0])
def test_no_gpu_is_given_twice_and_each_job_runs_its_time(policy, restart, monkeypatch):
    jobs = mix(5)
    spans: dict[str, list[list[float]]] = {}
    start, stop = Replay._start, Replay._stop

    def starting(self, now, job, gpus):
        start(self, now, job, gpus)
        held = [gpu for one in self._running.values() for gpu in one.gpus]
        assert len(held) == len(set(held)) and not self._free & set(held) and len(held) + len(self._free) == 8
        spans.setdefault(job, []).append([self._running[job].started, np.inf])

    def stopping(self, now, job):
        spans[job][-1][1] = max(now, spans[job][-1][0])
        stop(self, now, job)

    monkeypatch.setattr(Replay, "_start", starting)
    monkeypatch.setattr(Replay, "_stop", stopping)
    over = ends(jobs, 8, policy, restart)
    for at, job in enumerate(jobs):
        mine = spans[str(at)]
        mine[-1][1] = over[at]
        assert sum(end - begin for begin, end in mine) == pytest.approx(job.seconds)
        assert mine[0][0] >= job.submitted


def test_the_same_trace_gives_the_same_figures():
    first, again = (ends(mix(9), 8, "ours", 60.0) for _ in range(2))
    assert first == again


def test_ours_beats_fifo_and_easy_where_jobs_differ_much_and_starves_nobody():
    rng = random.Random(2)
    jobs = [
        TraceJob(at * 40.0, rng.lognormvariate(3 if at // 20 % 3 else 8, 0.3), rng.choice((1, 2)), "u")
        for at in range(800)
    ]
    found = {policy: replay(jobs, 8, policy) for policy in ("ours", "fifo", "easy")}
    assert found["ours"].completion_mean < 0.5 * found["fifo"].completion_mean
    assert found["ours"].completion_mean < found["easy"].completion_mean
    assert found["ours"].wait_p99 <= found["fifo"].wait_p99


def test_the_report_says_what_was_left_out_and_the_figures_of_each_policy(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("0,10,1\n1,10,99\n2,10,0\n3,20,2\n")
    reports = [simulate(path, 2, policy) for policy in POLICIES]
    assert reports[0].jobs == 2 and reports[0].completion_mean == pytest.approx((10 + 27) / 2)
    assert reports[0].wait_mean == pytest.approx(3.5) and reports[0].makespan == 30.0
    assert reports[0].utilisation == pytest.approx(50 / 60)
    said = text(reports)
    assert "1 of 4 jobs ask for more than 2 GPUs" in said and "1 of 4 jobs ask for no GPU" in said
    assert all(policy in said for policy in POLICIES)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"gpus": 0}, "gpus is 0"),
        ({"policy": "best"}, "there is no policy 'best'"),
        ({"limit": 0}, "limit is 0"),
        ({"restart": -1.0}, "restart is -1"),
        ({"restart": float("nan")}, "restart is nan"),
        ({"gpus": 1}, "none of the 1 jobs"),
    ],
)
def test_what_cannot_be_simulated_is_refused(tmp_path, arguments, what):
    path = tmp_path / "trace.csv"
    path.write_text("0,10,2\n")
    with pytest.raises(UserError, match=what):
        simulate(path, **{"gpus": 4, **arguments})


def test_the_plot_has_a_line_per_policy():
    pytest.importorskip("plotext")
    from agentos.jobs.reporting import plot

    drawn = plot([replay(mix(1, 50), 8, policy) for policy in ("ours", "fifo")])
    assert "ours" in drawn and "fifo" in drawn and "\x1b" not in drawn
