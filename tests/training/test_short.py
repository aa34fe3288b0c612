"""Attention written out, and dropout drawn fast, are what torch's own are."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from agentos.training import dropout, packed, short

LENGTHS = [7, 7, 7, 6, 3, 3, 1]
CPU = torch.device("cpu")


def alone(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
    """Row by row, by torch's own attention."""
    done, start = [], 0
    for length in LENGTHS:
        parts = [part[start : start + length].transpose(0, 1)[None] for part in (query, key, value)]
        made = F.scaled_dot_product_attention(*parts, is_causal=causal, enable_gqa=True)
        done.append(made[0].transpose(0, 1))
        start += length
    return torch.cat(done)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("keys", [4, 2, 1])
def test_short_rows_attend_as_each_does_alone_and_pass_the_same_gradients_on(causal: bool, keys: int) -> None:
    torch.manual_seed(1)
    given = [torch.randn(sum(LENGTHS), heads, 8, dtype=torch.float64) for heads in (4, keys, keys)]
    sides = short.sides([LENGTHS[:4], LENGTHS[4:]])
    weights = torch.randn(sum(LENGTHS), 4, 8, dtype=torch.float64)
    results = []
    for way in (lambda *qkv: short.attend(*qkv, sides, scale=8**-0.5, causal=causal), lambda *qkv: alone(*qkv, causal)):
        mine = [part.clone().requires_grad_() for part in given]
        out = way(*mine)
        (out * weights).sum().backward()
        results.append([out.detach(), *(part.grad for part in mine)])
    for one, other in zip(*results, strict=True):
        assert one is not None and other is not None
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_long_rows_are_left_to_a_kernel_that_does_not_keep_their_scores() -> None:
    lengths = [short.LONGEST + 40, short.LONGEST + 39, 12, 12, 5]
    made = packed.layout(lengths, CPU)
    assert made.long == 1 and made.sides is not None and made.sides.rows == ((12, 12, 5),)
    module = nn.Module()
    module.is_causal = False  # type: ignore[assignment]
    qkv = [torch.randn(1, 2, sum(lengths), 4) for _ in range(3)]
    with packed.laid(made):
        got, _none = packed.attend(module, *qkv, None)
    with packed.laid(packed.Layout(made.groups)):
        want, _none = packed.attend(module, *qkv, None)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def test_dropout_leaves_out_its_share_keeps_the_mean_and_comes_again_with_the_seed() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1))
    dropout.swift(model)
    drop = model[1]
    given = torch.ones(1000, 301, requires_grad=True)
    torch.manual_seed(5)
    one = drop(given)
    (grad,) = torch.autograd.grad(one.sum(), given)
    assert torch.equal(one.detach(), grad)
    assert abs(float((one == 0).float().mean()) - 0.1) < 0.002
    assert abs(float(one.detach().mean()) - 1) < 0.003
    assert not torch.equal(drop(given), one)
    torch.manual_seed(5)
    assert torch.equal(drop(given), one)
    assert torch.equal(drop.eval()(given), given)
    drop.train().p = 1.0
    assert not drop(given).any()
