"""Which rows an update is made of, and how they are cut into batches: pure functions of seed and epoch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np


def epoch_order(seed: int, epoch: int, count: int) -> list[int]:
    """The numbers below `count`, shuffled; the same for the same seed and epoch."""
    return [int(at) for at in np.random.default_rng([seed, epoch]).permutation(count)]


def updates(seed: int, epoch: int, behind: Sequence[int], rows: int) -> list[list[int]]:
    """One epoch's rows, cut into updates; the last one of each beginning has what is left.

    Args:
        seed: Of the run.
        epoch: Counted from 0.
        behind: Which beginning each row follows; rows of an update follow the same one.
        rows: Of an update.
    """
    order = epoch_order(seed, epoch, len(behind))
    if len(set(behind)) <= 1:
        return [order[start : start + rows] for start in range(0, len(order), rows)]
    together: dict[int, list[int]] = defaultdict(list)
    for row in order:
        together[behind[row]].append(row)
    made = [some[start : start + rows] for some in together.values() for start in range(0, len(some), rows)]
    return [made[at] for at in epoch_order(seed + 1, epoch, len(made))]


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


def steps(behind: Sequence[int], rows: int, epochs: int) -> int:
    """Updates of a whole run, of rows that follow those beginnings."""
    return sum(-(-count // rows) for count in Counter(behind).values()) * epochs


def evaluations(per_epoch: int, updates_per_epoch: int) -> set[int]:
    """After which updates of an epoch the model is measured, counted from 1; the last one always is among them."""
    times = max(1, min(per_epoch, updates_per_epoch))
    return {round(updates_per_epoch * (at + 1) / times) for at in range(times)}
