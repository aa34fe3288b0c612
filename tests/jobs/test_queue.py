"""The queue's promises, each on a real database."""

import sqlite3

import pytest

from agentos.errors import Failed, NotFound, UserError
from agentos.jobs.executor import Ended, Reason
from agentos.jobs.queue import Queue
from agentos.jobs.records import GONE, Spec
from agentos.jobs.retries import MOST_LOST
from agentos.store import Store

NOW = 1_780_000_000.0


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "agentos.db")
    yield opened
    opened.close()


@pytest.fixture
def queue(store):
    return Queue(store)


def spec(name="job", **more) -> Spec:
    return Spec(f"echo {name}", "ann", name=name, **more)


def ended(attempt: str, reason: Reason = "exited", code: int | None = 0, **more) -> Ended:
    return Ended(attempt, reason, code if reason == "exited" else None, 9 if reason == "signal" else None, 1 << 20,
                 NOW, NOW + 5, more.get("detail", ""))


def claim(queue: Queue, job: str, now=NOW) -> str:
    attempt = queue.claim(job, node="local", gpus=(0, 2), owner="me", until=now + 30, now=now)
    assert attempt is not None
    return attempt


def run(queue: Queue, job: str, *how, **more):
    return queue.finish(ended(claim(queue, job), *how, **more), NOW + 5)


def states(queue: Queue) -> dict[str, str]:
    return {job.spec.name: job.state for job in queue.find.listing()}


def reopened(store: Store) -> Queue:
    return Queue(Store(store.path))


def test_what_was_submitted_is_all_there_after_a_restart(store, queue):
    full = Spec(
        "python train.py", "ann", "/data", "训练", {"A": "ä"}, ("TOKEN",), 4, 2, 1 << 33, "high", 60.0, 3, 1.5,
        "training", {"rows": [1, 2]}, "s1", "r1", "c1", (), NOW + 60,
    )
    (job,) = queue.submit([full], NOW)
    assert job.spec == full and job.id == "1" and job.state == "waiting" and job.wake == NOW + 60
    assert reopened(store).find.get("1") == job


def test_what_is_committed_is_on_disk(store):
    assert store.connection.execute("pragma journal_mode").fetchone() == ("wal",)
    assert store.connection.execute("pragma synchronous").fetchone() == (2,)


def test_what_a_person_wrote_is_sealed_and_what_no_key_opens_runs_as_an_error(store, queue):
    queue.submit([Spec("deploy --token hunter2", "ann", env={"WHO": "zhang.san@example.com"})], NOW)
    stored = " ".join(map(str, store.connection.execute("select command, env from jobs").fetchone()))
    assert "hunter2" not in stored and "zhang" not in stored
    (kept,) = reopened(store).find.listing()
    assert kept.spec.command == "deploy --token hunter2" and kept.spec.env == {"WHO": "zhang.san@example.com"}
    folder = store.path.parent
    (folder / "secrets.key").unlink()
    with pytest.raises(Failed, match="is missing"):
        reopened(store)
    with pytest.raises(Failed, match="is missing"):
        queue.submit([spec()], NOW)  # a disk is not said to be full
    (folder / "secrets.key.id").unlink()
    after = reopened(store)
    (gone,) = after.find.listing()
    assert gone.spec.command == GONE and gone.spec.env == {}
    after.submit([spec("new")], NOW)
    assert sorted(job.spec.command for job in reopened(store).find.listing()) == [GONE, "echo new"]


def test_ids_ascend_and_are_short(queue):
    assert [job.id for job in queue.submit([spec(), spec(), spec()], NOW)] == ["1", "2", "3"]
    assert queue.submit([spec()], NOW)[0].id == "4"


def test_the_same_call_makes_one_job_for_one_user(queue):
    (first,) = queue.submit([spec("a", call="c1")], NOW)
    again, other, twin = queue.submit([spec("b", call="c1"), spec("c", call="c2"), spec("c", call="c2")], NOW)
    assert again == first and twin == other and other.id == "2"
    (foreign,) = queue.submit([Spec("echo", "bob", call="c1")], NOW)
    assert foreign.id == "3"


