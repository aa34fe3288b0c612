"""Rows that are read packed are read as if each were alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, BertConfig, BertForMaskedLM

from agentos.training import packed
from agentos.training.data import Row
from agentos.training.reader import Reader

LENGTHS = [17, 17, 16, 9, 3, 2, 2]


def rows(kinds: bool) -> list[Row]:
    draw = np.random.default_rng(3)
    return [
        Row(at, draw.integers(5, 25, n), np.zeros(n, dtype=np.int64) if kinds else None, start=1)
        for at, n in enumerate(LENGTHS)
    ]


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_classifier_says_and_learns_the_same_packed_padded_and_alone(
    kind: str, request: pytest.FixtureRequest,
) -> None:
    base: Path = request.getfixturevalue(kind)
    model: Any = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3, pad_token_id=0).eval()
    reader = Reader(model, torch.device("cpu"), 0, half=False)
    given = rows(kind == "bert")
    alone = torch.cat([model(input_ids=torch.from_numpy(row.ids)[None]).logits for row in given])
    seen = []
    for _ in range(2):
        model.zero_grad()
        logits = reader.classes(given)
        assert torch.allclose(logits, alone, atol=1e-5)
        logits.square().sum().backward()
        seen.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        assert reader.packed or reader.try_packed(given)
    assert all(torch.allclose(one, two, atol=1e-4) for one, two in zip(*seen, strict=True))


def test_some_tokens_are_the_ones_that_all_of_them_have(llama: Path) -> None:
    torch.manual_seed(1)
    config = BertConfig(vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
    masked: Any = BertForMaskedLM(config).eval()
    writer: Any = AutoModelForCausalLM.from_pretrained(llama).eval()
    for model, kinds in ((masked, True), (writer, False)):
        reader = Reader(model, torch.device("cpu"), 0, half=False)
        given = rows(kinds)
        at = np.array([0, 5, 18, 40, 65])
        with torch.no_grad():
            padded = reader.hidden(given)
            assert reader.try_packed(given)
            assert torch.allclose(reader.hidden(given), padded, atol=1e-5)
            assert torch.allclose(reader.some(given, at), padded[torch.from_numpy(at)], atol=1e-5)


def test_groups_hold_every_row_and_little_that_is_no_token() -> None:
    found = packed.groups(LENGTHS, torch.device("cpu"))
    assert sum(group.rows for group in found) == len(LENGTHS)
    assert [found[0].start, found[-1].end] == [0, sum(LENGTHS)]
    assert sum(group.rows * group.width for group in found) <= 1.25 * sum(LENGTHS)


def test_a_model_that_looks_only_near_is_not_packed(llama: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(llama)
    model.config.sliding_window = 4
    assert not Reader(model, torch.device("cpu"), 0, half=False).try_packed(rows(False))
    assert model.config._attn_implementation == "sdpa"
