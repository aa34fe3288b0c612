"""Models measured on data as they serve."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from agentos.errors import UserError
from agentos.jobs import showing
from agentos.training.asking import match
from agentos.training.evaluate import main
from agentos.training.metrics import metrics_of
from tests.engines import tiny
from tests.training import runs


def asked(where: Path, base: Path, data: Path, **changed: Any) -> Path:
    """A folder with the manifest of a measurement."""
    given = {"kind": "evaluate", "run": "e1", "model": "mine", **changed}
    return runs.folder(where, runs.spec(base, data, **given), "evaluate")


def measured(path: Path) -> dict[str, Any]:
    grad = torch.is_grad_enabled()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert main([str(path)]) == 0, runs.result(path)
    finally:
        torch.set_grad_enabled(grad)
    return runs.result(path)


def refused(path: Path) -> str:
    grad = torch.is_grad_enabled()
    try:
        assert main([str(path)]) == 2
    finally:
        torch.set_grad_enabled(grad)
    told = runs.result(path)["error"]
    assert told["kind"] == "user"
    assert not (path / "held_out.parquet").exists()
    return str(told["message"])


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = {"id2label": {0: "good", 1: "fair", 2: "bad"}, "label2id": {"good": 0, "fair": 1, "bad": 2}}
    return tiny.bert(tmp_path_factory.mktemp("classifier"), **named)


@pytest.fixture(scope="session")
def nameless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("nameless"), num_labels=2)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    said = [("bad", "good")[at % 2] for at in range(90)]
    return runs.write(tmp_path / "texts.parquet", {"text": tiny.sentences(90), "label": said})


def plain(folder: Path, texts: list[Any]) -> torch.Tensor:
    """What transformers itself makes of each text, one at a time."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(
        folder
    )
    with torch.no_grad():
        return torch.cat([
            model(**tokenizer(*((text,) if isinstance(text, str) else text), truncation=True, return_tensors="pt"))
            .logits.softmax(-1) for text in texts
        ])


def test_a_classifier_says_what_transformers_says_of_each_row(classifier: Path, texts: Path, tmp_path: Path) -> None:
    path = asked(tmp_path, classifier, texts)
    result = measured(path)
    told = pq.read_table(path / result["predictions"]).to_pydict()
    want = plain(classifier, pq.read_table(texts)["text"].to_pylist())
    assert told["row"] == list(range(90)) and result["held_out"] == 90
    assert torch.allclose(torch.tensor(told["probabilities"]), want, atol=1e-5)
    assert told["predicted"] == want.argmax(-1).tolist()
    assert result["labels"] == ["good", "fair", "bad"]
    assert told["label"] == [(2, 0)[at % 2] for at in range(90)]
    right = sum(a == b for a, b in zip(told["predicted"], told["label"], strict=True))
    assert result["metrics"]["accuracy"] == pytest.approx(right / 90)
    made = metrics_of(path / result["predictions"], result["labels"])
    assert made.accuracy is not None and made.accuracy.value == result["metrics"]["accuracy"]
    assert made.loss == pytest.approx(result["metrics"]["loss"])
    assert result["memory"] > 0 and result["tokens"] > 90 and result["notes"] == []


def test_a_fine_tuned_model_measures_as_when_it_was_made_on_the_rows_that_were_held_out(
    bert: Path, reviews: Path, tmp_path: Path,
) -> None:
    made = runs.folder(tmp_path, runs.spec(bert, reviews, epochs=2, learning_rate=5e-3))
    assert runs.here(made) == 0
    before = runs.result(made)
    rows = pq.read_table(made / "held_out.parquet")["row"].to_pylist()
    result = measured(asked(tmp_path, made / "model", reviews, limit={"rows": rows}))
    assert result["held_hash"] == before["held_hash"]
    assert result["held_out"] == before["held_out"] == len(rows)
    for name in ("accuracy", "macro_f1", "loss"):
        assert result["metrics"][name] == pytest.approx(before["metrics"][name], abs=1e-4)


