"""Which rows an update is made of, and how they are cut into batches: pure functions of seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def epoch_order(seed: int, epoch: int, count: int) -> list[int]:
    """The numbers below `count`, shuffled; the same for the same seed and epoch."""
    return [int(at) for at in np.random.default_rng([seed, epoch]).permutation(count)]


def updates(seed: int, epoch: int, count: int, rows: int) -> list[list[int]]:
    """One epoch's rows, cut into updates; the last one has what is left."""
    order = epoch_order(seed, epoch, count)
    return [order[start : start + rows] for start in range(0, count, rows)]


def cut(rows: Sequence[int], lengths: Sequence[int], most: int, padded: bool) -> Iterator[list[int]]:
    """Rows of like length together, the longest first.

    Args:
        rows: Numbers of rows.
        lengths: Tokens of each row there is.
        most: Tokens of a batch; a row that alone has more is a batch of its own.
        padded: Whether padding counts, because every row becomes as long as the longest.
    """
    batch: list[int] = []
    held = 0
    for row in sorted(rows, key=lambda row: (-lengths[row], row)):
        held = lengths[batch[0]] * (len(batch) + 1) if batch and padded else held + lengths[row]
        if batch and held > most:
            yield batch
            batch, held = [], lengths[row]
        batch.append(row)
    if batch:
        yield batch


def steps(count: int, rows: int, epochs: int) -> int:
    """Updates of a whole run."""
    return -(-count // rows) * epochs


def evaluations(per_epoch: int, updates_per_epoch: int) -> set[int]:
    """After which updates of an epoch the model is measured, counted from 1; the last one always is among them."""
    times = max(1, min(per_epoch, updates_per_epoch))
    return {round(updates_per_epoch * (at + 1) / times) for at in range(times)}
