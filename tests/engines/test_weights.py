"""Weights in another form give the same figures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from agentos.engines.weights import Head, PackedLinear, fastest, give_back

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
