"""Weights in another form give the same figures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from agentos.engines.packing import PackedLinear, Packing
from agentos.engines.weights import FORMS, Head, fastest, give_back, prepare, remembered

packed = pytest.mark.skipif(
    "fbgemm" not in torch.backends.quantized.supported_engines, reason="this processor has no FBGEMM"
)


@packed
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tokens", [1, 24])
def test_a_packed_layer_equals_the_plain_one_within_half_precision(monkeypatch, bias, tokens):
    monkeypatch.setattr(torch.backends.quantized, "engine", "fbgemm")
    torch.manual_seed(1)
    plain = nn.Linear(96, 160, bias=bias)
    hidden = torch.randn(1, tokens, 96)
    with torch.no_grad():
        expected, given = plain(hidden), PackedLinear(plain)(hidden)
    assert given.shape == expected.shape and given.dtype == torch.float32
    # rounding each weight to 11 bits moves a sum of 96 products by at most that share of their sizes
    bound = (hidden.abs() @ plain.weight.abs().T) * 2**-11 + 1e-5
    assert bool(((given - expected).abs() <= bound).all())


@packed
def test_weights_of_a_checkpoint_in_bf16_lose_nothing_by_being_packed(monkeypatch):
    monkeypatch.setattr(torch.backends.quantized, "engine", "fbgemm")
    torch.manual_seed(1)
    plain = nn.Linear(64, 64, bias=False)
    plain.weight.data = plain.weight.data.bfloat16().float()
    with torch.no_grad():
        assert torch.allclose(PackedLinear(plain)(torch.eye(64)), plain(torch.eye(64)), atol=1e-6)


class Two(nn.Module):
    """Two packed layers, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = [PackedLinear(nn.Linear(64, 64).bfloat16()) for _ in range(2)]

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.layers[1](self.layers[0](hidden))


@packed
@pytest.mark.parametrize("when", ["in time", "while idle"])
def test_layers_are_packed_after_the_first_pass_or_before_and_multiply_the_same(monkeypatch, when):
    monkeypatch.setattr(torch.backends.quantized, "engine", "fbgemm")
    told = []
    with torch.no_grad():
        expected = Two()(hidden := torch.randn(3, 64))
        model = Two()
        packing = Packing(model, model.layers, lambda: told.append("packed"), lambda: told.append("one"))
        if when == "while idle":
            packing.step()
            assert packing.waiting and told == ["one"], "each is a sign that the work goes forward"
        first, waiting = model(hidden), [layer.size for layer in model.layers]
        assert waiting == [0 if when == "while idle" else 64 * 64, 64 * 64]
        if when == "while idle":
            packing.step()
        second = model(hidden)
    assert not packing.waiting and told == ["one", "one", "packed"] and [layer.size for layer in model.layers] == [0, 0]
    assert torch.equal(second, expected), "what was packed late is what would have been packed at once"
    assert torch.allclose(first, second, atol=1e-5)
    packing.step()
    assert told == ["one", "one", "packed"]


@packed
def test_a_model_read_from_files_gives_the_same_figures_packed_and_not_and_lets_its_file_go(tiny, monkeypatch):
    from transformers import AutoModelForCausalLM

    monkeypatch.setattr(torch.backends.quantized, "engine", "fbgemm")
    monkeypatch.setattr("agentos.engines.weights.fastest", lambda _weight: "float16 packed")
    ids, told = torch.tensor([[5, 90, 17, 200, 33]]), []
    with torch.no_grad():
        plain = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()
        expected = plain.model(input_ids=ids).last_hidden_state
        model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16).eval()
        made = prepare(model, torch.device("cpu"), lambda done, total: told.append((done, total)))
        first, second, third = (model.model(input_ids=ids).last_hidden_state for _ in range(3))
    assert made.form == "float16 packed" and made.packing is not None and not made.packing.waiting
    assert torch.allclose(first, expected, atol=1e-3 * float(expected.abs().max()))
    assert torch.allclose(second, expected, atol=1e-3 * float(expected.abs().max()))
    assert torch.allclose(first, second, atol=1e-4 * float(expected.abs().max()))
    assert torch.equal(second, third)
    assert told == sorted(told) and told[-1][0] == told[-1][1]
    tied = model.config.tie_word_embeddings
    with open("/proc/self/maps", encoding="utf-8") as maps:
        assert tied is False or str(tiny) not in maps.read()


def test_a_form_is_measured_once_for_a_processor_and_remembered(tmp_path, monkeypatch):
    weight = torch.randn(64, 32)
    form = remembered(weight, tmp_path / "kept")
    assert form in FORMS

    def never(_weight: object) -> str:
        raise AssertionError("measured again")

    monkeypatch.setattr("agentos.engines.weights.fastest", never)
    assert remembered(weight, tmp_path / "kept") == form
    with pytest.raises(AssertionError, match="measured again"):
        remembered(torch.randn(32, 64), tmp_path / "kept")
    (file,) = (tmp_path / "kept").iterdir()
    file.write_text("{", "utf-8")
    with pytest.raises(AssertionError, match="measured again"):
        remembered(weight, tmp_path / "kept")


@pytest.mark.parametrize("count", [1, 10, 400])
def test_the_head_over_some_tokens_equals_the_head_over_all(count):
    torch.manual_seed(1)
    head, hidden = Head(torch.randn(500, 64).bfloat16()), torch.randn(64)
    allowed = torch.randperm(500)[:count]
    full, some = head.logits(hidden), head.logits(hidden, allowed)
    assert (head.size, len(full), len(some)) == (500, 500, count)
    assert some.dtype == full.dtype == torch.float32
    assert torch.allclose(some, full[allowed], atol=0.01 * float(full.abs().max()))


def test_a_form_is_chosen_among_those_this_processor_has():
    assert fastest(torch.randn(64, 32)) in {"float32", "float16 packed", "bfloat16"}


def test_memory_is_given_back_where_the_c_library_can_and_nothing_fails_where_not(monkeypatch):
    give_back()

    def none(_name: object) -> object:
        raise OSError("no such library")

    monkeypatch.setattr("ctypes.CDLL", none)
    give_back()
