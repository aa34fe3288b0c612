"""A LoRA adapter beside the weights, which acts on a request's own part and on nothing that requests share.

What acts only from where a request begins leaves the states of everything before it as they are: they are computed
once, whichever adapter serves, and one can be put in another's place between two requests (activated LoRA, Greenewald
et al. 2025, arXiv:2504.12397).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from agentos.errors import Failed

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_BEFORE = "base_model.model."
_ASKS = ("use_rslora", "use_dora", "modules_to_save", "rank_pattern", "alpha_pattern", "layer_replication")


class Tail:
    """Low-rank changes of linear layers, which are made while `on` is set."""

    def __init__(self, model: Any, folder: Path, dtype: torch.dtype, device: torch.device) -> None:
        """Reads an adapter in PEFT's form and hooks it to the layers it is of.

        Raises:
            Failed: it cannot be read, is of another kind than plain LoRA, or fits another model.
        """
        self.on = False
        try:
            said: dict[str, Any] = json.loads((folder / CONFIG).read_text("utf-8"))
            weights = load_file(str(folder / WEIGHTS))
            asks = [name for name in _ASKS if said.get(name)]
            if said.get("peft_type") != "LORA" or asks or said.get("bias", "none") != "none":
                raise Failed(f"adapter {folder.name!r} is no plain LoRA ({', '.join(asks) or said.get('peft_type')})")
            scale = float(said["lora_alpha"]) / int(said["r"])
            downs = [name for name in weights if name.endswith("lora_A.weight")]
            pairs = [(name, f"{name.removesuffix('A.weight')}B.weight") for name in downs]
            if not pairs or 2 * len(pairs) != len(weights):
                raise Failed(f"adapter {folder.name!r} has weights that belong to no pair of low rank")
            found = []
            for one, two in pairs:
                layer = model.get_submodule(one.removeprefix(_BEFORE).removesuffix(".lora_A.weight"))
                found.append((layer, weights[one].to(device, dtype), (scale * weights[two].float()).to(device, dtype)))
        except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
            raise Failed(f"adapter {folder.name!r} cannot be laid beside this model: {error}") from error
        for layer, down, up in found:
            wide, high = getattr(layer, "in_features", down.shape[1]), getattr(layer, "out_features", up.shape[0])
            if (down.shape[1], up.shape[0]) != (wide, high):
                raise Failed(f"adapter {folder.name!r} was made for a model of other sizes; nothing was changed")
        self._hooks = [layer.register_forward_hook(self._change(down.T, up.T)) for layer, down, up in found]

    def _change(self, down: Tensor, up: Tensor) -> Any:
        def hook(_module: Any, given: tuple[Tensor, ...], out: Tensor) -> Tensor | None:
            return out + (given[0] @ down @ up).to(out.dtype) if self.on else None

        return hook

    def remove(self) -> None:
        """Takes it away."""
        for hook in self._hooks:
            hook.remove()
