"""Attention within rows that lie one behind the other in a single line of tokens, without any padding.

All layers but attention see [1, tokens, hidden]: nothing is computed for padding, and a batch may mix lengths. For
attention, rows of like length are laid side by side; what is filled up there is a small part of a small part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from agentos.training import following_attention as following
from agentos.training import short

NAME = "agentos_packed"
_WASTE = {"cpu": 1.25, "cuda": 16.0}
"""How many times the tokens of a group its padded form may be: a GPU has one large product sooner than many small."""


@dataclass(frozen=True)
class Group:
    """Rows of like length that lie one behind the other."""

    start: int
    end: int
    rows: int
    width: int
    slots: Tensor | None
    """[end - start]: where each token lies in [rows * width]; None where all rows are equally long."""
    mask: Tensor | None
    """[rows, 1, 1, width]: where there are tokens."""


@dataclass(frozen=True)
class Layout:
    """How a line's rows are laid side by side, twice: whatever attends, and for those that are short."""

    groups: tuple[Group, ...]
    long: int = 0
    """How many of the groups are none of the short rows."""
    sides: short.Sides | None = None
    """The short rows, which come last; only on a processor."""
    before: Sequence[tuple[Tensor, Tensor]] = ()
    """Of each layer, keys and values [1, heads, tokens, size] of what all rows follow."""
    seen: Tensor | None = None
    """[1, 1, tokens, tokens before and tokens]: what each token of rows that follow something sees."""


class _State:
    layout = Layout(())


def layout(lengths: Sequence[int], device: torch.device) -> Layout:
    """How rows, the longest first, are laid side by side."""
    made = groups(lengths, device)
    if device.type != "cpu":
        return Layout(made, len(made))
    long = sum(group.width > short.LONGEST for group in made)
    parts, at = [], sum(group.rows for group in made[:long])
    for group in made[long:]:
        parts.append(lengths[at : at + group.rows])
        at += group.rows
    return Layout(made, long, short.sides(parts) if parts else None)


def behind(lengths: Sequence[int], before: Sequence[tuple[Tensor, Tensor]], device: torch.device) -> Layout:
    """Rows that all follow the same tokens, of which each layer's keys and values are there."""
    count, total = before[0][0].shape[2], sum(lengths)
    row = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    own = (row[:, None] == row).tril_()
    seen = torch.cat([torch.ones(total, count, dtype=torch.bool), own], 1)
    return Layout((), before=before, seen=seen[None, None].to(device))


def groups(lengths: Sequence[int], device: torch.device) -> tuple[Group, ...]:
    """Rows, the longest first, cut into groups of like length."""
    found: list[Group] = []
    at = start = 0
    waste = _WASTE.get(device.type, 1.25)
    while at < len(lengths):
        width, end, rows, real = lengths[at], start, 0, 0
        while at < len(lengths) and width * (rows + 1) <= waste * (real + lengths[at]):
            real += lengths[at]
            rows, at = rows + 1, at + 1
        end = start + real
        slots = mask = None
        if real != rows * width:
            sizes = torch.tensor(lengths[at - rows : at])
            there = torch.arange(width) < sizes[:, None]
            slots, mask = there.flatten().nonzero()[:, 0].to(device), there[:, None, None].to(device)
        found.append(Group(start, end, rows, width, slots, mask))
        start = end
    return tuple(found)


@contextmanager
def laid(out: Layout) -> Iterator[None]:
    """While the model reads a batch that is laid out so."""
    before, _State.layout = _State.layout, out
    try:
        yield
    finally:
        _State.layout = before


