"""Classifiers and embedders against transformers' own forward, one text at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from agentos.engines import encoders
from agentos.errors import Failed, UserError
from agentos.types import Generation, ModelSpec, Predicted
from tests.engines import tiny

LABELS = {"id2label": {0: "bad", 1: "fine", 2: "good"}, "label2id": {"bad": 0, "fine": 1, "good": 2}}


def load(folder: Path, context: int = 4096, adapter: Path | None = None) -> encoders.Encoder:
    from transformers import AutoConfig

    spec = ModelSpec("tiny", folder, "cpu", context, adapter=adapter)
    return encoders.load(spec, AutoConfig.from_pretrained(folder), torch.device("cpu"))


def logits(folder: Path, texts: list[str]) -> torch.Tensor:
    """What transformers itself says, one text at a time and so without padding."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return torch.cat([model(**tokenizer(text, truncation=True, return_tensors="pt")).logits for text in texts])


def states(folder: Path, text: str) -> torch.Tensor:
    from transformers import AutoModel, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(**tokenizer(text, truncation=True, return_tensors="pt")).last_hidden_state[0]


def same(made: Predicted, truth: torch.Tensor) -> None:
    assert torch.allclose(torch.tensor(made.rows), truth, atol=1e-5)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("classifier"), **LABELS)


def embedder(folder: Path, **pooling: Any) -> Path:
    tiny.bert(folder, "BertModel")
    kinds = [("0", "", "Transformer"), ("1", "1_Pooling", "Pooling"), ("2", "2_Normalize", "Normalize")]
    modules = [{"idx": int(n), "name": n, "path": path, "type": f"sentence_transformers.models.{kind}"}
               for n, path, kind in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 48, **pooling}))
    return folder


def test_each_text_gets_the_probabilities_it_would_get_alone_in_the_order_given(classifier: Path) -> None:
    texts = tiny.sentences(150)
    made = load(classifier).predict(texts)
    assert made.labels == ("bad", "fine", "good")
    same(made, logits(classifier, texts).softmax(-1))
    assert len({row for row in made.rows}) > 100


def test_labels_that_do_not_exclude_each_other_get_a_probability_each(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path, **LABELS, problem_type="multi_label_classification")
    made = load(folder).predict(texts := tiny.sentences(8))
    same(made, logits(folder, texts).sigmoid())


def test_a_model_that_estimates_one_number_gives_that_number_under_no_made_up_class(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path, num_labels=1)
    made = load(folder).predict(texts := tiny.sentences(8))
    assert made.labels == ("value",)
    same(made, logits(folder, texts))


@pytest.mark.parametrize(
    ("said", "truth"),
    [
        ({"pooling_mode_mean_tokens": True}, lambda h: h.mean(0)),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, lambda h: h[0]),
        ({"pooling_mode_max_tokens": True}, lambda h: h.amax(0)),
        ({"pooling_mode": "lasttoken"}, lambda h: h[-1]),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, lambda h: h.mean(0)),
        ({"pooling_mode_weightedmean_tokens": True},
         lambda h: (h * torch.arange(1.0, len(h) + 1)[:, None]).sum(0) / torch.arange(1.0, len(h) + 1).sum()),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, lambda h: torch.cat([h[0], h.mean(0)])),
    ],
)
def test_vectors_are_pooled_as_the_models_own_files_say_and_have_length_1(tmp_path, said, truth) -> None:
    folder = embedder(tmp_path, **said)
    texts = tiny.sentences(20)
    made = load(folder).predict(texts)
    assert made.labels == ()
    expected = torch.stack([truth(states(folder, text)) for text in texts])
    same(made, torch.nn.functional.normalize(expected, dim=-1))