def test_an_adapter_with_a_head_is_measured_over_its_base(texts: Path, tmp_path: Path) -> None:
    import peft
    from transformers import AutoModelForSequenceClassification

    base = tiny.bert(tmp_path / "base", "BertModel")
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    config = peft.LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["query", "value"])
    rows = torch.randint(5, 25, (8, 9))
    adapted = tiny.train(model, tmp_path / "adapter", rows, torch.arange(8) % 2, config)
    (tmp_path / "adapter" / "config.json").write_text(json.dumps({"id2label": {"0": "bad", "1": "good"}}))
    path = asked(tmp_path, base, texts, adapter_path=str(tmp_path / "adapter"))
    result = measured(path)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    with torch.no_grad():
        want = torch.cat([
            adapted(**tokenizer(text, truncation=True, return_tensors="pt")).logits.softmax(-1)
            for text in pq.read_table(texts)["text"].to_pylist()
        ])
    told = pq.read_table(path / "held_out.parquet")["probabilities"].to_pylist()
    assert torch.allclose(torch.tensor(told), want, atol=1e-4)
    assert result["labels"] == ["bad", "good"]


def test_pairs_are_read_together(classifier: Path, tmp_path: Path) -> None:
    one, two = tiny.sentences(30, 1, 20), tiny.sentences(30, 2, 20)
    data = runs.write(tmp_path / "pairs.parquet", {"a": one, "b": two, "label": ["good", "bad", "fair"] * 10})
    path = asked(tmp_path, classifier, data, text=("a", "b"), labels=())
    measured(path)
    told = pq.read_table(path / "held_out.parquet")["probabilities"].to_pylist()
    assert torch.allclose(torch.tensor(told), plain(classifier, list(zip(one, two, strict=True))), atol=1e-5)