def test_a_job_is_claimed_once(queue):
    queue.submit([spec()], NOW)
    assert claim(queue, "1") == "1.1"
    assert queue.claim("1", node="local", gpus=(), owner="me", until=NOW, now=NOW) is None
    assert queue.claim("7", node="local", gpus=(), owner="me", until=NOW, now=NOW) is None
    ((job, attempt),) = queue.find.running()
    assert (job.id, attempt.id, attempt.gpus, attempt.owner) == ("1", "1.1", (0, 2), "me")


def test_submission_and_claim_can_be_one_transaction(store, queue):
    with queue.transaction():
        (job,) = queue.submit([spec()], NOW)
        claim(queue, job.id)
        assert sqlite3.connect(store.path).execute("select count(*) from jobs").fetchone() == (0,)
    assert reopened(store).find.get("1").state == "running"


def test_a_bad_submission_in_a_shared_transaction_leaves_the_others(queue):
    with queue.transaction():
        queue.submit([spec("a")], NOW)
        with pytest.raises(NotFound):
            queue.submit([spec("b"), spec("c", after=("nothing",))], NOW)
        queue.submit([spec("d")], NOW)
    assert states(queue) == {"a": "queued", "d": "queued"}


def test_many_callers_share_one_write_and_none_spoils_it_for_another(store, queue):
    queue.submit([spec("old")], NOW)
    answers = queue.submit_each(
        [[spec("a", call="c1"), spec("b")], [spec("bad", cpus=-1)], [spec("c", after=("old",))],
         [spec("d", after=("a",))], [spec("twin", call="c1")], []], NOW,
    )
    assert [answer if isinstance(answer, UserError) else [job.spec.name for job in answer] for answer in answers] == [
        ["a", "b"], answers[1], ["c"], answers[3], ["a"], [],
    ]
    assert isinstance(answers[1], UserError) and isinstance(answers[3], NotFound)
    assert sorted(states(reopened(store))) == ["a", "b", "c", "old"]


def test_an_end_is_recorded_once_and_never_changes(store, queue):
    queue.submit([spec()], NOW)
    change = run(queue, "1")
    assert change.recorded and change.job.state == "succeeded" and change.job.runtime == 5.0
    second = queue.finish(ended("1.1", "signal"), NOW + 9)
    assert not second.recorded and second.job == change.job
    (attempt,) = queue.find.attempts("1")
    assert (attempt.outcome, attempt.exit_code, attempt.peak_memory) == ("exited", 0, 1 << 20)
    for sql in ("update job_attempts set exit_code = 1", "delete from job_attempts"):
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            store.connection.execute(sql)
    with pytest.raises(NotFound, match=r"1\.2"):
        queue.finish(ended("1.2"), NOW)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (("exited", 3), "exit code 3"), (("signal",), "ended by SIGKILL"), (("timeout",), "time limit after 5.0 s"),
        (("memory",), "out of memory (it had 1.0 MiB)"), (("unstartable",), "could not start"),
    ],
)
def test_a_failure_says_why_and_uses_up_retries(queue, how, said):
    queue.submit([spec(retries=1, backoff=4.0)], NOW)
    first = run(queue, "1", *how)
    assert first.job.state == "waiting" and said in first.job.reason
    assert queue.next_due() == first.job.wake and NOW + 5 + 3 <= first.job.wake <= NOW + 5 + 5
    assert queue.due(first.job.wake - 0.01) == []
    (again,) = queue.due(first.job.wake)
    assert again.state == "queued" and again.ready == first.job.wake and queue.next_due() is None
    last = run(queue, "1", *how)
    assert last.job.state == "failed" and said in last.job.reason and last.job.attempts == 2


def test_the_wait_doubles_differs_between_jobs_and_is_the_same_each_time(tmp_path):
    waits = []
    for folder in ("a", "b"):
        queue = Queue(Store(tmp_path / f"{folder}.db"))
        queue.submit([spec("x", retries=5, backoff=8.0), spec("y", retries=5, backoff=8.0)], NOW)
        for _ in range(4):
            for job in ("1", "2"):
                waits.append(run(queue, job, "exited", 1).job.wake - NOW - 5)
            queue.due(NOW + 1e6)
    assert waits[:8] == waits[8:]
    for tries in range(4):
        pair = waits[2 * tries : 2 * tries + 2]
        assert pair[0] != pair[1] and all(0.75 <= wait / (8 * 2**tries) <= 1.25 for wait in pair)


