"""No step of a job's life reads the whole queue, however long it is."""

import re
import time

import pytest

from agentos.jobs import finding, queue
from agentos.jobs.executor import Ended
from agentos.jobs.queue import Queue
from agentos.jobs.records import Spec
from agentos.store import Store


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "agentos.db")
    yield opened
    opened.close()


def seen_by(store: Store, work) -> list[str]:
    """The plan of every statement that some work runs, but those that make tables."""
    said: list[str] = []
    store.connection.set_trace_callback(said.append)
    work()
    store.connection.set_trace_callback(None)
    plans = []
    for sql in {one for one in said if re.match(r"\s*(select|insert|update|delete|with)", one)}:
        rows = store.connection.execute(f"explain query plan {sql}").fetchall()
        plans += [f"{row[3]} <- {' '.join(sql.split())}" for row in rows]
    return plans


def test_every_step_goes_by_an_index(store):
    jobs = Queue(store)
    spec = Spec("true", "ann", name="a", call="c1", retries=1)

    def life() -> None:
        jobs.submit([spec, Spec("true", "ann", name="b", after=("a",)), Spec("true", "ann", after=("b",))], 1.0)
        jobs.submit([Spec("true", "ann", name="x", not_before=5.0)], 1.0)
        assert jobs.next_due() == 5.0 and [job.id for job in jobs.due(5.0)] == ["4"]
        for reason, code in (("lost", None), ("exited", 1), ("exited", 1), ("exited", 0)):
            attempt = jobs.claim("1", node="n", gpus=(), owner="me", until=9.0, now=5.0)
            assert attempt and jobs.take(attempt, "me", 9.0) and jobs.renew("me", 10.0) == 1
            assert jobs.expired(11.0) == [attempt] and jobs.progress("1", 1, 2)
            assert len(jobs.find.running()) == 1
            change = jobs.finish(Ended(attempt, reason, code, None, None, 5.0, 6.0, ""), 6.0)
            jobs.due(1e6)
            if change.job.state == "failed":
                assert len(change.failed) == 2 and len(jobs.retry("a", 7.0).revived) == 2
        jobs.cancel("x", "bob", 8.0)
        jobs.find.attempts("1")
        jobs.find.listing("succeeded", limit=5)
        jobs.find.listing("all", limit=5)
        jobs.find.listing("all", "ann", limit=5)

    plans = seen_by(store, life)
    assert len(plans) > 20
    # Read whole: a page of the newest, what hangs on a failed job, and what runs.
    small = re.compile(r"SCAN (jobs <- select id, .* order by id desc limit|below |job_\w+ USING INDEX \w+_open)")
    assert [plan for plan in plans if re.match("SCAN|USE TEMP", plan) and not small.match(plan)] == []


def test_the_statements_that_touch_many_name_their_index(store):
    Queue(store)
    for sql, index in (
        (queue.WAKE, "jobs_wake"), (queue.RENEW, "job_attempts_open"), (queue.EXPIRED, "job_attempts_open"),
        (finding.RUNNING, "job_attempts_open"), (finding.QUEUED, "jobs_state"),
    ):
        plan = store.connection.execute(f"explain query plan {sql}", (1,) * sql.count("?")).fetchall()
        assert any(index in row[3] for row in plan), (sql, plan)


def test_a_step_costs_the_same_with_many_queued(store):
    """Counted in the database's own steps, which no other program on the machine can change."""
    jobs = Queue(store)

    def steps() -> int:
        count = 0

        def tick() -> int:
            nonlocal count
            count += 1
            return 0

        store.connection.set_progress_handler(tick, 1)
        with jobs.transaction():
            (job,) = jobs.submit([Spec("true", "ann", call=str(time.perf_counter_ns()))], 1.0)
            (child,) = jobs.submit([Spec("true", "ann", after=(job.id,))], 1.0)
            attempt = jobs.claim(job.id, node="n", gpus=(), owner="me", until=9.0, now=1.0)
            assert attempt and jobs.due(2.0) == [] and jobs.expired(2.0) == [] and jobs.renew("me", 9.0) == 1
            assert jobs.finish(Ended(attempt, "exited", 0, None, None, 1.0, 2.0, ""), 2.0).queued[0].id == child.id
        store.connection.set_progress_handler(None, 1)
        return count

    few = steps()
    jobs.submit([Spec(f"true {at}", "ann", call=f"c{at}") for at in range(3000)], 1.0)
    jobs.submit([Spec(f"true {at}", "ann", not_before=1e9 + at) for at in range(1000)], 1.0)
    assert steps() <= few + 100
