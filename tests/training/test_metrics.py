"""Figures from what a model said of each row."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentos.errors import Failed
from agentos.training import metrics
from agentos.training.metrics import metrics_of

LABELS = ("bad", "fair", "good")


def labelled(path: Path, true: list[int], chances: list[list[float]]) -> Path:
    said = [int(np.argmax(row)) for row in chances]
    columns: dict[str, list[Any]] = {"row": list(range(len(true))), "label": true, "predicted": said}
    kinds = pa.list_(pa.float64())
    pq.write_table(pa.table({**columns, "probabilities": pa.array(chances, kinds)}), path)
    return path


def written(path: Path, loss: list[float], tokens: list[int]) -> Path:
    pq.write_table(pa.table({"row": list(range(len(loss))), "loss": loss, "tokens": tokens}), path)
    return path


def random_rows(count: int, labels: int, seed: int = 0) -> tuple[Any, Any, Any]:
    draw = np.random.default_rng(seed)
    true = draw.integers(labels, size=count)
    chances = draw.dirichlet(np.ones(labels), count)
    chances[np.arange(count), true] += draw.random(count)
    chances /= chances.sum(1, keepdims=True)
    return true, chances.argmax(1), chances


def f1_by_hand(true: Any, said: Any) -> float:
    scores = []
    for label in sorted({*true.tolist(), *said.tolist()}):
        hit = sum(1 for a, b in zip(true, said, strict=True) if a == b == label)
        scores.append(2 * hit / (int((true == label).sum()) + int((said == label).sum())))
    return float(np.mean(scores))


def test_figures_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    chances = [[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]
    told = metrics_of(labelled(tmp_path / "p.parquet", [0, 1, 2, 2], chances), LABELS, seconds=2.0, note="four")
    assert told.rows == 4
    assert told.accuracy is not None and told.accuracy.value == 0.75
    assert told.macro_f1 is not None and told.macro_f1.value == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)
    assert told.confusion == ((1, 0, 0), (0, 1, 0), (1, 0, 1))
    assert told.loss == pytest.approx(-(math.log(0.7) + math.log(0.6) + math.log(0.2) + math.log(0.8)) / 4)
    assert told.calibration_error == pytest.approx((0.3 + 0.4 + 0.5 + 0.2) / 4)
    assert (told.labels, told.seconds, told.note, told.perplexity) == (LABELS, 2.0, "four", None)


def test_rows_of_the_confusion_matrix_are_true_labels(tmp_path: Path) -> None:
    told = metrics_of(labelled(tmp_path / "p.parquet", [0, 0], [[0.9, 0.1], [0.2, 0.8]]), ("no", "yes"))
    assert told.confusion == ((1, 1), (0, 0))


def test_calibration_error_sums_gaps_within_bins_and_not_over_them() -> None:
    # one bin holds 0.61 and 0.65, of which one is right; the next bin begins above 2/3
    confidence, right = np.array([0.61, 0.65, 0.95]), np.array([True, False, True])
    assert metrics.calibration_error(confidence, right) == pytest.approx((abs(1 - 1.26) + 0.05) / 3)
    assert metrics.calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0.0
    edge = np.array([10 / 15, 10 / 15 + 1e-9])  # a bin's upper end is its own
    assert metrics.calibration_error(edge, np.array([True, False])) == pytest.approx((1 / 3 + 2 / 3) / 2, abs=1e-6)


def test_a_label_without_rows_neither_fails_nor_counts(tmp_path: Path) -> None:
    chances = [[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.2, 0.1, 0.7]]
    told = metrics_of(labelled(tmp_path / "p.parquet", [0, 2, 2], chances), LABELS)
    assert told.macro_f1 is not None and told.macro_f1.value == 1.0
    assert told.confusion[1] == (0, 0, 0)


@pytest.mark.parametrize("right", [True, False])
def test_one_row_has_an_interval_of_no_width(right: bool, tmp_path: Path) -> None:
    told = metrics_of(labelled(tmp_path / "p.parquet", [int(right)], [[0.4, 0.6]]), ("no", "yes"))
    assert told.accuracy is not None
    assert (told.accuracy.low, told.accuracy.value, told.accuracy.high) == (right, right, right)


def test_no_rows_have_no_figures(tmp_path: Path) -> None:
    told = metrics_of(labelled(tmp_path / "p.parquet", [], []), LABELS)
    assert (told.rows, told.accuracy, told.loss, told.labels) == (0, None, None, LABELS)
    assert metrics_of(written(tmp_path / "l.parquet", [], []), ()).perplexity is None


def test_intervals_are_those_of_drawing_rows_one_by_one() -> None:
    true, said, chances = random_rows(60, 3)
    told = metrics.of_labels(true, said, chances, LABELS)
    draw = np.random.default_rng(9)
    picks = [draw.integers(60, size=60) for _ in range(4000)]
    for got, plain in (
        (told.accuracy, [float((true[at] == said[at]).mean()) for at in picks]),
        (told.macro_f1, [f1_by_hand(true[at], said[at]) for at in picks]),
    ):
        low, high = np.percentile(plain, [2.5, 97.5])
        assert got is not None
        assert (got.low, got.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))
    assert told.macro_f1 is not None and told.macro_f1.value == pytest.approx(f1_by_hand(true, said))


def test_intervals_hold_the_true_accuracy_95_times_in_100() -> None:
    draw = np.random.default_rng(4)
    held = 0
    for _ in range(300):
        right = (draw.random(400) < 0.8).astype(int)
        told = metrics.of_labels(np.ones(400, int), right, np.stack([1 - right, right], 1) * 1.0, ("no", "yes"))
        assert told.accuracy is not None
        held += told.accuracy.low <= 0.8 <= told.accuracy.high
    assert 0.91 <= held / 300 <= 0.98


def test_the_same_file_gives_the_same_intervals() -> None:
    rows = random_rows(200, 3)
    assert metrics.of_labels(*rows, LABELS) == metrics.of_labels(*rows, LABELS)


def test_perplexity_weighs_tokens_and_not_rows(tmp_path: Path) -> None:
    told = metrics_of(written(tmp_path / "l.parquet", [2.0, 30.0], [1, 9]), ())
    assert told.loss == pytest.approx(3.2)
    assert told.perplexity is not None and told.perplexity.value == pytest.approx(math.exp(3.2))
    assert told.perplexity.low <= told.perplexity.value <= told.perplexity.high
    assert (told.tokens, told.rows) == (10, 2)


def test_the_interval_of_perplexity_is_over_rows() -> None:
    draw = np.random.default_rng(2)
    tokens = draw.integers(1, 40, 300)
    loss = draw.exponential(size=300) * tokens
    got = metrics.perplexity(loss, tokens)
    picks = draw.integers(300, size=(4000, 300))
    plain = np.exp(loss[picks].sum(1) / tokens[picks].sum(1))
    assert got.low == pytest.approx(np.percentile(plain, 2.5), rel=0.02)
    assert got.high == pytest.approx(np.percentile(plain, 97.5), rel=0.02)


def test_many_rows_put_into_groups_give_the_interval_of_single_ones() -> None:
    draw = np.random.default_rng(5)
    tokens = draw.integers(1, 40, 20_000)
    loss = draw.exponential(size=20_000) * tokens
    got = metrics.ratio(loss, tokens)
    spread = np.std([loss[at].sum() / tokens[at].sum() for at in draw.integers(20_000, size=(400, 20_000))])
    assert (got.high - got.low) / 2 == pytest.approx(1.96 * spread, rel=0.12)


def test_a_hundred_thousand_rows_take_a_moment() -> None:
    true, said, chances = random_rows(100_000, 4)
    started = time.process_time()
    metrics.of_labels(true, said, chances, ("a", "b", "c", "d"))
    metrics.perplexity(chances[:, 0], np.ones(100_000))
    assert time.process_time() - started < 3


def test_what_is_no_number_becomes_none_and_stays_out_of_json(tmp_path: Path) -> None:
    told = metrics_of(written(tmp_path / "l.parquet", [1.0, math.inf], [1, 1]), ())
    assert (told.loss, told.perplexity) == (None, None)
    large = metrics_of(written(tmp_path / "m.parquet", [2000.0], [1]), ())
    json.dumps([asdict(told), asdict(large)], allow_nan=False)


def test_numbers_stand_for_labels_without_names(tmp_path: Path) -> None:
    assert metrics_of(labelled(tmp_path / "p.parquet", [0], [[0.9, 0.1]]), ()).labels == ("0", "1")


def test_a_file_that_is_not_there_or_holds_something_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"nothing\.parquet"):
        metrics_of(tmp_path / "nothing.parquet", LABELS)
    pq.write_table(pa.table({"row": [1]}), tmp_path / "other.parquet")
    with pytest.raises(Failed, match=r"other\.parquet"):
        metrics_of(tmp_path / "other.parquet", LABELS)


def test_figures_are_made_without_torch() -> None:
    asked = "import sys, agentos.training.metrics, agentos.training.compare; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
