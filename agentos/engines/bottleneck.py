"""Bottleneck adapters: two small layers behind each sublayer of a transformer (Houlsby et al. 2019)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_PLACES = (
    ("attention.output.dense", "output.dense"),  # BERT and its kin
    ("attention.out_lin", "ffn.lin2"),  # DistilBERT
    ("self_attn.o_proj", "mlp.down_proj"),  # Llama, Qwen, Mistral
    ("self_attn.out_proj", "fc2"),  # BART, OPT
    ("attn.c_proj", "mlp.c_proj"),  # GPT-2
)


class Bottleneck(nn.Module):
    """A layer and, added to what it gives, an adapter: x + up(gelu(down(x))), at first next to nothing."""

    def __init__(self, layer: nn.Module, width: int, size: int) -> None:
        """Behind a layer that gives [..., width]; `size` is the adapter's inner width."""
        super().__init__()
        self.layer = layer
        self.down = nn.Linear(width, size)
        self.up = nn.Linear(size, width)
        nn.init.normal_(self.down.weight, std=1e-2)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.bias)

    def forward(self, *args: Any) -> Tensor:
        """What the layer gives, changed a little."""
        out: Tensor = self.layer(*args)
        wide = out.to(self.down.weight.dtype)
        change: Tensor = self.up(nn.functional.gelu(self.down(wide)))
        return out + change.to(out.dtype)


def insert(model: Any, size: int) -> int:
    """Lays adapters into a model, in place; gives how many, 0 where it finds no place for them."""
    for ends in _PLACES:
        found = [
            name for name, _module in model.named_modules()
            if any(name.endswith(f".{end}") for end in ends)
        ]
        if not found:
            continue
        for name in found:
            holder, _, own = name.rpartition(".")
            layer = model.get_submodule(name)
            width = int(layer.out_features if hasattr(layer, "out_features") else layer.weight.shape[-1])
            adapter = Bottleneck(layer, width, size).to(layer.weight.device)
            if layer.weight.dtype == torch.float64:
                adapter.double()
            setattr(model.get_submodule(holder), own, adapter)
        return len(found)
    return 0
