"""LoRA adapters trained here for a few steps, against PEFT's own unmerged model."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from agentos.engines import adapters
from agentos.errors import Failed
from agentos.types import Completed, Generation, ModelSpec, Prompt
from tests.engines import tiny

EVERY = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ROWS = torch.randint(3, 200, (4, 24), generator=torch.Generator().manual_seed(1))


def causal(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ROWS).logits


def lora(**rest: Any) -> Any:
    import peft

    return peft.LoraConfig(**{"task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 16, "target_modules": EVERY, **rest})


def trained(folder: Path, out: Path, **rest: Any) -> Any:
    return tiny.train(causal(folder), out, ROWS, ROWS, lora(**rest))


@pytest.fixture(scope="module")
def adapter(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(11)
    trained(tiny_models["qwen2"], out)
    return out


@pytest.mark.parametrize(
    "form",
    [
        {}, {"use_rslora": True}, {"use_dora": True}, {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
        {"modules_to_save": ["norm"]},
    ],
    ids=["lora", "rslora", "dora", "patterns", "whole layers"],
)
def test_a_merged_adapter_answers_as_peft_does_unmerged(tiny_models, tmp_path, form) -> None:
    base = tiny_models["qwen2"]
    reference = logits(trained(base, tmp_path, **form))
    plain = logits(causal(base))
    merged = adapters.apply(causal(base), tmp_path)
    assert (reference - plain).abs().max() > 1
    assert torch.allclose(logits(merged), reference, atol=2e-3, rtol=1e-3)
    assert type(merged) is type(causal(base))
    assert not any(parameter.requires_grad for parameter in merged.parameters())
    assert not [name for name, _ in merged.named_modules() if "lora" in name or "base_layer" in name]


def test_16_bit_weights_stay_so_and_are_rounded_once(tiny_models, tmp_path) -> None:
    from transformers import AutoModelForCausalLM

    base = tiny_models["qwen2"]
    trained(base, tmp_path)
    exact = dict(adapters.apply(causal(base), tmp_path).named_parameters())
    half = adapters.apply(AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16), tmp_path)
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}
    for name, parameter in half.named_parameters():
        assert torch.equal(parameter, exact[name].bfloat16()), name


@pytest.mark.parametrize("end", ["lm_head", "embed_tokens"])
def test_one_end_of_a_tied_model_changes_without_the_other(tiny_models, tmp_path, end) -> None:
    base = tiny_models["qwen2"]
    assert causal(base).config.tie_word_embeddings
    reference = logits(trained(base, tmp_path, target_modules=[*EVERY, end]))
    merged = adapters.apply(causal(base), tmp_path)
    assert torch.allclose(logits(merged), reference, atol=5e-3, rtol=1e-3)
    assert merged.get_input_embeddings().weight is not merged.get_output_embeddings().weight


def test_an_adapter_of_another_architecture_is_refused(tiny_models, adapter, tmp_path) -> None:
    from transformers import AutoModel

    tiny.bert(tmp_path, "BertModel")
    with pytest.raises(Failed, match="does not fit its base model"):
        adapters.apply(AutoModel.from_pretrained(tmp_path), adapter)


@pytest.mark.parametrize("layers", [1, 3])
def test_an_adapter_of_a_shallower_or_deeper_model_is_refused(tiny_models, adapter, layers) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(tiny_models["qwen2"])
    config.num_hidden_layers, config.layer_types = layers, ["full_attention"] * layers
    with pytest.raises(Failed, match="has no place for" if layers == 1 else "no weights for"):
        adapters.apply(AutoModelForCausalLM.from_config(config), adapter)


def test_an_adapter_of_a_wider_model_is_refused(tiny_models, adapter) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(tiny_models["qwen2"])
    config.hidden_size = 32
    with pytest.raises(Failed, match="size mismatch.*Nothing was loaded"):
        adapters.apply(AutoModelForCausalLM.from_config(config), adapter)


def changed(adapter: Path, folder: Path, **values: Any) -> Path:
    shutil.copytree(adapter, folder, dirs_exist_ok=True)
    said = json.loads((folder / adapters.CONFIG).read_text())
    (folder / adapters.CONFIG).write_text(json.dumps({**said, **values}))
    return folder


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"megatron_config": {"a": 1}, "megatron_core": "antigravity"}, "megatron_config"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"peft_type": "PROMPT_TUNING"}, "PROMPT_TUNING"),
        ({"target_modules": ["nothing_like_it"]}, "does not fit"),
    ],
)
def test_what_is_not_plain_lora_is_refused(tiny_models, adapter, tmp_path, values, why) -> None:
    with pytest.raises(Failed, match=why):
        adapters.apply(causal(tiny_models["qwen2"]), changed(adapter, tmp_path / "changed", **values))


def test_a_pickled_adapter_is_never_opened(tiny_models, adapter, tmp_path) -> None:
    folder = changed(adapter, tmp_path / "pickled")
    trap = tmp_path / "sprung"
    (folder / adapters.WEIGHTS).unlink()

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return trap.touch, ()

    torch.save({"weights": Trap()}, folder / "adapter_model.bin")
    with pytest.raises(Failed, match="adapter_model.safetensors is missing"):
        adapters.apply(causal(tiny_models["qwen2"]), folder)
    assert not trap.exists()


def test_a_damaged_adapter_is_refused(tiny_models, adapter, tmp_path) -> None:
    folder = changed(adapter, tmp_path / "damaged")
    (folder / adapters.WEIGHTS).write_bytes((folder / adapters.WEIGHTS).read_bytes()[:500])
    with pytest.raises(Failed, match="cannot be read"):
        adapters.apply(causal(tiny_models["qwen2"]), folder)


def classes(base: Path, out: Path, **config: Any) -> tuple[Any, list[str], Any]:
    """An adapter that makes a classifier of a causal model: the reference, texts, and their tokenizer."""
    import peft
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    torch.manual_seed(2)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3, dtype=torch.float32)
    model.config.pad_token_id = 0
    said = peft.LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"])
    reference = tiny.train(model, out, ROWS[:3], torch.tensor([0, 1, 2]), said)
    return reference, tiny.sentences(12), tokenizer


def test_a_causal_model_becomes_a_classifier_by_its_adapters_head(tiny_models, tmp_path) -> None:
    from transformers import AutoConfig

    from agentos.engines import encoders

    base = tiny_models["llama"]
    reference, texts, tokenizer = classes(base, tmp_path)
    assert adapters.head(tmp_path) == ("LABEL_0", "LABEL_1", "LABEL_2")
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"0": "bad", "1": "fine", "2": "good"}}))
    spec = ModelSpec("tiny", base, "cpu", adapter=tmp_path)
    encoder = encoders.load(spec, AutoConfig.from_pretrained(base), torch.device("cpu"))
    made = encoder.predict(texts)
    near = 1e-3 if encoder.dtype == "float32" else 0.03  # in 16 bits where this processor is measured to be faster so
    assert made.labels == ("bad", "fine", "good")
    with torch.no_grad():
        truth = torch.cat([reference(**tokenizer(text, return_tensors="pt")).logits for text in texts]).softmax(-1)
    assert torch.allclose(torch.tensor(made.rows), truth, atol=near)
    clear = truth.sort(-1).values.diff(dim=-1)[:, -1] > 2 * near
    assert clear.any() and bool((truth.argmax(-1) == torch.tensor(made.rows).argmax(-1))[clear].all())


@pytest.mark.parametrize("labels", [3, 2], ids=["the same classes", "other classes"])
def test_an_encoders_adapter_changes_its_classes(tmp_path, labels) -> None:
    import peft
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from agentos.engines import encoders
    from tests.engines.test_encoders import load

    base, out = tiny.bert(tmp_path / "base", num_labels=labels), tmp_path / "adapter"
    said = peft.LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=16, target_modules=["query", "value"])
    config = AutoConfig.from_pretrained(base)
    config.num_labels = 3
    model = AutoModelForSequenceClassification.from_pretrained(base, config=config, ignore_mismatched_sizes=True)
    reference = tiny.train(model, out, ROWS[:3] % 20 + 5, torch.tensor([0, 1, 2]), said)
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    texts = tiny.sentences(20)
    spec = ModelSpec("tiny", base, "cpu", adapter=out)
    made = torch.tensor(encoders.load(spec, AutoConfig.from_pretrained(base), torch.device("cpu")).predict(texts).rows)
    with torch.no_grad():
        truth = torch.cat([reference(**tokenizer(text, return_tensors="pt")).logits for text in texts]).softmax(-1)
    assert torch.allclose(made, truth, atol=1e-4)
    plain = torch.tensor(load(base).predict(texts).rows)
    assert plain.shape[1] == labels
    assert (made[:, :labels] - plain).abs().max() > 0.1


async def said(adapter: Path | None, base: Path, prompt: str) -> str:
    """Greedy text of a real engine process."""
    from agentos.engines.host import ChildEngine

    engine = ChildEngine("transformers", threads=1)
    await engine.load(ModelSpec("tiny", base, "cpu", adapter=adapter))
    try:
        async for item in engine.generate(Generation("one", Prompt(prompt), 16)):
            if isinstance(item, Completed):
                return item.text
    finally:
        await engine.unload()
    raise AssertionError("an answer ended without saying so")


async def test_a_real_process_writes_what_peft_writes(tiny_models, adapter) -> None:
    import peft
    from transformers import AutoTokenizer

    base = tiny_models["qwen2"]
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft calls what transformers has renamed
        reference: Any = peft.PeftModel.from_pretrained(causal(base), str(adapter))
    # weights of 16 bits may turn a close choice: of many prompts the one whose answer begins with the clearest
    words = [word for at in range(3, 200) if len(tokenizer(word := tokenizer.decode([at])).input_ids) == 1]
    with torch.no_grad():
        first = reference(input_ids=tokenizer(words, return_tensors="pt").input_ids).logits[:, -1].topk(2).values
    prompt = words[int((first[:, 0] - first[:, 1]).argmax())]
    ids = tokenizer(prompt, return_tensors="pt").input_ids
    with torch.no_grad():
        out = reference.generate(input_ids=ids, max_new_tokens=16, do_sample=False, pad_token_id=0,
                                 return_dict_in_generate=True, output_scores=True)
    margins = [float(top[0] - top[1]) for top in (score[0].topk(2).values for score in out.scores)]
    clear = next((at for at, margin in enumerate(margins) if margin < 0.5), len(margins))
    assert clear, margins
    truth = tokenizer.decode(out.sequences[0, ids.shape[1]: ids.shape[1] + clear])
    with_it, without = await said(adapter, base, prompt), await said(None, base, prompt)
    assert with_it.startswith(truth) and not without.startswith(truth)
    assert with_it != without


async def test_a_load_without_an_adapter_does_not_import_peft(tiny_models) -> None:
    import subprocess
    import sys

    code = ("import sys; from pathlib import Path; from agentos.types import ModelSpec\n"
            "from agentos.engines.transformers import Backend\n"
            "Backend().load(ModelSpec('t', Path(sys.argv[1]), 'cpu'), lambda *_: None)\n"
            "print('peft' in sys.modules)")
    asked = [sys.executable, "-c", code, str(tiny_models["qwen2"])]
    run = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
