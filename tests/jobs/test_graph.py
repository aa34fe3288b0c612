"""Jobs submitted together may wait for one another, but not in a circle."""

import pytest

from agentos.errors import NotFound, UserError
from agentos.jobs.queue import Queue
from agentos.jobs.records import Spec
from agentos.store import Store


@pytest.fixture
def queue(tmp_path):
    store = Store(tmp_path / "agentos.db")
    yield Queue(store)
    store.close()


def spec(name: str, *after: str | int) -> Spec:
    return Spec("true", "ann", name=name, after=after)


def test_others_of_the_batch_are_named_or_numbered_in_any_order(queue):
    made = queue.submit([spec("c", "b", 2), spec("b", "a"), spec("a")], 1.0)
    assert [job.id for job in made] == ["1", "2", "3"]
    assert [job.spec.after for job in made] == [("2", "3"), ("3",), ()]


def test_a_name_means_the_one_beside_it_before_an_older_one(queue):
    queue.submit([spec("prep")], 1.0)
    assert queue.submit([spec("prep"), spec("train", "prep")], 1.0)[1].spec.after == ("2",)
    assert queue.submit([spec("train", "train")], 1.0)[0].spec.after == ("3",)


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ([("a", "b"), ("b", "c"), ("c", "a")], "'a' after 'b' after 'c' after 'a'|'b' after 'c'|'c' after 'a'"),
        ([("a", "a")], "'a' after 'a'"), ([("a", 0)], "'a' after 'a'"), ([("a", 1)], "position 1 of 1"),
        ([("a", -1)], "position -1"), ([("a",), ("a",), ("b", "a")], "several are called so"),
    ],
)
def test_a_circle_or_an_unclear_name_is_refused_and_nothing_kept(queue, specs, said):
    with pytest.raises(UserError, match=said):
        queue.submit([spec(*one) for one in specs], 1.0)
    assert queue.find.listing() == []


def test_an_unknown_job_is_refused_with_what_is_near(queue):
    queue.submit([spec("prepare")], 1.0)
    with pytest.raises(NotFound, match=r"Did you mean 'prepare' \(1\)"):
        queue.submit([spec("x"), spec("y", "prepar")], 1.0)
    assert len(queue.find.listing()) == 1


def test_a_chain_of_thousands_fails_in_one_step(queue):
    queue.submit([spec("", *([at - 1] if at else [])) for at in range(3000)], 1.0)
    assert len(queue.cancel("1", "ann", 1.0).failed) == 2999
    assert len(queue.retry("1", 1.0).revived) == 2999
