"""The queue, the loop and real processes together; a second service on the same home is a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from agentos.errors import Failed, NotFound, UserError
from agentos.jobs.fifo import Fifo
from agentos.jobs.local import LocalExecutor
from agentos.jobs.ours import OURS
from agentos.jobs.scheduling import Node, Policy, Running, Start
from agentos.jobs.service import JobService
from agentos.jobs.waiting import Waiting
from agentos.secrets import Masker, Secrets
from agentos.store import Store
from agentos.types import Caller, JobCard, JobRequest

GIB = 2**30
Make = Callable[..., Awaitable[JobService]]


async def silent(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    pass


@pytest_asyncio.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Services on one home, each a system that starts; the one before is closed first."""
    made: list[tuple[JobService, Store]] = []

    async def one(cpus: int = 4, policy: Policy | None = None) -> JobService:
        if made:
            service, store = made[-1]
            await service.close()
            store.close()
        store = Store(tmp_path / "agentos.db")
        executor = LocalExecutor(tmp_path / "jobs", cpus=cpus, memory=8 * GIB, gpus=(0, 1))
        service = JobService(
            store, executor, policy or OURS, tmp_path / "jobs", vault=Secrets(store), masker=Masker
        )
        made.append((service, store))
        await service.open()
        return service

    yield one
    for service, store in made[-1:]:
        await service.close()
        store.close()


def who(folder: Path, user: str = "ada") -> Caller:
    return Caller(user, "operator", folder=str(folder))


async def submit(service: JobService, here: Path, command: str, **more: object) -> str:
    user = str(more.pop("user", "ada"))
    return (await service.submit(JobRequest(command, **more), who(here, user), "")).job  # type: ignore[arg-type]


async def ended(service: JobService, *jobs: str) -> list[JobCard]:
    return [await asyncio.wait_for(service.wait(job, silent), 60) for job in jobs]


def order(path: Path) -> list[str]:
    return path.read_text().split()


async def test_a_hundred_submissions_at_once_are_all_kept_and_all_run(make: Make, tmp_path: Path) -> None:
    service = await make(cpus=8)
    jobs = await asyncio.gather(*(submit(service, tmp_path, f"echo {n} >> out") for n in range(100)))
    assert sorted(map(int, jobs)) == list(range(1, 101))
    assert {card.state for card in await ended(service, *jobs)} == {"succeeded"}
    assert sorted(map(int, order(tmp_path / "out"))) == list(range(100))


async def test_no_more_runs_than_there_is_room_for(make: Make, tmp_path: Path) -> None:
    service = await make(cpus=2)
    count = "flock l sh -c 'n=$(($(cat n 2>/dev/null || echo 0) + {0})); echo $n > n; echo $n >> most'"
    command = f"{count.format(1)}; sleep 0.05; {count.format(-1)}"
    await ended(service, *[await submit(service, tmp_path, command) for _ in range(8)])
    assert max(map(int, order(tmp_path / "most"))) == 2


async def test_gpus_are_given_by_index_and_to_one_job_at_a_time(make: Make, tmp_path: Path) -> None:
    service = await make()
    one, two = [await submit(service, tmp_path, "echo $CUDA_VISIBLE_DEVICES; sleep 0.2", gpus=1) for _ in range(2)]
    both = await submit(service, tmp_path, "echo $CUDA_VISIBLE_DEVICES", gpus=2)
    none = await submit(service, tmp_path, 'echo "[$CUDA_VISIBLE_DEVICES]"')
    await ended(service, one, two, both, none)
    said = [(await service.logs(job, 5)).text.strip() for job in (one, two, both, none)]
    assert sorted(said[:2]) == ["0", "1"] and said[2:] == ["0,1", "[]"]


