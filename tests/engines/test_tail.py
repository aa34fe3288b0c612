"""An adapter beside the weights acts on a request's own part, and on nothing that requests share."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from agentos.engines import adapters
from agentos.errors import Failed
from agentos.types import Prompt

Make = Callable[..., Any]
SHOWN, ASKED = "the quick brown fox jumps over", " the lazy dog"


@pytest.fixture
def adapter(tiny: Path, tmp_path: Path) -> Path:
    import peft
    from transformers import AutoModelForCausalLM

    torch.manual_seed(4)
    with torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
        wrapped = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "up_proj"]))
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
    wrapped.save_pretrained(str(tmp_path / "adapter"))
    return tmp_path / "adapter"


def hidden(engine: Any, prompt: Prompt, adapted: bool) -> torch.Tensor:
    """The last hidden state of a prompt as the engine reads it."""
    backend = engine.backend
    with torch.no_grad():
        pending, _total = backend._lay(prompt, adapted)
        with backend._adapted(adapted):
            return backend._forward(pending, 1)[0].clone()


def test_without_being_asked_it_changes_nothing(load: Make, adapter: Path) -> None:
    engine = load()
    prompt = Prompt(SHOWN, (), ASKED)
    before = engine(prompt).text
    assert engine.backend.adapt(adapter)
    assert engine(prompt).text == before
    assert not torch.allclose(hidden(engine, prompt, True), hidden(engine, prompt, False), atol=1e-4)
    assert not engine.backend.adapt(None)
    assert engine(prompt, adapted=True).text == before


def test_it_acts_as_merged_weights_would_on_the_tail_alone(load: Make, tiny: Path, adapter: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    engine = load()
    engine.backend.adapt(adapter)
    got = hidden(engine, Prompt(SHOWN, (), ASKED), True)
    words = AutoTokenizer.from_pretrained(tiny)
    base = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()
    before = torch.tensor([words(SHOWN, add_special_tokens=False)["input_ids"]])
    after = torch.tensor([words(ASKED, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        states = base.model(before, use_cache=True).past_key_values
        merged = adapters.apply(AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32), adapter).eval()
        want = merged.model(after, past_key_values=states, use_cache=True).last_hidden_state[0, -1]
    assert torch.allclose(got, want, atol=1e-2)  # shared states are kept in half precision


def test_what_requests_share_is_computed_once_whichever_adapter_acts(load: Make, adapter: Path) -> None:
    engine = load()
    prompt = Prompt(SHOWN, (), ASKED)
    engine.backend.adapt(adapter)
    first = engine(prompt, adapted=True)
    again = engine(prompt, adapted=True)
    assert again.cached_tokens > 0 and again.text == first.text
    plain = engine(Prompt(SHOWN + ASKED))
    engine.backend.adapt(None)
    assert engine(Prompt(SHOWN + ASKED)).text == plain.text


def test_a_plan_under_a_grammar_says_how_sure_it_is(load: Make) -> None:
    engine = load()
    sure = engine(Prompt(SHOWN, (), ASKED), grammar='start: "a" | "b" | "c"').confidence
    assert sure is not None and 0 < sure <= 1
    assert engine(Prompt(SHOWN, (), ASKED)).confidence is None


def test_one_for_another_model_is_refused_and_the_earlier_one_stays(load: Make, adapter: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    engine = load()
    engine.backend.adapt(adapter)
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "adapter_config.json").write_text((adapter / "adapter_config.json").read_text())
    weights = load_file(str(adapter / "adapter_model.safetensors"))
    save_file({name: torch.zeros(3, 3) for name in weights}, str(wrong / "adapter_model.safetensors"))
    with pytest.raises(Failed, match="other sizes"):
        engine.backend.adapt(wrong)
    assert engine.backend._tail is not None
    with pytest.raises(Failed, match="cannot be laid"):
        engine.backend.adapt(tmp_path / "nowhere")