class _Pad(torch.autograd.Function):
    """[tokens, ...] -> [slots, ...], zeros between; every slot is filled once, so that nothing is summed up."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, slots: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(slots)
        return flat.new_zeros(size, *flat.shape[1:]).index_copy_(0, slots, flat)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0].index_select(0, ctx.saved_tensors[0]), None, None


class _Unpad(torch.autograd.Function):
    """[slots, ...] -> [tokens, ...]."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, slots: Tensor) -> Tensor:
        ctx.save_for_backward(slots)
        ctx.size = len(padded)
        return padded.index_select(0, slots)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        grad = grads[0].contiguous()
        return grad.new_zeros(ctx.size, *grad.shape[1:]).index_copy_(0, ctx.saved_tensors[0], grad), None


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, _mask: Tensor | None, *, dropout: float = 0.0,
    scaling: float | None = None, **_more: Any,
) -> tuple[Tensor, None]:
    """Attention of each row to itself alone: [1, heads, tokens, size] -> [1, tokens, heads, size]."""
    if _State.layout.seen is not None:
        return _after(query, key, value, module.layer_idx, scaling), None
    causal = bool(getattr(module, "is_causal", False))
    prefix = getattr(module, "agentos_prefix", None)
    lines = [part[0].transpose(0, 1) for part in (query, key, value)]  # [tokens, heads, size]
    done = []
    laid_so = _State.layout
    written_out = laid_so.sides is not None and prefix is None and dropout == 0.0
    for group in laid_so.groups[: laid_so.long if written_out else None]:
        shape = (group.rows, group.width)
        laid_out = []
        for line in lines:
            part = line[group.start : group.end]
            if group.slots is not None:
                part = _Pad.apply(part, group.slots, group.rows * group.width)  # type: ignore[no-untyped-call]
            laid_out.append(part.reshape(*shape, *part.shape[1:]).transpose(1, 2))
        q, k, v = laid_out
        mask, is_causal = (None, causal) if causal else (group.mask, False)
        if prefix is not None:
            k, v = prefix(k, v)
            mask, is_causal = prefix.mask(mask, causal, group.width, k.device), False
        if k.shape[1] != q.shape[1]:
            times = q.shape[1] // k.shape[1]
            k, v = k.repeat_interleave(times, dim=1), v.repeat_interleave(times, dim=1)
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=is_causal, scale=scaling
        ).transpose(1, 2).reshape(group.rows * group.width, q.shape[1], -1)
        done.append(out if group.slots is None else _Unpad.apply(out, group.slots))  # type: ignore[no-untyped-call]
    if written_out and laid_so.sides is not None:
        start = laid_so.groups[laid_so.long].start
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        q, k, v = (line[start:] for line in lines)
        done.append(short.attend(q, k, v, laid_so.sides, scale=scale, causal=causal))
    return (done[0] if len(done) == 1 else torch.cat(done))[None], None


def _after(query: Tensor, key: Tensor, value: Tensor, layer: int, scaling: float | None) -> Tensor:
    """Attention of rows to what they follow and to themselves."""
    seen = _State.layout.seen
    assert seen is not None
    kind, where = query.dtype, query.device.type
    if torch.is_autocast_enabled(where):
        kind = torch.get_autocast_dtype(where)
    old_keys, old_values = (old.to(kind) for old in _State.layout.before[layer])
    query, key, value = query.to(kind), key.to(kind), value.to(kind)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if where == "cpu":
        out: Tensor = following.Following.apply(  # type: ignore[no-untyped-call]
            query[0], key[0], value[0], old_keys[0], old_values[0], seen[0, 0, :, old_keys.shape[2] :], scale
        )
        return out[None].transpose(1, 2)
    keys, values = torch.cat([old_keys, key], 2), torch.cat([old_values, value], 2)
    times = query.shape[1] // keys.shape[1]
    if times > 1:
        keys, values = keys.repeat_interleave(times, dim=1), values.repeat_interleave(times, dim=1)
    out = F.scaled_dot_product_attention(query, keys, values, attn_mask=seen, scale=scale)
    return out.transpose(1, 2)


def register() -> None:
    """Makes it known to transformers by its name; masks are not made for it."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
