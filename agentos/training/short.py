"""Attention of short rows on a processor, written out: products of whole groups, and nothing between them.

A kernel that never holds a row's scores pays off where rows are long. For rows of a sentence or two the scores are
small, and most of such a kernel's time goes into what is around the products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

LONGEST = 160
"""Tokens of a row up to which its scores are kept."""


@dataclass(frozen=True)
class Sides:
    """Groups of rows of like length, side by side, each filled up to its longest row."""

    rows: tuple[tuple[int, ...], ...]
    """Tokens of each row, group by group; rows lie one behind the other in the line of tokens."""
    found: dict[tuple[int, int], tuple[Tensor, Tensor, Tensor]] = field(default_factory=dict)

    @cached_property
    def masks(self) -> tuple[Tensor | None, ...]:
        """[rows, 1, 1, width] of each group: where there is nothing; None where all of its rows are equally long."""
        made: list[Tensor | None] = []
        for lengths in self.rows:
            sizes = torch.tensor(lengths)
            full = min(lengths) == max(lengths)
            made.append(None if full else (torch.arange(max(lengths)) >= sizes[:, None])[:, None, None])
        return tuple(made)

    def index(self, heads: int, keys: int) -> tuple[Tensor, Tensor, Tensor]:
        """Which of the line's [tokens * heads] each place is, for queries and for keys; and where each one lies.

        What fills a row up is its first token: no query sees it, and no gradient comes from it.

        Args:
            heads: Of queries.
            keys: Heads of keys, of which each serves several of queries.
        """
        if (heads, keys) in self.found:
            return self.found[heads, keys]
        one, two, back = [], [], []
        start = base = 0
        head = torch.arange(heads)[:, None]
        for lengths in self.rows:
            width = max(lengths)
            sizes = torch.tensor(lengths)
            starts = start + sizes.cumsum(0) - sizes
            at = torch.arange(width)
            there = at < sizes[:, None]
            token = torch.where(there, starts[:, None] + at, starts[:, None])[:, None]  # [rows, 1, width]
            one.append((token * heads + head).flatten())
            two.append((token * keys + head // (heads // keys)).flatten())
            place = base + (torch.arange(len(lengths))[:, None] * heads) * width + at  # of the first head
            back.append((place[there][:, None] + torch.arange(heads) * width).flatten())
            start += int(sizes.sum())
            base += len(lengths) * heads * width
        self.found[heads, keys] = torch.cat(one), torch.cat(two), torch.cat(back)
        return self.found[heads, keys]


@dataclass(frozen=True)
class _How:
    sides: Sides
    scale: float
    causal: bool


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, how: _How) -> Tensor:
        sides = how.sides
        tokens, heads, size = query.shape
        keys = key.shape[1]
        one, two, back = sides.index(heads, keys)
        q = query.reshape(-1, size).index_select(0, one).mul_(how.scale)
        k, v = (part.reshape(-1, size).index_select(0, two) for part in (key, value))
        out, chances, at = torch.empty_like(q), [], 0
        for lengths, mask in zip(sides.rows, sides.masks, strict=True):
            rows, width = len(lengths), max(lengths)
            part = slice(at, at := at + rows * heads * width)
            shape = (rows * heads, width, size)
            scores = torch.bmm(q[part].view(shape), k[part].view(shape).transpose(1, 2)).float()
            if how.causal:  # of what is filled up each token sees only what comes after it
                scores.masked_fill_(torch.ones(width, width, dtype=torch.bool).triu_(1), -torch.inf)
            elif mask is not None:
                scores.view(rows, heads, width, width).masked_fill_(mask, -torch.inf)
            chances.append(scores.softmax(-1).to(v.dtype))
            torch.bmm(chances[-1], v[part].view(shape), out=out[part].view(shape))
        ctx.save_for_backward(q, k, v, back, *chances)
        ctx.how, ctx.keys = how, keys
        return out.index_select(0, back).view(tokens, heads, size)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, back, *chances = ctx.saved_tensors
        tokens, heads, size = grads[0].shape
        grad = torch.zeros_like(q).index_copy_(0, back, grads[0].to(q.dtype).reshape(-1, size))
        made = [torch.empty_like(q) for _ in range(3)]
        at = 0
        for lengths, chance in zip(ctx.how.sides.rows, chances, strict=True):
            rows, width = len(lengths), max(lengths)
            part = slice(at, at := at + rows * heads * width)
            shape = (rows * heads, width, size)
            mine = grad[part].view(shape)
            of_q, of_k, of_v = (one[part].view(shape) for one in made)
            torch.bmm(chance.transpose(1, 2), mine, out=of_v)
            of_chance = torch.bmm(mine, v[part].view(shape).transpose(1, 2))
            scores = torch._softmax_backward_data(of_chance, chance, -1, chance.dtype)
            torch.bmm(scores, k[part].view(shape), out=of_q)
            torch.bmm(scores.transpose(1, 2), q[part].view(shape), out=of_k)
        made[0].mul_(ctx.how.scale)
        lines = [one.index_select(0, back).view(tokens, heads, size) for one in made]
        if ctx.keys != heads:
            lines[1:] = [one.view(tokens, ctx.keys, heads // ctx.keys, size).sum(2) for one in lines[1:]]
        return *lines, None


def attend(query: Tensor, key: Tensor, value: Tensor, sides: Sides, *, scale: float, causal: bool) -> Tensor:
    """Attention of each row to itself alone.

    Args:
        query: [tokens, heads, size].
        key: [tokens, heads of keys, size].
        value: As `key`.
        sides: How the rows are laid side by side.
        scale: Of the products.
        causal: Whether a token sees only those before it and itself.
    """
    kind = value.dtype  # where products are made in half precision, rotated queries and keys come in full
    with torch.autocast("cpu", enabled=False):
        query, key = query.to(kind), key.to(kind)
        done: Tensor = _Attention.apply(query, key, value, _How(sides, scale, causal))  # type: ignore[no-untyped-call]
    return done


def sides(groups: Sequence[Sequence[int]]) -> Sides:
    """Groups of rows, given by the rows' lengths."""
    return Sides(tuple(tuple(group) for group in groups))