def test_a_lost_job_is_ready_at_once_keeps_its_place_and_its_retries(queue):
    queue.submit([spec(retries=1)], NOW)
    for _ in range(MOST_LOST - 1):
        change = run(queue, "1", "lost")
        assert change.queued == (change.job,) and change.job.ready == NOW and change.job.failures == 0
    change = run(queue, "1", "lost")
    assert change.job.state == "failed" and f"lost {MOST_LOST} times" in change.job.reason


def test_leases_are_renewed_expire_and_change_hands(store, queue):
    queue.submit([spec(), spec(), spec()], NOW)
    claim(queue, "1")
    claim(queue, "2", NOW + 1)
    assert queue.expired(NOW + 29) == [] and queue.expired(NOW + 31) == ["1.1", "2.1"]
    assert queue.renew("me", NOW + 60) == 2 and queue.renew("another", NOW) == 0
    assert queue.expired(NOW + 31) == []
    after = reopened(store)
    assert after.take("1.1", "next", NOW + 90) and after.renew("next", NOW + 99) == 1
    queue.finish(ended("1.1"), NOW)
    assert not after.take("1.1", "next", NOW + 90)
    assert queue.expired(NOW + 1000) == ["2.1"]


def test_a_success_readies_those_that_wait_for_nothing_more(queue):
    queue.submit([spec("a"), spec("b"), spec("c", after=("a", 1)), spec("d", after=("a",), not_before=NOW + 60)], NOW)
    assert states(queue) == {"a": "queued", "b": "queued", "c": "waiting", "d": "waiting"}
    assert queue.find.get("c").spec.after == ("1", "2")
    assert queue.next_due() is None
    assert run(queue, "1").queued == ()
    assert queue.next_due() == NOW + 60
    assert [job.spec.name for job in run(queue, "2").queued] == ["c"]
    assert [job.spec.name for job in queue.due(NOW + 60)] == ["d"]


def test_a_failure_fails_all_that_hang_on_it_and_says_which_job_it_was(queue):
    queue.submit([spec("a"), spec("b", after=("a",)), spec("c", after=("b",)), spec("other")], NOW)
    change = run(queue, "1", "exited", 1)
    assert [(job.id, job.state, job.blame) for job in change.failed] == [("2", "failed", "1"), ("3", "failed", "1")]
    assert {job.reason for job in change.failed} == {"job 1 (a) failed: exit code 1"}
    (late,) = queue.submit([spec("late", after=("c",))], NOW)
    assert late.state == "failed" and late.reason == "job 1 (a) failed: exit code 1" and late.blame == "1"
    assert queue.find.get("other").state == "queued"


def test_a_retry_revives_what_failed_with_it(queue):
    queue.submit([spec("a"), spec("b", after=("a",)), spec("c", after=("b",))], NOW)
    run(queue, "1", "exited", 1)
    with pytest.raises(UserError, match=r"job 1 \(a\) failed.*Retry job 1"):
        queue.retry("c", NOW)
    change = queue.retry("a", NOW + 9)
    assert [job.id for job in change.queued] == ["1"] and [job.id for job in change.revived] == ["2", "3"]
    assert run(queue, "1").queued[0].id == "2"
    assert queue.find.get("a").attempts == 2 and queue.find.attempts("1")[0].exit_code == 1


def test_what_hangs_on_two_failures_is_revived_by_the_second_retry(queue):
    queue.submit([spec("a"), spec("b"), spec("c", after=("a", "b")), spec("d", after=("c",))], NOW)
    run(queue, "1", "exited", 1)
    run(queue, "2", "exited", 2)
    assert queue.retry("a", NOW).revived == ()
    assert queue.find.get("d").reason == "job 2 (b) failed: exit code 2"
    assert [job.id for job in queue.retry("b", NOW).revived] == ["3", "4"]
    run(queue, "1")
    assert [job.id for job in run(queue, "2").queued] == ["3"]


