"""Which rows an update has, and how they are cut."""

from __future__ import annotations

from agentos.training import batches


def test_an_epoch_reads_every_row_once_and_each_in_another_order() -> None:
    first, again, second = (batches.updates(7, epoch, [-1] * 101, 8) for epoch in (0, 0, 1))
    assert first == again != second
    for made in (first, second):
        assert sorted(row for update in made for row in update) == list(range(101))
        assert [len(update) for update in made] == [8] * 12 + [5]


def test_batches_hold_no_more_tokens_than_they_may_and_lose_no_row() -> None:
    lengths = [3, 9, 4, 4, 30, 1, 8]
    packed = list(batches.cut(range(7), lengths, 12, padded=False))
    padded = list(batches.cut(range(7), lengths, 12, padded=True))
    assert packed == [[4], [1], [6, 2], [3, 0, 5]]
    for made, size in ((packed, lambda b: sum(lengths[r] for r in b)), (padded, lambda b: len(b) * lengths[b[0]])):
        assert sorted(row for batch in made for row in batch) == list(range(7))
        assert all(size(batch) <= 12 or len(batch) == 1 for batch in made)


def test_the_last_update_of_an_epoch_is_always_followed_by_a_look() -> None:
    assert batches.evaluations(2, 7) == {4, 7}
    assert batches.evaluations(5, 2) == {1, 2}
    assert batches.evaluations(1, 9) == {9}
