"""Two models on the same rows."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentos.training.compare import FLIPS, mcnemar, sign_flips, versus
from agentos.types.training import Versus


def right(path: Path, said: Any, rows: list[int] | None = None) -> Path:
    """Predictions of a classifier that is right where `said` is true."""
    made = [int(one) for one in said]
    at = list(range(len(made))) if rows is None else rows
    pq.write_table(pa.table({"row": at, "label": [1] * len(made), "predicted": made}), path)
    return path


def losses(path: Path, said: Any, tokens: int = 1) -> Path:
    made = [float(one) for one in said]
    columns = {"row": list(range(len(made))), "loss": made, "tokens": [tokens] * len(made)}
    pq.write_table(pa.table(columns), path)
    return path


def told(one: Path, two: Path) -> Versus:
    made = versus(one, two, "r0")
    assert made is not None
    return made


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 1), (3, 3), (2, 8), (10, 0)])
def test_mcnemar_counts_every_way_that_coins_can_fall(gained: int, lost: int) -> None:
    total = gained + lost
    ways = [sum(way) for way in itertools.product((0, 1), repeat=total)]
    extreme = sum(abs(2 * heads - total) >= abs(gained - lost) for heads in ways)
    assert mcnemar(gained, lost) == pytest.approx(extreme / len(ways))


def test_few_rows_have_their_signs_flipped_in_every_way() -> None:
    values = np.array([0.3, -0.1, 0.7, 0.2, 0.0, 0.4, 0.2])
    sums = [abs(sum(s * v for s, v in zip(way, values, strict=True))) for way in itertools.product((1, -1), repeat=7)]
    assert sign_flips(values) == sum(one >= abs(values.sum()) - 1e-12 for one in sums) / len(sums)


def test_drawn_flips_come_near_to_all_flips() -> None:
    values = np.random.default_rng(0).normal(0.35, 1, 17)
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=17)))
    exact = float((np.abs(signs @ values) >= abs(values.sum()) - 1e-9).mean())
    assert 0.02 < exact < 0.9
    assert sign_flips(values) == pytest.approx(exact, abs=3.5 * math.sqrt(exact * (1 - exact) / FLIPS))


def test_drawn_flips_are_the_same_for_the_same_seed_and_never_give_nothing() -> None:
    values = np.random.default_rng(1).normal(0.1, 1, 200)
    assert sign_flips(values, 3) == sign_flips(values, 3) != sign_flips(values, 4)
    assert sign_flips(np.ones(50)) == 1 / (1 + FLIPS)
    assert sign_flips(np.zeros(50)) == 1.0


def test_equal_models_are_told_apart_5_times_in_100(tmp_path: Path) -> None:
    draw = np.random.default_rng(6)
    flips = [sign_flips(draw.exponential(size=40) - draw.exponential(size=40)) < 0.05 for _ in range(600)]
    assert 0.03 <= np.mean(flips) <= 0.075
    found = 0
    for _ in range(600):
        one, two = draw.random(500) < 0.8, draw.random(500) < 0.8
        found += mcnemar(int((one & ~two).sum()), int((two & ~one).sum())) < 0.05
    assert 0.015 <= found / 600 <= 0.06  # exact, and so on the safe side


def test_a_better_classifier_is_called_better_and_the_other_worse(tmp_path: Path) -> None:
    draw = np.random.default_rng(7)
    two = draw.random(1000) < 0.80
    one = two | (draw.random(1000) < 0.2)
    mine, other = right(tmp_path / "1.parquet", one), right(tmp_path / "2.parquet", two)
    made = told(mine, other)
    assert (made.other, made.verdict) == ("r0", "better")
    assert made.difference.value == pytest.approx(one.mean() - two.mean())
    assert 0 < made.difference.low < made.difference.value < made.difference.high
    assert made.p < 1e-4
    assert told(other, mine).verdict == "worse"
    assert told(other, mine).difference.value == -made.difference.value


def test_equal_predictions_are_no_difference(tmp_path: Path) -> None:
    mine = right(tmp_path / "1.parquet", [1, 0, 1, 1])
    made = told(mine, mine)
    assert made.verdict == "no difference that could not be chance (p = 1)"
    assert (made.difference.low, made.difference.value, made.difference.high) == (0, 0, 0)


def test_few_rows_are_not_enough_for_a_verdict(tmp_path: Path) -> None:
    made = told(right(tmp_path / "1.parquet", [1] * 5), right(tmp_path / "2.parquet", [0] * 5))
    assert made.difference.value == 1.0
    assert made.verdict == "no difference that could not be chance (p = 0.062)"


def test_rows_are_joined_by_their_numbers_and_not_by_their_order(tmp_path: Path) -> None:
    said = [True, False] * 20
    mine = right(tmp_path / "1.parquet", said)
    other = right(tmp_path / "2.parquet", said[::-1], list(range(40))[::-1])
    assert told(mine, other).p == 1.0 and told(mine, other).difference.value == 0.0
    part = right(tmp_path / "3.parquet", [False] * 10, list(range(0, 20, 2)))
    assert told(mine, part).difference.value == 1.0


def test_no_common_rows_or_other_figures_cannot_be_compared(tmp_path: Path) -> None:
    mine = right(tmp_path / "1.parquet", [1, 1])
    assert versus(mine, right(tmp_path / "2.parquet", [1, 1], [7, 8]), "r0") is None
    assert versus(mine, losses(tmp_path / "3.parquet", [1.0, 1.0]), "r0") is None
    assert versus(losses(tmp_path / "4.parquet", [math.nan]), losses(tmp_path / "5.parquet", [1.0]), "r0") is None


def test_a_lower_loss_is_better(tmp_path: Path) -> None:
    draw = np.random.default_rng(8)
    base = draw.exponential(size=300)
    mine = losses(tmp_path / "1.parquet", base + draw.normal(-0.1, 0.3, 300), tokens=4)
    made = told(mine, losses(tmp_path / "2.parquet", base, tokens=4))
    assert made.verdict == "better"
    assert made.difference.high < 0
    assert made.difference.value == pytest.approx(-0.025, abs=0.01)  # per token
    assert told(tmp_path / "2.parquet", mine).verdict == "worse"


def test_pairing_finds_what_unpaired_losses_would_hide(tmp_path: Path) -> None:
    draw = np.random.default_rng(9)
    base = draw.exponential(5, size=200)
    made = told(losses(tmp_path / "1.parquet", base - 0.02), losses(tmp_path / "2.parquet", base))
    assert made.verdict == "better"


def test_rows_without_a_loss_and_other_tokens_are_told(tmp_path: Path) -> None:
    mine = losses(tmp_path / "1.parquet", [1.0, math.inf, 1.0], tokens=2)
    made = told(mine, losses(tmp_path / "2.parquet", [1.0, 1.0, 1.0], tokens=3))
    assert "1 rows whose loss is no number are left out" in made.verdict
    assert "cut texts differently" in made.verdict
