"""Prefixes and bottleneck adapters: small parts that cannot be worked into a base's weights and lie beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from agentos.engines import bottleneck
from agentos.errors import Failed

CONFIG = "agentos_adapter.json"
WEIGHTS = "agentos_adapter.safetensors"
NAME = "agentos_prefixed"


class Prefix(nn.Module):
    """Keys and values that every token of a layer attends to as well (Li and Liang 2021, prefix tuning)."""

    def __init__(self, heads: int, places: int, size: int) -> None:
        """`heads` of keys, each of `size`; so many places."""
        super().__init__()
        self.keys = nn.Parameter(torch.randn(heads, places, size) * 0.02)
        self.values = nn.Parameter(torch.randn(heads, places, size) * 0.02)

    def forward(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """[rows, heads, tokens, size] -> [rows, heads, places + tokens, size], of keys and of values."""
        rows = len(key)
        before = [part.to(key.dtype).expand(rows, -1, -1, -1) for part in (self.keys, self.values)]
        return torch.cat([before[0], key], dim=2), torch.cat([before[1], value], dim=2)

    def mask(self, mask: Tensor | None, causal: bool, width: int, device: torch.device) -> Tensor | None:
        """A mask that leaves the places open; None where everything is seen."""
        places = self.keys.shape[1]
        if mask is None and causal and width > 1:
            mask = torch.ones(width, width, dtype=torch.bool, device=device).tril()[None, None]
        if mask is None:
            return None
        free = mask.new_ones(*mask.shape[:-1], places) if mask.dtype == torch.bool else (
            mask.new_zeros(*mask.shape[:-1], places))
        return torch.cat([free, mask], dim=-1)


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, dropout: float = 0.0,
    scaling: float | None = None, is_causal: bool | None = None, **_more: Any,
) -> tuple[Tensor, None]:
    """Attention with a layer's prefix in front: [rows, heads, tokens, size] -> [rows, tokens, heads, size]."""
    prefix: Prefix = module.agentos_prefix
    causal = bool(getattr(module, "is_causal", False)) if is_causal is None else is_causal
    key, value = prefix(key, value)
    mask = prefix.mask(mask, causal, query.shape[2], query.device)
    if key.shape[1] != query.shape[1]:
        times = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(times, dim=1), value.repeat_interleave(times, dim=1)
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout, scale=scaling)
    return out.transpose(1, 2).contiguous(), None


def insert(model: Any, places: int) -> int:
    """Gives every layer of attention a prefix, in place; gives how many, 0 where it finds none."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    config = model.config.get_text_config()
    if config.is_encoder_decoder or str(model.config._attn_implementation) not in ("sdpa", "eager"):
        return 0
    found = [
        module for _name, module in model.named_modules()
        if hasattr(module, "is_causal") and (hasattr(module, "q_proj") or hasattr(module, "query"))
    ]
    heads = int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
    size = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
    for module in found:
        module.agentos_prefix = Prefix(heads, places, size).to(model.device)
    if found:
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)
    return len(found)


def save(model: Any, folder: Path, *, kind: str, size: int, base: str, trained: dict[str, Tensor]) -> None:
    """Writes what was trained and how it lies in the model, beside the model's configuration."""
    told = {"kind": kind, "size": size, "base": base}
    (folder / CONFIG).write_text(json.dumps(told, indent=1), "utf-8")
    save_file({name: tensor.contiguous().cpu() for name, tensor in trained.items()}, str(folder / WEIGHTS))
    model.config.save_pretrained(folder)


def load(folder: Path, base: Any) -> Any:
    """A base model with a prefix or bottleneck adapters laid into it, in place; its head is the adapter's.

    Args:
        folder: Where `save` wrote them.
        base: The model they were made for, with as many labels as the folder's configuration names.

    Raises:
        Failed: the folder cannot be read, or was made for another model.
    """
    try:
        told = json.loads((folder / CONFIG).read_text("utf-8"))
        weights = load_file(str(folder / WEIGHTS))
        kind, size = str(told["kind"]), int(told["size"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise Failed(f"adapter {folder.name!r} cannot be read: {error}. Nothing was loaded") from error
    laid = insert(base, size) if kind == "prefix" else bottleneck.insert(base, size)
    places = dict(base.named_parameters())
    wrong = [name for name, held in weights.items() if name not in places or places[name].shape != held.shape]
    if not laid or wrong:
        raise Failed(
            f"adapter {folder.name!r} does not fit its base model"
            f"{f' at {wrong[0]!r}' if wrong else ''}; it was made for {told.get('base')!r}. Nothing was loaded"
        )
    with torch.no_grad():
        for name, held in weights.items():
            places[name].copy_(held)
    return base