async def test_a_graph_runs_in_order_and_a_failure_fails_what_hangs_on_it(make: Make, tmp_path: Path) -> None:
    service = await make()
    first = await submit(service, tmp_path, "sleep 0.1; echo first >> out", name="first")
    second = await submit(service, tmp_path, "echo second >> out", after=(first,))
    bad = await submit(service, tmp_path, "exit 7", after=(second,), name="bad")
    never = await submit(service, tmp_path, "echo never >> out", after=(bad,))
    cards = await ended(service, first, second, bad, never)
    assert [card.state for card in cards] == ["succeeded", "succeeded", "failed", "failed"]
    assert order(tmp_path / "out") == ["first", "second"]
    assert cards[3].reason == f"job {bad} (bad) failed: exit code 7" and cards[3].attempts == []


async def test_a_job_is_tried_again_as_often_as_was_asked(make: Make, tmp_path: Path) -> None:
    service = await make()
    job = await submit(service, tmp_path, "echo x >> tries; test $(wc -l < tries) -ge 2", retries=1)
    (card,) = await ended(service, job)
    assert card.state == "succeeded" and [row.exit_code for row in card.attempts] == [1, 0]


async def test_the_time_limit_the_memory_limit_and_a_missing_folder_are_told_apart(
    make: Make, tmp_path: Path
) -> None:
    service = await make()
    slow = await submit(service, tmp_path, "sleep 60", time_limit="0.2s")
    big = await submit(service, tmp_path, "python3 -c 'x = bytearray(400 << 20); import time; time.sleep(60)'",
                       memory="64MiB")
    lost = await submit(service, tmp_path, "true", folder=str(tmp_path / "nowhere"))
    cards = await ended(service, slow, big, lost)
    assert [card.attempts[-1].outcome for card in cards] == ["timeout", "memory", "unstartable"]
    assert "memory" in cards[1].reason and "nowhere" in cards[2].reason


async def test_a_restart_takes_up_what_runs_and_starts_nothing_twice(make: Make, tmp_path: Path) -> None:
    service = await make(cpus=1)
    runs = await submit(service, tmp_path, "echo a >> out; while [ ! -e gate ]; do sleep 0.02; done; exit 0")
    waits = await submit(service, tmp_path, "echo b >> out")
    while not (tmp_path / "out").exists():
        await asyncio.sleep(0.01)
    service = await make(cpus=1)
    (tmp_path / "gate").touch()
    assert [card.state for card in await ended(service, runs, waits)] == ["succeeded", "succeeded"]
    assert order(tmp_path / "out") == ["a", "b"]


async def test_what_ended_while_no_system_ran_is_recorded_at_the_next_start(make: Make, tmp_path: Path) -> None:
    service = await make()
    job = await submit(service, tmp_path, "while [ ! -e gate ]; do sleep 0.02; done; touch gone; exit 5")
    while (await service.card(job)).pid is None:
        await asyncio.sleep(0.01)
    await service.close()
    (tmp_path / "gate").touch()
    while not (tmp_path / "gone").exists():
        await asyncio.sleep(0.01)
    service = await make()
    (card,) = await ended(service, job)
    assert card.state == "failed" and card.exit_code == 5 and len(card.attempts) == 1


async def test_a_job_cancelled_just_before_the_end_of_the_system_does_not_run_again(make: Make, tmp_path: Path) -> None:
    service = await make()
    job = await submit(service, tmp_path, "echo run >> out; sleep 60")
    while not (tmp_path / "out").exists():
        await asyncio.sleep(0.01)
    service.queue.cancel(job, "ada", 0.0)  # on disk, and no further
    service = await make()
    (card,) = await ended(service, job)
    assert card.state == "cancelled" and order(tmp_path / "out") == ["run"]


async def test_the_same_call_makes_one_job(make: Make, tmp_path: Path) -> None:
    service = await make()
    one, two = [await service.submit(JobRequest("true"), who(tmp_path), "r1.s1") for _ in range(2)]
    assert one.job == two.job


async def test_a_cancelled_job_that_waits_never_runs(make: Make, tmp_path: Path) -> None:
    service = await make(cpus=1)
    first = await submit(service, tmp_path, "sleep 0.2")
    second = await submit(service, tmp_path, "echo never >> out")
    assert (await service.cancel(second, "ada")).state == "cancelled"
    await ended(service, first)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="has succeeded already"):
        await service.cancel(first, "ada")


