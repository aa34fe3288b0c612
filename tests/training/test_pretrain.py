"""Models from nothing."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM, AutoTokenizer

from agentos.training.data import Row
from agentos.training.objectives import HELD, Masked
from tests.training import runs

KINDS = {"masked-lm": AutoModelForMaskedLM, "causal-lm": AutoModelForCausalLM, "denoising": AutoModelForSeq2SeqLM}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = random.Random(4)
    chinese = ["房间很干净", "服务态度差", "味道不错", "送餐太慢", "价格便宜"]
    texts = [" ".join(draw.choices([*runs.REST, *runs.GOOD], k=30)) + "，".join(draw.choices(chinese, k=4))
             for _ in range(120)]
    return runs.write(tmp_path_factory.mktemp("lines") / "lines.parquet", {"text": texts})


@pytest.mark.parametrize("task", list(KINDS))
def test_it_learns_from_text_in_two_languages_and_transformers_reads_it(
    task: str, lines: Path, tmp_path: Path, reviews: Path,
) -> None:
    made = runs.spec(
        None, lines, kind="pretrain", task=task, scale="tiny", label=None, labels=(), epochs=4, rows=8, length=64,
        learning_rate=None,
    )
    path = runs.folder(tmp_path, made)
    assert runs.here(path) == 0
    result = runs.result(path)
    tokenizer = AutoTokenizer.from_pretrained(path / "model")
    assert result["metrics"]["loss"] < 0.8 * math.log(len(tokenizer))
    assert "房" in tokenizer.decode(tokenizer("房间 the film", add_special_tokens=False)["input_ids"])
    model = KINDS[task].from_pretrained(path / "model")
    logits = model(**tokenizer("the film", return_tensors="pt")).logits
    assert logits.shape[-1] == len(tokenizer)
    if task == "masked-lm":
        tuned = runs.folder(tmp_path, runs.spec(path / "model", reviews, epochs=1), "tuned")
        assert runs.here(tuned) == 0
        assert runs.result(tuned)["model_kind"] == "classification"


class Fixed:
    """A reader whose hidden states are the tokens' own numbers."""

    def __init__(self, size: int) -> None:
        from contextlib import nullcontext
        from types import SimpleNamespace

        self.device = torch.device("cpu")
        self.asked: list[int] = []
        self.computing = nullcontext

        def head(states: torch.Tensor) -> torch.Tensor:
            self.asked.append(len(states))
            return torch.nn.functional.one_hot(states[:, 0].long(), size).float()

        self.model = SimpleNamespace(cls=head)

    def some(self, rows: list[Row], at: np.ndarray) -> torch.Tensor:  # type: ignore[type-arg]
        return torch.from_numpy(np.concatenate([row.ids for row in rows])[at])[:, None].float()


def test_a_mask_depends_on_seed_epoch_and_row_alone_and_the_loss_is_the_mean_over_masked_positions() -> None:
    size = 50
    reader = Fixed(size)
    objective = Masked(reader, 1, 4, [0, 1, 2, 3, 4], size)  # type: ignore[arg-type]
    rows = [Row(at, np.arange(5, 45)) for at in range(40)]
    hidden, at = objective.hide(rows[3], 2)
    same, where = objective.hide(rows[3], 2)
    assert (hidden.ids == same.ids).all()
    assert (at == where).all()
    assert len(at) == 6
    assert not np.array_equal(at, objective.hide(rows[3], 3)[1])
    assert not np.array_equal(at, objective.hide(rows[4], 2)[1])
    pairs = [objective.hide(row, 0) for row in rows]
    masked = sum(int((one.ids[at] == 4).sum()) for one, at in pairs)
    kept = sum(int((one.ids[at] == row.ids[at]).sum()) for row, (one, at) in zip(rows, pairs, strict=True))
    assert 0.7 < masked / 240 < 0.9
    assert 0.03 < kept / 240 < 0.2
    by_hand = []
    for row, (one, at) in zip(rows, pairs, strict=True):
        for place in at:
            scores = np.zeros(size)
            scores[one.ids[place]] = 1.0
            by_hand.append(-(scores[row.ids[place]] - math.log(np.exp(scores).sum())))
    got = float(objective.loss(rows, 0)) / objective.weight(rows)
    assert got == pytest.approx(sum(by_hand) / len(by_hand), rel=1e-5)
    assert reader.asked == [240]
    assert objective.measure([rows]).metrics["loss"] == pytest.approx(
        float(objective.loss(rows, HELD)) / objective.weight(rows), rel=1e-6
    )
