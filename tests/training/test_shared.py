"""Rows that follow one beginning: it is read once, by the base alone, and the model says the same of what follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from agentos.training import batches, building
from agentos.training.data import Row
from agentos.training.reader import untouched
from tests.training import runs

SHOWN = ("The film was good and the", "A bad one:")


def rows(path: Path, count: int = 60) -> Path:
    words = [("good", "bad")[at % 3 > 0] for at in range(count)]
    said = [(SHOWN[at % 2], f"{' film' * (at % 5)} {word}", f" {word}") for at, word in enumerate(words)]
    names = ("table", "sentence", "plan")
    return runs.write(path, {name: [row[at] for row in said] for at, name in enumerate(names)})


@pytest.fixture
def built(llama: Path, tmp_path: Path) -> building.Built:
    spec = runs.spec(
        llama, rows(tmp_path / "rows.parquet"), text=("table", "sentence", "plan"), shared=True, label=None,
        task="causal-lm", method="lora", rank=4, dtype="fp32",
    )
    return building.build(spec, tmp_path, torch.device("cpu"))


def test_what_follows_is_read_as_if_the_beginning_stood_before_it(built: building.Built, llama: Path) -> None:
    torch.manual_seed(3)
    some = sorted(built.corpus.train[:9], key=lambda row: -len(row.ids))
    some = [row for row in some if row.behind == some[0].behind]
    plain = AutoModelForCausalLM.from_pretrained(llama).eval()
    built.model.eval()
    with torch.no_grad():
        got = built.reader.hidden(some).split([len(row.ids) for row in some])
        for row, mine in zip(some, got, strict=True):
            before = built.corpus.shared[row.behind]
            ids = torch.from_numpy(np.concatenate([before, row.ids]))[None]
            want = plain.model(ids).last_hidden_state[0, len(before) :]
            assert torch.allclose(mine, want, atol=2e-3)


def test_what_trains_changes_what_follows_and_never_the_beginning(built: building.Built) -> None:
    row = built.corpus.train[0]
    with torch.no_grad():
        before = built.reader.hidden([row]).clone()
        first = [part.clone() for part in built.reader._states(row.behind)[1]]
        for name, parameter in built.method.named():
            if "lora_B" in name:
                parameter.normal_()
        built.reader._before.clear()
        after = built.reader.hidden([row])
        second = built.reader._states(row.behind)[1]
        with untouched(built.model):
            again = built.reader.hidden([row])
    assert not torch.allclose(before, after, atol=1e-2)
    assert torch.equal(before, again)
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


def test_an_update_has_rows_of_one_beginning_and_an_epoch_has_all() -> None:
    behind = [0] * 21 + [1] * 10 + [2]
    made = batches.updates(5, 0, behind, 8)
    assert sorted(row for update in made for row in update) == list(range(32))
    assert all(len({behind[row] for row in update}) == 1 for update in made)
    assert len(made) == batches.steps(behind, 8, 1) == 3 + 2 + 1


def test_such_a_run_learns_and_leaves_an_adapter(llama: Path, tmp_path: Path) -> None:
    data = rows(tmp_path / "rows.parquet", 120)
    spec = runs.spec(
        llama, data, text=("table", "sentence", "plan"), shared=True, label=None, task="causal-lm", method="lora",
        rank=4, rows=8, epochs=3, learning_rate=2e-3,
    )
    folder = runs.folder(tmp_path, spec)
    assert runs.here(folder) == 0
    looks = [event["metric"]["loss"] for event in runs.events(folder, "eval")]
    assert looks[-1] < looks[0]
    assert (folder / "model" / "adapter_model.safetensors").is_file()
    assert not (folder / "model" / "model.safetensors").exists()
    assert AutoTokenizer.from_pretrained(folder / "model") is not None


def test_an_adapter_is_trained_further_from_where_it_was(llama: Path, tmp_path: Path) -> None:
    data = rows(tmp_path / "rows.parquet", 120)
    how = {
        "text": ("table", "sentence", "plan"), "shared": True, "label": None, "task": "causal-lm", "method": "lora",
        "rank": 4, "rows": 8, "learning_rate": 2e-3, "dtype": "fp32",
    }
    first = runs.folder(tmp_path, runs.spec(llama, data, epochs=3, **how), "first")
    assert runs.here(first) == 0
    second = runs.folder(
        tmp_path, runs.spec(llama, data, epochs=1, adapter_path=str(first / "model"), **how), "second"
    )
    assert runs.here(second) == 0
    last, begun = (runs.events(folder, "eval") for folder in (first, second))
    assert begun[0]["metric"]["loss"] < 1.2 * last[-1]["metric"]["loss"]
    wider = runs.folder(tmp_path, runs.spec(
        llama, data, epochs=1, adapter_path=str(first / "model"), **{**how, "rank": 6},
    ), "wider")
    assert runs.here(wider) == 0
    assert runs.events(wider, "eval")[0]["metric"]["loss"] < 1.2 * last[-1]["metric"]["loss"]
    narrower = runs.folder(tmp_path, runs.spec(
        llama, data, epochs=1, adapter_path=str(first / "model"), **{**how, "rank": 2},
    ), "narrower")
    assert runs.here(narrower) == 1


def test_a_row_is_never_cut(built: building.Built) -> None:
    for row in [*built.corpus.train, *built.corpus.held]:
        assert isinstance(row, Row)
        assert 0 < row.start < len(row.ids) - 1