async def test_retry_runs_an_ended_job_again_and_those_that_failed_with_it(make: Make, tmp_path: Path) -> None:
    service = await make()
    first = await submit(service, tmp_path, "test -e ready")
    second = await submit(service, tmp_path, "echo ok >> out", after=(first,))
    await ended(service, second)
    (tmp_path / "ready").touch()
    assert (await service.retry(first, "ada")).job == first
    assert [card.state for card in await ended(service, first, second)] == ["succeeded", "succeeded"]
    assert len((await service.card(first)).attempts) == 2


async def test_what_could_never_run_is_refused_and_what_is_unreadable_too(make: Make, tmp_path: Path) -> None:
    service = await make()
    for request, why in (
        (JobRequest("true", cpus=5), "5 CPUs"), (JobRequest("true", gpus=3), "3 GPUs"),
        (JobRequest("true", memory="9GiB"), "bytes of memory"), (JobRequest("  "), "command is empty"),
        (JobRequest("true", at="yesterday"), "in the past"), (JobRequest("true", env=("x",)), "NAME=value"),
        (JobRequest("true", time_limit="soon"), "not a duration"), (JobRequest("true", cpus=-1), "CPUs"),
    ):
        with pytest.raises(UserError, match=why):
            await service.submit(request, who(tmp_path), "")
    with pytest.raises(NotFound, match="no job"):
        await service.submit(JobRequest("true", after=("77",)), who(tmp_path), "")
    with pytest.raises(NotFound, match="no secret"):
        await service.submit(JobRequest("true", secrets=("NOPE",)), who(tmp_path), "")
    assert (await service.listing("all")).jobs == []


async def test_a_disk_that_refuses_loses_nothing(make: Make, tmp_path: Path) -> None:
    service = await make()
    runs = await submit(service, tmp_path, "while [ ! -e gate ]; do sleep 0.02; done")
    page = service.queue._store.connection.execute("pragma page_count").fetchone()[0]
    service.queue._store.connection.execute(f"pragma max_page_count={page}")
    for _ in range(200):  # until the last free page is full
        try:
            await submit(service, tmp_path, "echo never", name="n" * 200)
        except Failed as error:
            assert "nothing was" in str(error)
            break
    else:
        raise AssertionError("the disk never refused")
    (tmp_path / "gate").touch()
    service.queue._store.connection.execute("pragma max_page_count=1000000")
    (card,) = await ended(service, runs)
    assert card.state == "succeeded"
    await ended(service, await submit(service, tmp_path, "true"))


async def test_a_job_that_cannot_be_started_for_a_while_is_not_given_up(make: Make, tmp_path: Path) -> None:
    service = await make()
    (tmp_path / "jobs").rename(tmp_path / "away")
    (tmp_path / "jobs").touch()
    job = await submit(service, tmp_path, "echo ran >> out")
    while len(service.queue.find.attempts(job)) < 3:
        await asyncio.sleep(0.01)
    (tmp_path / "jobs").unlink()
    (tmp_path / "away").rename(tmp_path / "jobs")
    (card,) = await ended(service, job)
    assert card.state == "succeeded" and order(tmp_path / "out") == ["ran"]


class Faulty(Fifo):
    """A policy with a bug, which shows once."""

    shows = False

    def decide(self, now: float, queue: Waiting, running: Sequence[Running], free: Sequence[Node]) -> list[Start]:
        if self.shows:
            self.shows = False
            raise ZeroDivisionError
        return super().decide(now, queue, running, free)


