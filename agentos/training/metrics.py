"""How good a model is, from what it said of each row. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agentos.errors import Failed
from agentos.types.training import Interval, Metrics

Array = np.ndarray[Any, Any]
RESAMPLES = 2000
BINS = 15
GROUPS = 2048
"""Parts that are resampled, at most; more rows than that are put together at random into so many."""
_CHUNKS = 20
_SEED = 20_170_613
_LEAST = 1e-30
"""Probabilities are held to be no smaller, as while a model is trained."""
_MOST = 700.0
"""e to a greater loss is no number any more."""


def metrics_of(path: Path, labels: Sequence[str], seconds: float = 0.0, note: str = "") -> Metrics:
    """The metrics of a file of predictions.

    Args:
        path: Parquet with `row`, `label`, `predicted`, `probabilities` of a classifier, or `row`, `loss` (a row's sum),
            `tokens` of a model that writes.
        labels: Names of a classifier's labels, by their numbers.
        seconds: What asking the model took.
        note: Which rows were asked, where not all were.

    Raises:
        Failed: the file cannot be read.
    """
    try:
        table = pq.read_table(path)
        if "loss" in table.column_names:
            loss, tokens = (table[name].to_numpy().astype(np.float64) for name in ("loss", "tokens"))
            return replace(of_tokens(loss, tokens), seconds=seconds, note=note)
        true, said = (table[name].to_numpy().astype(np.int64) for name in ("label", "predicted"))
        flat = table["probabilities"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        chances = flat.astype(np.float64).reshape(len(true), -1) if len(true) else np.zeros((0, max(1, len(labels))))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise Failed(f"the predictions in {path.name!r} cannot be read: {error}") from error
    return replace(of_labels(true, said, chances, labels), seconds=seconds, note=note)


def of_labels(true: Array, said: Array, chances: Array, labels: Sequence[str]) -> Metrics:
    """Of a classifier: [rows] true and predicted numbers of labels, [rows, labels] probabilities."""
    count = max(len(labels), chances.shape[1], int(true.max(initial=-1)) + 1, int(said.max(initial=-1)) + 1)
    names = tuple(str(label) for label in labels) + tuple(str(at) for at in range(len(labels), count))
    if not len(true):
        return Metrics(0, labels=names)
    cells, at = np.unique(true * count + said, return_inverse=True)
    seen = np.bincount(at)
    loss = float(-np.log(np.maximum(chances[np.arange(len(true)), true], _LEAST)).mean())
    drawn = [_scores(some, cells, count) for some in np.array_split(resampled(seen), _CHUNKS)]
    accuracy, macro_f1 = _scores(seen[None], cells, count)
    table = np.zeros(count * count, dtype=np.int64)
    table[cells] = seen
    return Metrics(
        rows=len(true), accuracy=_interval(accuracy[0], np.concatenate([one for one, _two in drawn])),
        macro_f1=_interval(macro_f1[0], np.concatenate([two for _one, two in drawn])),
        calibration_error=_finite(calibration_error(chances.max(1), said == true)), labels=names,
        confusion=tuple(tuple(row) for row in table.reshape(count, count).tolist()), loss=_finite(loss),
    )


def of_tokens(loss: Array, tokens: Array) -> Metrics:
    """Of a model that writes: [rows] sums of losses, and how many tokens they are of."""
    count = int(tokens.sum())
    if not count:
        return Metrics(len(loss))
    mean = float(loss.sum() / count)
    return Metrics(
        rows=len(loss), loss=_finite(mean), perplexity=perplexity(loss, tokens) if math.isfinite(mean) else None,
        tokens=count,
    )


def perplexity(loss: Array, tokens: Array) -> Interval:
    """What e to the mean loss of a token is, and its interval over rows."""
    mean = ratio(loss, tokens)
    value, low, high = (math.exp(min(figure, _MOST)) for figure in (mean.value, mean.low, mean.high))
    return Interval(value, low, high)


def calibration_error(confidence: Array, right: Array) -> float:
    """Expected calibration error over 15 bins of equal width, each open below (Guo et al. 2017, equation 3).

    Args:
        confidence: [rows], the probability of the label that was predicted.
        right: [rows], whether it was the true one.
    """
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=right.astype(np.float64) - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def resampled(counts: Array, seed: int = _SEED) -> Array:
    """[2000, kinds] counts of each kind of row, each as if all rows had been drawn anew with replacement.

    What is made of the rows depends on these counts alone, and counts of rows drawn so are multinomial: a draw takes
    as long for 100,000 rows as for 100.
    """
    total = int(counts.sum())
    return np.random.default_rng(seed).multinomial(total, counts / total, size=RESAMPLES)


def ratio(above: Array, below: Array, seed: int = _SEED) -> Interval:
    """The sum of one figure of the rows over the sum of another, and its bootstrap interval.

    More than 2,048 rows are first put together at random into 2,048 groups of equal size, whose sums are resampled:
    the ratio's spread is the same, and its cost no longer grows with the rows.
    """
    draw = np.random.default_rng(seed)
    value = float(above.sum() / below.sum())
    if len(above) > GROUPS:
        order = draw.permutation(len(above))
        starts = np.linspace(0, len(order), GROUPS, endpoint=False).astype(np.int64)
        above, below = np.add.reduceat(above[order], starts), np.add.reduceat(below[order], starts)
    sums = np.empty((RESAMPLES, 2))
    pairs = np.stack([above, below], axis=1).astype(np.float64)
    for start in range(0, RESAMPLES, 100):
        rows = draw.integers(len(pairs), size=(min(100, RESAMPLES - start), len(pairs)))
        sums[start : start + len(rows)] = pairs[rows].sum(axis=1)
    sums = sums[sums[:, 1] > 0]
    return _interval(value, sums[:, 0] / sums[:, 1])


def _interval(value: float, resamples: Array) -> Interval:
    """The middle 95% of the resamples, and the figure itself: few rows of a label pull F1's resamples to one side."""
    low, high = np.percentile(resamples, [2.5, 97.5])
    return Interval(float(value), min(float(low), float(value)), max(float(high), float(value)))


def _scores(counts: Array, cells: Array, count: int) -> tuple[Array, Array]:
    """[tables] accuracies and macro F1, of [tables, cells] counts; `cells` says where each stands in a full table.

    F1 is the mean over labels that some row has or was given: one that is in neither says nothing.
    """
    true, said = np.divmod(cells, count)
    hits, both = np.zeros((len(counts), count)), np.zeros((len(counts), count))
    hits[:, true[true == said]] = counts[:, true == said]
    for numbers in (true, said):
        order = np.argsort(numbers, kind="stable")
        there, starts = np.unique(numbers[order], return_index=True)
        both[:, there] += np.add.reduceat(counts[:, order], starts, axis=1)
    f1 = (2 * hits / np.maximum(both, 1)).sum(axis=1) / (both > 0).sum(axis=1)
    return hits.sum(axis=1) / counts.sum(axis=1), f1


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