def test_a_step_that_is_not_applied_is_refused_and_not_left_out(tmp_path: Path) -> None:
    folder = embedder(tmp_path, pooling_mode_mean_tokens=True)
    modules = json.loads((folder / "modules.json").read_text())
    modules.insert(2, {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(Failed, match="'Dense'"):
        load(folder)


def test_a_masked_language_model_embeds_by_the_mean(tmp_path: Path) -> None:
    folder = tiny.bert(tmp_path, "BertForMaskedLM")
    made = load(folder).predict(texts := tiny.sentences(5))
    expected = torch.stack([states(folder, text).mean(0) for text in texts])
    same(made, torch.nn.functional.normalize(expected, dim=-1))


def test_what_is_too_long_is_cut_as_the_model_would_and_counted(classifier: Path) -> None:
    texts = ["good " * 200, "good film"]
    made = load(classifier).predict(texts)
    assert made.truncated == 1
    assert made.tokens == 64 + 4
    same(made, logits(classifier, texts).softmax(-1))
    assert load(classifier, context=10).predict(texts).tokens == 10 + 4


def test_a_classifier_whose_head_is_not_in_its_files_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tiny.bert(tmp_path)
    kept = {name: t for name, t in load_file(folder / "model.safetensors").items() if "classifier" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(Failed, match="lacks 2 of its weights"):
        load(folder)


def qwen(folder: Path, tokens: Path, **config: Any) -> Path:
    """A causal architecture with a head for three classes."""
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForSequenceClassification

    tokenizer: Any = AutoTokenizer.from_pretrained(tokens)
    torch.manual_seed(5)
    model: Any = Qwen2ForSequenceClassification(Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.3, **LABELS, **config,
    ))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pad", [None, 0])
def test_a_causal_architecture_classifies_at_each_texts_own_end(tmp_path, tiny_models, pad) -> None:
    folder = qwen(tmp_path, tiny_models["qwen2"], pad_token_id=pad)
    texts = tiny.sentences(40)
    made = load(folder).predict(texts)
    same(made, logits(folder, texts).softmax(-1))


def test_texts_of_like_length_go_together_and_little_is_padding() -> None:
    lengths = [1, 2, 3, 50, 51, 52, 53, 54, 400, 1000, 7, 7, 7]
    texts = [encoders._Text(at, [0] * length, [], False) for at, length in enumerate(lengths)]
    made = list(encoders.batches(texts, 512))
    assert sorted(text.at for batch in made for text in batch) == list(range(len(lengths)))
    for batch in made:
        width = max(len(text.ids) for text in batch)
        assert len(batch) == 1 or width * len(batch) <= 512
        assert sum(width - len(text.ids) for text in batch) <= 0.1 * width * len(batch)
    assert len(made) <= 7


def test_every_layer_of_every_batch_is_a_sign_of_work(classifier: Path) -> None:
    from transformers import AutoConfig

    ticks = []
    made = encoders.load(
        ModelSpec("tiny", classifier), AutoConfig.from_pretrained(classifier), torch.device("cpu"),
        lambda: ticks.append(1),
    )
    made.predict(["good", "a very good film and a very good story of the king"])
    assert len(ticks) >= 1 + 2 * (2 + 1)  # reading; two batches of two layers, and each batch's end


def test_the_role_is_what_the_files_say(tmp_path: Path) -> None:
    class Config:
        architectures = ["Qwen3ForCausalLM"]

    assert encoders.role(Config, tmp_path) == "causal"
    (tmp_path / "modules.json").write_text("[]")
    assert encoders.role(Config, tmp_path) == "embedding"
    Config.architectures = ["BertForSequenceClassification"]
    assert encoders.role(Config, tmp_path) == "classification"


async def test_a_real_process_classifies_and_writes_no_text(classifier: Path) -> None:
    from agentos.engines.host import ChildEngine

    engine = ChildEngine("transformers", threads=1)
    made = await engine.load(ModelSpec("tiny", classifier, "cpu"))
    try:
        assert made.context == 64
        texts = tiny.sentences(30)
        got = await engine.predict(texts)
        assert got.labels == ("bad", "fine", "good")
        same(got, logits(classifier, texts).softmax(-1))
        with pytest.raises(UserError, match="causal"):
            async for _ in engine.generate(Generation("one", (), 4)):
                pass
        assert not (await engine.pulse()).busy
        assert (await engine.predict([])).rows == ()
    finally:
        await engine.unload()


async def test_a_causal_model_says_that_it_predicts_nothing(tiny_models: dict[str, Path]) -> None:
    from agentos.engines.host import ChildEngine

    engine = ChildEngine("transformers", threads=1)
    await engine.load(ModelSpec("tiny", tiny_models["qwen2"], "cpu"))
    try:
        with pytest.raises(UserError, match="writes text"):
            await engine.predict(["good"])
    finally:
        await engine.unload()


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="session")
async def test_the_real_embedder_puts_like_sentences_together_and_pads_without_a_trace(home) -> None:
    from agentos.engines.make import maker
    from agentos.models.service import ModelService
    from agentos.policy.trash import TrashCan
    from agentos.store import Store

    store = Store(home.database)
    service = ModelService(home, store, maker(home), TrashCan(store, home))
    try:
        path = Path((await service.pull("all-minilm-l6")).path)
    finally:
        await service.close()
    made = load(path)
    texts = ["A cat sits on the mat.", "A kitten rests on a rug.", "The stock market fell sharply today."]
    texts.append("word " * 400)
    got = made.predict(texts)
    vectors = torch.tensor(got.rows)
    near = vectors @ vectors.T
    assert near[0, 1] > 0.5
    assert near[0, 2] < 0.3
    assert (made.context, got.truncated) == (256, 1)
    alone = torch.cat([torch.tensor(made.predict([text]).rows) for text in texts])
    assert torch.allclose(alone, vectors, atol=1e-5)
    reference = torch.stack([states(path, text).mean(0) for text in texts[:3]])
    same(Predicted((), got.rows[:3]), torch.nn.functional.normalize(reference, dim=-1))


def test_a_form_that_was_measured_once_is_not_measured_again(classifier: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from agentos.engines.transformers import Backend

    folder, kept = tmp_path / "model", tmp_path / "kept"
    AutoModelForSequenceClassification.from_pretrained(classifier).bfloat16().save_pretrained(folder)
    AutoTokenizer.from_pretrained(classifier).save_pretrained(folder)
    spec = ModelSpec("tiny", folder, "cpu", settings={"kv_cache": str(kept)})
    with torch.no_grad():  # as an engine's own process is, and this one again afterwards
        Backend().load(spec, lambda _done, _total: None)
        [file] = kept.glob("form-*.json")
        for form, dtype in (("bfloat16", "bfloat16"), ("float16 packed", "float32")):
            file.write_text(json.dumps({"form": form}), "utf-8")
            assert Backend().load(spec, lambda _done, _total: None)["dtype"] == dtype
