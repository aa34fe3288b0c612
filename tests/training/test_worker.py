"""Whole runs of tiny models."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from agentos.engines import prefixed
from tests.training import runs


def said(folder: Path, texts: list[str], model: Any = None) -> torch.Tensor:
    """What transformers itself makes of a folder, one text at a time."""
    if model is None:
        model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model.eval()
    with torch.no_grad():
        return torch.cat([model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1) for text in texts])


def held(path: Path, data: Path) -> tuple[list[str], torch.Tensor]:
    """The texts that were held out, and what the run said of them."""
    table = pq.read_table(path / "held_out.parquet").to_pydict()
    texts = pq.read_table(data)["text"].to_pylist()
    return [texts[row] for row in table["row"]], torch.tensor(table["probabilities"])


def test_a_classifier_learns_and_transformers_reads_it_with_the_same_answers(
    bert: Path, reviews: Path, tmp_path: Path,
) -> None:
    path = runs.folder(tmp_path, runs.spec(bert, reviews, epochs=12, learning_rate=5e-3))
    assert runs.here(path) == 0
    made = runs.result(path)
    assert made["metrics"]["accuracy"] >= 0.9
    assert made["model_kind"] == "classification"
    texts, told = held(path, reviews)
    assert len(texts) == made["held_out"] == 24
    assert torch.allclose(said(path / "model", texts), told, atol=1e-5)
    config = json.loads((path / "model" / "config.json").read_text())
    assert config["id2label"] == {"0": "bad", "1": "good"}
    assert runs.events(path)[0]["kind"] == "start"
    assert runs.events(path)[0]["estimate"]["steps"] == made["steps"] == made["estimate"]["steps"]
    assert runs.events(path)[-1]["kind"] == "end"
    assert list((path / "tensorboard").iterdir())
    assert not (path / "checkpoints").exists()


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_lora_is_merged_into_a_whole_model(method: str, bert: Path, reviews: Path, tmp_path: Path) -> None:
    path = runs.folder(tmp_path, runs.spec(bert, reviews, method=method, rank=4, learning_rate=1e-2, epochs=3))
    assert runs.here(path) == 0
    texts, told = held(path, reviews)
    assert torch.allclose(said(path / "model", texts), told, atol=1e-4)
    names = AutoModelForSequenceClassification.from_pretrained(path / "model").state_dict()
    assert not [name for name in names if "lora" in name]


@pytest.mark.parametrize("method", ["prefix", "adapter"])
@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_prefix_and_adapter_come_back_into_their_base(
    method: str, kind: str, reviews: Path, tmp_path: Path, request: pytest.FixtureRequest,
) -> None:
    base = request.getfixturevalue(kind)
    path = runs.folder(tmp_path, runs.spec(base, reviews, method=method, rank=4, learning_rate=1e-2, epochs=2))
    assert runs.here(path) == 0
    assert runs.result(path)["model_kind"] == "adapter"
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path / "model")
    plain: Any = AutoModelForSequenceClassification.from_pretrained(base, config=config)
    texts, told = held(path, reviews)
    assert not torch.allclose(said(path / "model", texts, plain), told, atol=1e-2)
    assert torch.allclose(said(path / "model", texts, prefixed.load(path / "model", plain)), told, atol=1e-4)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_writer_learns_the_answers_alone(method: str, llama: Path, tmp_path: Path) -> None:
    count = 160
    draw = random.Random(2)
    pairs = {
        "text": [f"{' '.join(draw.choices(runs.REST, k=at % 9))} {('good', 'bad')[at % 2]}" for at in range(count)],
        "answer": [("king", "river")[at % 2] for at in range(count)],
    }
    data = runs.write(tmp_path / "pairs.parquet", pairs)
    rate = 1e-2 if method == "lora" else 5e-3
    made = runs.spec(
        llama, data, task="causal-lm", method=method, text=("text", "answer"), label=None, labels=(), epochs=8,
        learning_rate=rate,
    )
    path = runs.folder(tmp_path, made)
    assert runs.here(path) == 0
    result = runs.result(path)
    assert result["metrics"]["loss"] < 0.1
    assert math.isclose(result["metrics"]["perplexity"], math.exp(result["metrics"]["loss"]))
    model = AutoModelForCausalLM.from_pretrained(path / "model")
    tokenizer = AutoTokenizer.from_pretrained(path / "model")
    ids = torch.tensor([[2, *tokenizer("the film was a very bad", add_special_tokens=False)["input_ids"]]])
    written = model.generate(ids, max_new_tokens=2, do_sample=False)[0, ids.shape[1] :]
    assert tokenizer.decode(written) == "river [SEP]"


def test_the_same_manifest_comes_to_the_same_loss_and_another_seed_does_not(
    bert: Path, reviews: Path, tmp_path: Path,
) -> None:
    losses = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        path = runs.folder(tmp_path, runs.spec(bert, reviews, seed=seed, epochs=1), name)
        assert runs.here(path) == 0
        losses.append(runs.result(path)["loss"])
    assert losses[0] == losses[1] != losses[2]


def test_the_loss_does_not_depend_on_how_rows_are_cut_into_batches(bert: Path, reviews: Path, tmp_path: Path) -> None:
    still = tmp_path / "still"
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(bert)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    AutoModel.from_pretrained(bert, config=config).save_pretrained(still)
    runs.tokenizer(still)
    losses = []
    for name, tokens in (("whole", 0), ("cut", 20)):
        path = runs.folder(tmp_path, runs.spec(still, reviews, tokens=tokens, balanced=True), name)
        assert runs.here(path) == 0
        losses.append(runs.result(path)["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_it_stops_early_and_keeps_the_weights_that_measured_best(bert: Path, tmp_path: Path) -> None:
    data = runs.reviews(tmp_path / "noise.parquet", count=80, wrong=0.5)
    made = runs.spec(bert, data, epochs=40, learning_rate=5e-3, patience=3)
    path = runs.folder(tmp_path, made)
    assert runs.here(path) == 0
    result = runs.result(path)
    looks = {event["step"]: event["metric"] for event in runs.events(path, "eval")}
    best = max(looks, key=lambda step: (looks[step]["accuracy"], -looks[step]["loss"]))
    assert result["steps"] < 200
    assert result["best_step"] == best < result["steps"]
    assert result["metrics"] == looks[best]
    texts, told = held(path, data)
    assert torch.allclose(said(path / "model", texts), told, atol=1e-5)


def test_a_finished_run_is_not_done_again(bert: Path, reviews: Path, tmp_path: Path) -> None:
    path = runs.folder(tmp_path, runs.spec(bert, reviews, epochs=1))
    assert runs.here(path) == 0
    before = (path / "result.json").stat().st_mtime_ns, (path / "model").stat().st_mtime_ns
    assert runs.here(path) == 0
    assert before == ((path / "result.json").stat().st_mtime_ns, (path / "model").stat().st_mtime_ns)


def test_a_rung_is_gone_on_with_to_the_same_loss(bert: Path, reviews: Path, tmp_path: Path) -> None:
    whole = runs.folder(tmp_path, runs.spec(bert, reviews, epochs=2), "whole")
    assert runs.here(whole) == 0
    made = runs.spec(bert, reviews, epochs=2, limit={"rung": 1})
    parts = runs.folder(tmp_path, made, "parts")
    assert runs.here(parts) == 0
    assert runs.result(parts)["steps"] == 14
    replace(made, limit={}).save(parts)
    assert runs.here(parts) == 0
    assert runs.result(parts)["loss"] == runs.result(whole)["loss"]


def test_pairs_are_read_as_two_texts(bert: Path, tmp_path: Path) -> None:
    rows = {
        "one": ["good film", "bad film"] * 60, "two": ["a king"] * 60 + ["the river"] * 60, "label": ["x", "y"] * 60,
    }
    data = runs.write(tmp_path / "pairs.parquet", rows)
    path = runs.folder(tmp_path, runs.spec(bert, data, text=("one", "two"), labels=("x", "y"), epochs=1))
    assert runs.here(path) == 0
    told = pq.read_table(path / "held_out.parquet").to_pydict()
    model = AutoModelForSequenceClassification.from_pretrained(path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(path / "model")
    at = told["row"][0]
    with torch.no_grad():
        want = model(**tokenizer(rows["one"][at], rows["two"][at], return_tensors="pt")).logits.softmax(-1)[0]
    assert torch.allclose(want, torch.tensor(told["probabilities"][0]), atol=1e-5)
