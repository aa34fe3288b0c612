"""What a run does when it comes off its way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from agentos.training.data import Row
from agentos.training.objectives import Labels
from agentos.training.progress import Progress
from tests.training import runs


def test_a_loss_that_is_no_number_sends_it_back_with_half_the_rate(
    bert: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    stock, calls = Labels.loss, []

    def loss(self: Labels, rows: Sequence[Row], epoch: int) -> torch.Tensor:
        calls.append(1)
        return stock(self, rows, epoch) * (float("nan") if len(calls) == 20 else 1.0)

    monkeypatch.setattr(Labels, "loss", loss)
    path = runs.folder(tmp_path, runs.spec(bert, reviews))
    assert runs.here(path) == 0
    result = runs.result(path)
    assert any("is no number" in note and "0.5 of the rate" in note for note in result["notes"])
    assert result["steps"] == 28
    rates = [event["rate"] for event in runs.events(path, "step")]
    assert rates[-1] < 2e-3 / 20


def test_after_three_returns_it_gives_up_and_writes_no_model(
    bert: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    stock = Labels.loss
    monkeypatch.setattr(Labels, "loss", lambda self, rows, epoch: stock(self, rows, epoch) * float("inf"))
    path = runs.folder(tmp_path, runs.spec(bert, reviews))
    assert runs.here(path) == 1
    error = runs.result(path)["error"]
    assert error["kind"] == "failed"
    assert "gone back 3 times" in error["message"]
    assert not (path / "model").exists()


def test_a_loss_far_above_its_best_for_many_updates_is_astray_and_noise_is_not() -> None:
    calm = Progress()
    draw = torch.Generator().manual_seed(1)
    noise = (0.3 + 0.5 * torch.rand(400, generator=draw)).tolist()
    assert not any(calm.astray(loss) for loss in noise)
    lost = Progress()
    assert not any(lost.astray(0.7 - 0.005 * at) for at in range(100))
    assert [lost.astray(0.7) for _ in range(60)].count(True) > 0


def test_a_batch_that_does_not_fit_in_memory_is_halved_and_the_loss_is_the_same(
    bert: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    stock = Labels.loss

    def loss(self: Labels, rows: Sequence[Row], epoch: int) -> torch.Tensor:
        if sum(len(row.ids) for row in rows) > 90:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return stock(self, rows, epoch)

    monkeypatch.setattr(Labels, "loss", loss)
    path = runs.folder(tmp_path, runs.spec(bert, reviews))
    assert runs.here(path) == 0
    result = runs.result(path)
    assert result["steps"] == 28
    assert any("did not fit in memory" in note for note in result["notes"])


def test_a_row_that_never_fits_is_a_clear_failure(
    bert: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def loss(self: Labels, rows: Sequence[Row], epoch: int) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(Labels, "loss", loss)
    path = runs.folder(tmp_path, runs.spec(bert, reviews))
    assert runs.here(path) == 1
    assert "does not fit in memory" in runs.result(path)["error"]["message"]