def test_a_writer_is_measured_by_its_answers_as_transformers_weighs_them(llama: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    prompts, answers = tiny.sentences(20, 3, 8), [word for word in runs.REST[:10]] * 2
    data = runs.write(tmp_path / "pairs.parquet", {"ask": prompts, "answer": answers})
    path = asked(tmp_path, llama, data, task="causal-lm", text=("ask", "answer"), label=None, labels=(), tokens=40)
    result = measured(path)
    model: Any = AutoModelForCausalLM.from_pretrained(llama).eval()
    tokenizer = AutoTokenizer.from_pretrained(llama)
    want = []
    for prompt, answer in zip(prompts, answers, strict=True):
        before = [2, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
        after = [*tokenizer(answer, add_special_tokens=False)["input_ids"], 3]
        with torch.no_grad():
            logits = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
        want.append(-sum(float(logits[len(before) - 1 + at, token]) for at, token in enumerate(after)))
    told = pq.read_table(path / "held_out.parquet").to_pydict()
    assert told["row"] == list(range(20)) and told["tokens"] == [2] * 20
    assert told["loss"] == pytest.approx(want, abs=1e-3)
    assert result["metrics"]["loss"] == pytest.approx(sum(want) / 40, abs=1e-4)
    assert result["metrics"]["perplexity"] == pytest.approx(math.exp(sum(want) / 40), rel=1e-3)


def test_a_writer_is_measured_by_whole_texts_where_there_are_no_answers(
    llama: Path, reviews: Path, tmp_path: Path,
) -> None:
    path = asked(tmp_path, llama, reviews, task="causal-lm", label=None, labels=(), limit={"rows": [5, 3, 3]})
    assert measured(path)["held_out"] == 2
    told = pq.read_table(path / "held_out.parquet").to_pydict()
    words = [len(text.split()) for text in pq.read_table(reviews)["text"].to_pylist()]
    assert told["row"] == [3, 5]
    assert told["tokens"] == [words[3] + 1, words[5] + 1]


def test_labels_are_matched_by_name_then_by_case_then_by_order() -> None:
    assert match(["neg", "pos"], ["pos", "neg"], "m") == ({"neg": 1, "pos": 0}, [])
    numbers, notes = match(["negative", "positive"], ["POSITIVE", "NEGATIVE"], "m")
    assert numbers == {"negative": 1, "positive": 0} and "case" in notes[0]
    numbers, notes = match(["bad", "good"], ["LABEL_0", "LABEL_1"], "m")
    assert numbers == {"bad": 0, "good": 1} and "LABEL_0 for 'bad', LABEL_1 for 'good'" in notes[0]
    assert match(["2", "0"], ["LABEL_0", "LABEL_1", "LABEL_2"], "m")[0] == {"2": 2, "0": 0}
    assert match(["A"], ["a", "A"], "m")[0] == {"A": 1}


@pytest.mark.parametrize("known", [["a", "b"], ["LABEL_0", "LABEL_1"]])
def test_labels_that_a_model_lacks_are_named_beside_those_that_it_has(known: list[str]) -> None:
    with pytest.raises(UserError, match=r"'m' does not know.*'a', 'b', 'c'.*" + known[1]):
        match(["a", "b", "c"], known, "m")


def test_a_model_without_names_is_measured_in_the_data_sets_own_order(
    nameless: Path, texts: Path, tmp_path: Path,
) -> None:
    path = asked(tmp_path, nameless, texts, labels=("good", "bad"))
    result = measured(path)
    assert result["labels"] == ["good", "bad"]
    assert any("in order" in note for note in result["notes"])
    assert pq.read_table(path / "held_out.parquet")["label"].to_pylist()[:2] == [1, 0]
    assert [event["text"] for event in runs.events(path, "note")] == result["notes"]


def test_rows_without_a_label_are_left_out_and_told(classifier: Path, tmp_path: Path) -> None:
    data = runs.write(tmp_path / "some.parquet", {"text": ["good film", "bad", "fine"], "label": ["good", None, "bad"]})
    result = measured(asked(tmp_path, classifier, data, labels=()))
    assert result["held_out"] == 2
    assert result["notes"] == ["1 rows have no label and were left out"]


def test_long_rows_are_cut_and_counted(classifier: Path, tmp_path: Path) -> None:
    data = runs.write(tmp_path / "long.parquet", {"text": ["good " * 200, "bad"], "label": ["good", "bad"]})
    result = measured(asked(tmp_path, classifier, data))
    assert result["notes"] == ["1 rows are longer than the 64 tokens that are read; the rest is cut off"]


@pytest.mark.parametrize("kind", ["BertForMaskedLM", "BertModel"])
def test_what_gives_neither_labels_nor_text_is_refused_with_what_can_be_measured(
    kind: str, texts: Path, tmp_path: Path,
) -> None:
    told = refused(asked(tmp_path, tiny.bert(tmp_path / "model", kind), texts))
    assert "neither labels nor text" in told and "classifiers" in told


def test_what_cannot_be_measured_is_refused(classifier: Path, texts: Path, tmp_path: Path) -> None:
    def told(name: str, base: Path = classifier, **changed: Any) -> str:
        (tmp_path / name).mkdir()
        return refused(asked(tmp_path / name, base, texts, **changed))

    assert "has no column of labels" in told("a", label=None)
    assert "'stars'" in (missing := told("b", label="stars")) and missing.endswith("Nothing was measured")
    assert "has 90 rows and row 90 was to be asked" in told("c", limit={"rows": [90]})
    assert "no rows" in told("d", limit={"rows": []})
    assert "an amount" in told("e", tiny.bert(tmp_path / "amount", num_labels=1))
    several = tiny.bert(tmp_path / "several", num_labels=2, problem_type="multi_label_classification")
    assert "several labels at once" in told("f", several)


def test_a_broken_model_fails_and_is_no_fault_of_the_person(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    path = asked(tmp_path, tmp_path / "empty", texts)
    assert main([str(path)]) == 1
    assert runs.result(path)["error"]["kind"] == "failed"


def test_a_finished_measurement_is_not_made_again_and_a_failed_one_is(
    classifier: Path, texts: Path, tmp_path: Path,
) -> None:
    path = asked(tmp_path, classifier, texts)
    (path / "result.json").write_text('{"error": {"kind": "failed", "message": "memory ran out"}}')
    assert "metrics" in measured(path)
    before = (path / "result.json").stat().st_mtime_ns
    measured(path)
    assert (path / "result.json").stat().st_mtime_ns == before


def test_killed_it_begins_again_and_its_process_tells_how_far_it_is(classifier: Path, tmp_path: Path) -> None:
    many = tiny.sentences(20_000)
    data = runs.write(tmp_path / "many.parquet", {"text": many, "label": ["good"] * len(many)})
    path = asked(tmp_path, classifier, data)
    command = [sys.executable, "-m", "agentos.training.evaluate", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": ""})
    assert process.stdout is not None
    line = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    share = showing.said(line)
    assert line.startswith("row ") and share is not None and 0 < share < 100
    assert not (path / "result.json").exists()
    step = runs.events(path, "step")[0]
    assert 0 < step["step"] < step["steps"] == 20_000
    few = runs.write(data, {"text": many[:50], "label": ["good"] * 50})
    started = time.time()
    assert few == data and measured(path)["held_out"] == 50
    assert all(event["time"] >= started for event in runs.events(path))
    assert [event["kind"] for event in runs.events(path)] == ["start", "step", "end"]
