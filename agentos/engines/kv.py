"""Key-value states: one growing buffer, and a store of states that are computed once and laid in.

A block is read after the shared prefix without regard to the other blocks (Gim et al., Prompt Cache,
MLSys 2024). Its keys are kept as if it followed the prefix at once; laying it further on turns them
by the difference in position, which for rotary embeddings is exact (Su et al., RoFormer, 2021).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from agentos.types import Bytes

SEGMENT_BYTES = 512 * 1024 * 1024
"""Most memory that kept states may take; the least recently used go first."""


class _Layer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer's view of the buffer; writes in place instead of growing by copies."""

    def __init__(self, state: State, index: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._state, self._index = state, index
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends at the end of the state; the state's length moves once a pass, after the last layer."""
        start, end = self._state.length, self._state.length + key_states.shape[-2]
        data = self._state.room(end)
        data[self._index, 0, :, start:end] = key_states[0]
        data[self._index, 1, :, start:end] = value_states[0]
        return data[self._index, 0, :, :end].unsqueeze(0), data[self._index, 1, :, :end].unsqueeze(0)

    def get_seq_length(self) -> int:
        """Tokens held."""
        return self._state.length


class State:
    """The key-value state of one sequence: [layers, 2, heads, tokens, dim]."""

    def __init__(self, config: Any, dtype: torch.dtype, device: torch.device) -> None:
        """An empty state for a model of that configuration."""
        heads = config.num_key_value_heads
        dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._data = torch.empty(config.num_hidden_layers, 2, heads, 1024, dim, dtype=dtype, device=device)
        self.length = 0
        self.cache = DynamicCache()
        self.cache.layers = [_Layer(self, index) for index in range(config.num_hidden_layers)]

    def room(self, length: int) -> Tensor:
        """The buffer, with room for so many tokens."""
        if length > self._data.shape[3]:
            larger = torch.empty(
                *self._data.shape[:3], max(length, 2 * self._data.shape[3]), self._data.shape[4],
                dtype=self._data.dtype, device=self._data.device,
            )
            larger[:, :, :, : self.length] = self._data[:, :, :, : self.length]
            self._data = larger
        return self._data

    def slice(self, start: int, end: int) -> Tensor:
        """A copy of the state between two positions."""
        return self._data[:, :, :, start:end].clone()

    def append(self, segment: Tensor) -> None:
        """Lays a kept state in at the end."""
        end = self.length + segment.shape[3]
        self.room(end)[:, :, :, self.length : end] = segment
        self.length = end


class Segments:
    """States by text, kept in half precision, least recently used first out."""

    def __init__(self, inverse_frequencies: Tensor | None, most: Bytes = SEGMENT_BYTES) -> None:
        """`inverse_frequencies` are the model's rotary ones, [dim / 2]; None where keys cannot be turned."""
        self._most = most
        self._frequencies = inverse_frequencies
        self._kept: OrderedDict[str, Tensor] = OrderedDict()
        self._bytes = 0
        self.needed: frozenset[str] = frozenset()
        """Keys that stay, however many bytes they take: what the prompt at hand is laid from."""

    @property
    def movable(self) -> bool:
        """Whether a state may be laid in at another position than it was computed at."""
        return self._frequencies is not None

    def __contains__(self, key: str) -> bool:
        """Whether a state is kept under that key."""
        return key in self._kept

    def items(self) -> dict[str, Tensor]:
        """All that is kept."""
        return dict(self._kept)

    def put(self, key: str, segment: Tensor) -> None:
        """Keeps a state, in place of what was kept under that key."""
        if key in self._kept:
            self._bytes -= self._kept.pop(key).nbytes
        kept = segment.half() if segment.dtype == torch.float32 else segment
        self._kept[key] = kept
        self._bytes += kept.nbytes
        for old in list(self._kept):
            if self._bytes <= self._most:
                break
            if old != key and old not in self.needed:
                self._bytes -= self._kept.pop(old).nbytes

    def get(self, key: str, shift: int, dtype: torch.dtype) -> Tensor:
        """A kept state, its keys turned by `shift` positions."""
        self._kept.move_to_end(key)
        segment = self._kept[key].to(dtype)
        if shift:
            assert self._frequencies is not None
            angle = shift * self._frequencies.float()
            cos, sin = torch.cat([angle.cos()] * 2).to(dtype), torch.cat([angle.sin()] * 2).to(dtype)
            keys = segment[:, 0]
            half = keys.shape[-1] // 2
            turned = torch.cat([-keys[..., half:], keys[..., :half]], dim=-1)
            segment = torch.stack([keys * cos + turned * sin, segment[:, 1]], dim=1)
        return segment


def rotary_frequencies(model: Any) -> Tensor | None:
    """The model's rotary frequencies, where one fixed set turns whole heads; else None."""
    rotary = getattr(model.model, "rotary_emb", None)
    config = model.config
    dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    frequencies = getattr(rotary, "inv_freq", None)
    fixed = getattr(rotary, "rope_type", "") in {"default", "llama3", "linear"}
    scaled = float(getattr(rotary, "attention_scaling", 1.0)) != 1.0
    sliding = any("sliding" in kind for kind in getattr(config, "layer_types", None) or [])
    if not isinstance(frequencies, Tensor) or not fixed or scaled or sliding or 2 * len(frequencies) != dim:
        return None
    return frequencies