def test_a_success_once_had_counts_when_the_job_is_run_again(queue):
    queue.submit([spec("a"), spec("b"), spec("c", after=("a", "b"))], NOW)
    run(queue, "1")
    queue.retry("a", NOW)
    assert run(queue, "1", "exited", 1).failed == ()
    assert [job.id for job in run(queue, "2").queued] == ["3"]


def test_cancelling_ends_what_waits_and_marks_what_runs(store, queue):
    queue.submit([spec("a", retries=3), spec("b", after=("a",)), spec("c", after=("b",))], NOW)
    change = queue.cancel("b", "bob", NOW)
    assert change.job.state == "cancelled" and change.failed[0].reason == "job 2 (b) was cancelled by bob"
    assert not queue.cancel("b", "bob", NOW).recorded
    claim(queue, "1")
    assert queue.cancel("a", "bob", NOW).job.state == "running"
    assert reopened(store).find.get("a").cancelled_by == "bob"
    change = queue.finish(ended("1.1", "lost"), NOW)
    assert change.job.state == "cancelled" and change.job.reason == "cancelled by bob"
    assert queue.retry("a", NOW).job.cancelled_by is None
    run(queue, "1")
    with pytest.raises(UserError, match="succeeded already"):
        queue.cancel("a", "bob", NOW)
    assert queue.retry("b", NOW).queued[0].id == "2"


def test_only_what_has_ended_is_retried(queue):
    queue.submit([spec("a")], NOW)
    with pytest.raises(UserError, match="has not ended"):
        queue.retry("a", NOW)


def test_a_job_is_found_by_id_or_by_a_name_that_only_it_has(queue):
    with pytest.raises(NotFound, match="none has been submitted"):
        queue.find.get("1")
    queue.submit([spec("train"), spec("eval"), spec("eval")], NOW)
    assert queue.find.get("train").id == queue.find.get(" 1 ").id == "1"
    with pytest.raises(UserError, match=r"several jobs.*3, 2"):
        queue.find.get("eval")
    with pytest.raises(NotFound, match=r"Did you mean 'train' \(1\)"):
        queue.find.get("trian")
    for said in ("9", "9" * 40, "", "x; drop table jobs"):
        with pytest.raises(NotFound, match=r"newest are 3 \(eval\)"):
            queue.find.get(said)


def test_listings_are_newest_first_and_come_in_pages(queue):
    queue.submit([spec(f"j{at}", not_before=NOW + at if at % 2 else None) for at in range(6)], NOW)
    queue.submit([Spec("echo", "bob")], NOW)
    run(queue, "1")
    listed = queue.find.listing
    assert [job.id for job in listed(limit=3)] == ["7", "6", "5"]
    assert [job.id for job in listed(limit=3, before="5")] == ["4", "3", "2"]
    assert [job.id for job in listed("queued", "ann")] == ["6", "5", "4", "3", "2"]
    assert [job.id for job in listed("waiting")] == ["6", "4", "2"]
    assert [job.id for job in listed("succeeded")] == ["1"]
    assert queue.find.counts() == {"queued": 3, "succeeded": 1, "waiting": 3}
    assert queue.find.counts("bob") == {"queued": 1}


def test_history_is_what_succeeded_in_the_order_of_its_end(queue):
    queue.submit([spec("a"), spec("b"), spec("c")], NOW)
    run(queue, "1", "exited", 1)
    for job, at in (("2", 90), ("3", 10)):
        queue.finish(Ended(claim(queue, job), "exited", 0, None, None, NOW, NOW + at, ""), NOW + at)
    assert [(job.id, job.runtime) for job in queue.find.history()] == [("3", 10.0), ("2", 90.0)]


def test_progress_is_kept_while_a_job_runs(queue):
    queue.submit([spec(retries=1)], NOW)
    assert not queue.progress("1", 1, 10)
    claim(queue, "1")
    assert queue.progress("1", 1, 10, "epoch 1")
    assert (queue.find.get("1").done, queue.find.get("1").message) == (1.0, "epoch 1")
    queue.finish(ended("1.1", "lost"), NOW)
    claim(queue, "1")
    assert queue.find.get("1").done is None
