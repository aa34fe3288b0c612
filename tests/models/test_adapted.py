"""Adapters and classifiers in the store: pulled from a folder, named after what they are, loaded over their base."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import torch

from agentos.config import Settings
from agentos.engines.make import maker
from agentos.errors import Failed, UserError
from agentos.models import adapted
from agentos.models.service import ModelService
from agentos.models.shelf import Shelf, read_manifest
from agentos.policy.trash import TrashCan
from agentos.store import Store
from tests.engines import tiny
from tests.models.conftest import Told


class Ctx:
    """What a call is given, as far as these calls reach."""

    def __init__(self) -> None:
        self.progress = Told()

    async def text(self, delta: str) -> None:
        pass


@pytest.fixture(scope="module")
def adapter(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter trained over `tiny-base`, under the id that its base has on some hub."""
    import peft
    from transformers import AutoModelForCausalLM

    out = tmp_path_factory.mktemp("adapter")
    model = AutoModelForCausalLM.from_pretrained(tiny_models["qwen2"], dtype=torch.float32)
    rows = torch.randint(3, 200, (4, 24), generator=torch.Generator().manual_seed(1))
    said = peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"])
    tiny.train(model, out, rows, rows, said)
    return renamed(out, "tiny-base")


def renamed(folder: Path, base: Any, **values: Any) -> Path:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "base_model_name_or_path": base, **values}))
    return folder


@pytest.fixture
async def models(settings: Settings) -> AsyncIterator[ModelService]:
    store, make = Store(settings.database), maker(settings)
    made = ModelService(settings, store, make, TrashCan(store, settings))
    yield made
    await made.close()
    make.close()
    store.close()


async def test_an_adapters_name_loads_its_base_with_it(models, tiny_models, adapter, settings) -> None:
    await models.pull("tiny-base", str(tiny_models["qwen2"]))
    await models.pull("mine", str(adapter))
    stored = Shelf(settings.models).get("mine")
    assert stored is not None and (stored.kind, stored.base) == ("adapter", "tiny-base")
    assert set(stored.weights) == {"adapter_model.safetensors"} and stored.parameters > 0
    plain = await models.generate("tiny-base", "def load(", 12, Ctx())
    changed = await models.generate("mine", "def load(", 12, Ctx())
    assert changed.model == "mine" and changed.text != plain.text
    card = models.card("mine")
    assert card.base == "tiny-base" and card.kind == "adapter"
    assert card.needs > models.card("tiny-base").on_disk


async def test_an_adapter_whose_base_is_not_here_says_what_to_pull(models, adapter) -> None:
    await models.pull("mine", str(adapter))
    assert models.card("mine").needs
    with pytest.raises(Failed, match="adapter for 'tiny-base', which is not on this machine.*models.pull"):
        await models.load("mine")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Qwen/Qwen2.5-Coder-0.5B-Instruct", "qwen2.5-coder-0.5b"), ("tiny-base", "tiny-base"),
        ("/somewhere/models/tiny-base", "tiny-base"), ("/somewhere/models/me--own", "me/own"),
        ("who/knows", "who/knows"),
    ],
)
def test_a_base_is_known_by_its_hub_id_its_name_and_its_folder(said: str, name: str) -> None:
    assert adapted.named(said, ["tiny-base", "me/own"]) == name


@pytest.mark.parametrize(
    ("base", "kind", "why"), [("tiny-base", "IA3", "LoRA"), (None, "LORA", "does not name the model")]
)
async def test_what_is_no_lora_adapter_or_names_no_base_is_not_stored(models, adapter, tmp_path, *, base, kind, why):
    folder = tmp_path / "strange"
    shutil.copytree(adapter, folder)
    renamed(folder, base, peft_type=kind)
    with pytest.raises(Failed, match=why):
        await models.pull("strange", str(folder))
    assert "strange" not in {row.model for row in models.listing("stored").models}


async def test_an_adapter_in_a_pickle_or_cut_short_is_not_stored(models, adapter, tmp_path) -> None:
    pickled, short = tmp_path / "pickled", tmp_path / "short"
    shutil.copytree(adapter, pickled)
    (pickled / "adapter_model.safetensors").unlink()
    torch.save({}, pickled / "adapter_model.bin")
    with pytest.raises(Failed, match="adapter_model.bin is a pickle"):
        await models.pull("pickled", str(pickled))
    shutil.copytree(adapter, short)
    whole = (short / "adapter_model.safetensors").read_bytes()
    (short / "adapter_model.safetensors").write_bytes(whole[:-100])
    with pytest.raises(Failed, match="refused"):
        await models.pull("short", str(short))


async def test_a_classifier_is_stored_as_one_and_labels_texts(models, tmp_path, settings) -> None:
    folder = tmp_path / "classifier"
    folder.mkdir()
    tiny.bert(folder, id2label={0: "bad", 1: "fine", 2: "good"}, label2id={"bad": 0, "fine": 1, "good": 2})
    await models.pull("reviews", str(folder))
    stored = Shelf(settings.models).get("reviews")
    assert stored is not None and stored.kind == "classification"
    made = await models.predict("reviews", ["good film", "dull story"], Ctx())
    assert [set(item.scores) for item in made.predictions] == [{"bad", "fine", "good"}] * 2
    assert all(abs(sum(item.scores.values()) - 1) < 1e-5 for item in made.predictions)
    with pytest.raises(UserError, match="writes no text"):
        await models.generate("reviews", "hello", 4, Ctx())


def test_a_manifest_from_before_bases_still_reads(tmp_path: Path) -> None:
    old = {
        "name": "old", "description": "", "licence": "MIT", "kind": "causal", "parameters": 1, "context": 1,
        "source": "", "download": 1, "sha256": "", "pinned": False, "weights": {}, "size": 1, "seconds": 0.0,
    }
    (tmp_path / "model.json").write_text(json.dumps(old))
    stored = read_manifest(tmp_path)
    assert stored is not None and stored.base == ""