async def test_a_policy_with_a_bug_loses_no_end_and_keeps_nobody_waiting(make: Make, tmp_path: Path) -> None:
    policy = Faulty()
    service = await make(cpus=1, policy=policy)
    runs = await submit(service, tmp_path, "while [ ! -e gate ]; do sleep 0.02; done; exit 4")
    waits = await submit(service, tmp_path, "echo ran >> out")
    policy.shows = True
    with pytest.raises(Failed, match="nothing was submitted"):
        await submit(service, tmp_path, "true")
    policy.shows = True
    (tmp_path / "gate").touch()
    assert [card.exit_code for card in await ended(service, runs, waits)] == [4, 0]
    assert not policy.shows and order(tmp_path / "out") == ["ran"]


async def test_a_log_is_followed_over_tries_until_the_job_has_ended(make: Make, tmp_path: Path) -> None:
    service = await make()
    job = await submit(service, tmp_path, "echo try; test -e again || { touch again; exit 1; }", retries=1)
    told: list[str] = []
    await asyncio.wait_for(service.logs(job, 10, True, told.append), 60)
    assert "".join(told) == "try\ntry\n"


@pytest.mark.parametrize("policy", [OURS, Fifo()], ids=["ours", "fifo"])
async def test_users_all_get_their_turn(make: Make, tmp_path: Path, policy: Policy) -> None:
    service = await make(cpus=1, policy=policy)
    jobs = [await submit(service, tmp_path, "true", user=user) for user in ("ada", "ada", "ada", "bob")]
    assert {card.state for card in await ended(service, *jobs)} == {"succeeded"}


def names(rows: Sequence[object]) -> list[object]:
    return [getattr(row, "id", None) for row in rows]


async def test_listings_take_those_that_wait_for_queued(make: Make, tmp_path: Path) -> None:
    service = await make(cpus=1)
    runs = await submit(service, tmp_path, "while [ ! -e gate ]; do sleep 0.02; done", name="first")
    later = await submit(service, tmp_path, "true", at="in 1 hour")
    after = await submit(service, tmp_path, "true", after=("first",))
    assert names((await service.listing("queued")).jobs) == [after, later]
    assert names((await service.listing("running")).jobs) == [runs]
    rows = {row.id: row.reason for row in (await service.listing("all")).jobs}
    assert rows[after] == f"waits for job {runs}" and rows[later].startswith("starts in ")
    (tmp_path / "gate").touch()
    await ended(service, after)


async def test_a_preemptible_job_makes_room_and_goes_on_afterwards(make: Make, tmp_path: Path) -> None:
    service = await make(cpus=1)
    long = await submit(
        service, tmp_path, "echo run >> long; while [ ! -e gate ]; do sleep 0.02; done", preemptible=True
    )
    while not (tmp_path / "long").exists():
        await asyncio.sleep(0.01)
    urgent = await submit(service, tmp_path, "echo urgent >> out", priority="high")
    (card,) = await ended(service, urgent)
    assert card.state == "succeeded"
    (tmp_path / "gate").touch()
    (card,) = await ended(service, long)
    assert card.state == "succeeded" and [row.outcome for row in card.attempts] == ["preempted", "exited"]
    assert order(tmp_path / "long") == ["run", "run"]


async def test_a_job_that_is_not_preemptible_is_left_to_end(make: Make, tmp_path: Path) -> None:
    service = await make(cpus=1)
    long = await submit(service, tmp_path, "while [ ! -e gate ]; do sleep 0.02; done; echo long >> out")
    urgent = await submit(service, tmp_path, "echo urgent >> out", priority="high")
    while (await service.card(long)).pid is None:
        await asyncio.sleep(0.01)
    (tmp_path / "gate").touch()
    assert [len(card.attempts) for card in await ended(service, long, urgent)] == [1, 1]
    assert order(tmp_path / "out") == ["long", "urgent"]


async def test_a_preemptible_job_that_a_person_cancels_does_not_come_back(make: Make, tmp_path: Path) -> None:
    service = await make(cpus=1)
    job = await submit(service, tmp_path, "echo run >> out; sleep 60", preemptible=True)
    while not (tmp_path / "out").exists():
        await asyncio.sleep(0.01)
    await service.cancel(job, "ada")
    (card,) = await ended(service, job)
    assert card.state == "cancelled" and order(tmp_path / "out") == ["run"]
