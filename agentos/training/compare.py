"""Whether one model is better than another on the same rows, or whether that could be chance. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from agentos.errors import Failed
from agentos.training.metrics import Array, ratio, resampled
from agentos.types.training import Interval, Versus

LEVEL = 0.05
FLIPS = 9999
_EXACT = 13
"""Rows up to which every way of flipping their signs is tried."""
_SEED = 19_470_618


def versus(mine: Path, other: Path, name: str) -> Versus | None:
    """Compares two files of predictions row by row; None where they have no rows in common to compare.

    Args:
        mine: The predictions of the model in question.
        other: Those of another one.
        name: The other's run.

    Raises:
        Failed: a file cannot be read.
    """
    one, two = _read(mine), _read(other)
    if ("loss" in one) != ("loss" in two):
        return None
    _rows, at_one, at_two = np.intersect1d(one["row"], two["row"], return_indices=True)
    if not len(at_one):
        return None
    one = {name: column[at_one] for name, column in one.items()}
    two = {name: column[at_two] for name, column in two.items()}
    return _losses(one, two, name) if "loss" in one else _accuracies(one, two, name)


def mcnemar(gained: int, lost: int) -> float:
    """The exact two-sided p of McNemar's test: of the rows that one model alone has right, each is a coin's throw.

    Args:
        gained: Rows that this model alone has right.
        lost: Rows that the other one alone has right.
    """
    if gained + lost == 0:
        return 1.0
    from scipy.special import bdtr  # type: ignore[import-untyped]  # scipy.stats takes seconds to import

    return min(1.0, 2 * float(bdtr(min(gained, lost), gained + lost, 0.5)))


def sign_flips(differences: Array, seed: int = _SEED) -> float:
    """The two-sided p of a paired permutation test of the rows' differences, whose signs are as good the other way.

    Few rows: all ways. Many: 9,999 ways drawn by the seed, where the observed one counts too, so that p is never 0.
    Signs come as bytes: each byte picks one of the 256 sums that the signs of eight rows can make.
    """
    values = differences[differences != 0].astype(np.float64)
    if not len(values):
        return 1.0
    least = abs(values.sum()) - 1e-9 * np.abs(values).sum()  # sums that are equal but for their rounding
    if len(values) <= _EXACT:
        return float((np.abs(_sums(values)) >= least).mean())
    draw = np.random.default_rng(seed)
    parts = np.pad(values, (0, -len(values) % 8)).reshape(-1, 8)
    totals = np.zeros(FLIPS)
    for part in parts:
        totals += _sums(part)[draw.integers(256, size=FLIPS, dtype=np.uint8)]
    return float((1 + (np.abs(totals) >= least).sum()) / (1 + FLIPS))


def _sums(values: Array) -> Array:
    """[2 ** rows] sums, one for each way to set the signs."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _accuracies(one: dict[str, Array], two: dict[str, Array], name: str) -> Versus:
    mine, others = one["label"] == one["predicted"], two["label"] == two["predicted"]
    gained, lost = int((mine & ~others).sum()), int((others & ~mine).sum())
    draws = resampled(np.array([gained, lost, len(mine) - gained - lost]), _SEED)
    low, high = np.percentile((draws[:, 0] - draws[:, 1]) / len(mine), [2.5, 97.5])
    difference = Interval((gained - lost) / len(mine), float(low), float(high))
    p = mcnemar(gained, lost)
    return Versus(name, difference, p, _verdict(p, gained > lost))


def _losses(one: dict[str, Array], two: dict[str, Array], name: str) -> Versus | None:
    known = np.isfinite(one["loss"]) & np.isfinite(two["loss"])
    tokens = two["tokens"][known].astype(np.float64)
    if not tokens.sum():
        return None
    less = one["loss"][known] - two["loss"][known]
    p = sign_flips(less)
    verdict = _verdict(p, bool(less.sum() < 0))
    if not known.all():
        verdict += f"; {int((~known).sum())} rows whose loss is no number are left out"
    if (one["tokens"] != two["tokens"]).any():
        verdict += "; the two cut texts differently, and the difference is per token of the other"
    return Versus(name, ratio(less, tokens, _SEED), p, verdict)


def _verdict(p: float, better: bool) -> str:
    if p >= LEVEL:
        return f"no difference that could not be chance (p = {p:.2g})"
    return "better" if better else "worse"


def _read(path: Path) -> dict[str, Any]:
    try:
        there = pq.read_schema(path).names
        names = ["row", "loss", "tokens"] if "loss" in there else ["row", "label", "predicted"]
        table = pq.read_table(path, columns=names)
        return {name: table[name].to_numpy() for name in names}
    except (OSError, KeyError, ValueError) as error:
        raise Failed(f"the predictions in {path.name!r} cannot be read: {error}") from error
