"""What is refused before anything is computed, and what is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentos.errors import UserError
from agentos.training import checks, estimate
from tests.training import runs


def refused(columns: dict[str, list[Any]], where: Path, **changed: Any) -> str:
    data = runs.write(where / "data.parquet", columns)
    with pytest.raises(UserError) as error:
        checks.check(runs.spec(None, data, **{"labels": (), **changed}))
    assert "nothing was trained" in str(error.value).lower()
    return str(error.value)


def test_a_missing_column_is_named_beside_those_there_are(tmp_path: Path) -> None:
    said = refused({"review": ["a"], "label": ["b"]}, tmp_path)
    assert "'text'" in said
    assert "'review'" in said


@pytest.mark.parametrize(("labels", "word"), [
    (["a"] * 8, "nothing to tell apart"),
    (["a"] * 7 + ["b"], "single row"),
    (["a"] * 4 + [None, None] + ["b"] * 2, "have no label"),
    ([str(at) + "x" for at in range(8)], "too few rows of each"),
])
def test_labels_that_nothing_can_be_learned_from_are_refused(labels: list[Any], word: str, tmp_path: Path) -> None:
    assert word in refused({"text": [f"t {at}" for at in range(8)], "label": labels}, tmp_path)


def test_an_amount_is_no_label(tmp_path: Path) -> None:
    columns = {"text": [f"t {at}" for at in range(90)], "label": [at * 0.37 for at in range(90)]}
    assert "regression" in refused(columns, tmp_path)


def test_empty_texts_are_refused_when_all_are_and_said_when_some_are(tmp_path: Path) -> None:
    assert "no text" in refused({"text": ["", " "], "label": ["a", "b"]}, tmp_path)
    data = runs.write(tmp_path / "some.parquet", {"text": ["x", "", "y", "z"], "label": ["a", "b", "a", "b"]})
    assert any("1 of 4 rows" in note for note in checks.check(runs.spec(None, data, labels=())))


def test_a_label_to_measure_that_is_not_learned_is_refused(tmp_path: Path) -> None:
    other = runs.write(tmp_path / "other.parquet", {"text": ["x"], "label": ["c"]})
    columns = {"text": ["x", "y"] * 4, "label": ["a", "b"] * 4}
    assert "'c'" in refused(columns, tmp_path, held_path=str(other))


def test_an_encoder_is_not_taught_to_write(bert: Path, reviews: Path) -> None:
    with pytest.raises(UserError, match="does not write text"):
        checks.check(runs.spec(bert, reviews, task="causal-lm"))


def test_a_rare_label_is_pointed_out(tmp_path: Path) -> None:
    columns = {"text": [f"t {at}" for at in range(90)], "label": ["a"] * 86 + ["b"] * 4}
    data = runs.write(tmp_path / "data.parquet", columns)
    assert any("balanced" in note for note in checks.check(runs.spec(None, data, labels=())))


def test_checks_and_estimates_import_no_torch() -> None:
    code = "import sys, agentos.training.checks, agentos.training.estimate, agentos.training.spec; " \
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_estimate_counts_the_updates_and_learns_from_runs(bert: Path, reviews: Path, tmp_path: Path) -> None:
    made = runs.spec(bert, reviews)
    first = estimate.estimate(made, tmp_path)
    assert not first.learned
    assert first.steps == 28
    estimate.remember(made, tmp_path / "run", "cpu", speed=100.0, memory=5_000)
    second = estimate.estimate(made, tmp_path)
    assert second.learned
    assert second.seconds == pytest.approx(second.tokens / 100)
    assert second.memory == 5_000


def test_a_refused_run_leaves_its_reason_and_no_model(bert: Path, tmp_path: Path) -> None:
    data = runs.write(tmp_path / "data.parquet", {"text": ["x", "y"], "label": ["a", "a"]})
    path = runs.folder(tmp_path, runs.spec(bert, data, labels=()))
    assert runs.here(path) == 2
    assert runs.result(path)["error"]["kind"] == "user"
    assert not (path / "model").exists()


def test_a_tracker_that_is_not_installed_is_said_at_once(bert: Path, reviews: Path, tmp_path: Path) -> None:
    path = runs.folder(tmp_path, runs.spec(bert, reviews, trackers=("mlflow",)))
    assert runs.here(path) == 2
    assert "'mlflow', which is not installed" in runs.result(path)["error"]["message"]
