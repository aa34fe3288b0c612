"""What of a model is trained: all of it, or a small part that is laid into it."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from agentos.engines import bottleneck, prefixed
from agentos.errors import Failed, UserError

_HEADS = ("classifier", "score", "pre_classifier")
_RATES = {"full": 5e-5, "lora": 5e-4, "adalora": 1e-3, "prefix": 5e-3, "adapter": 1e-3}
_RATES_WRITING = {"full": 2e-5, "lora": 2e-4, "adalora": 1e-3, "prefix": 5e-3, "adapter": 5e-4}
_SMALL = 50_000_000
_ORTHOGONAL = 0.5
"""Weight of AdaLoRA's penalty (Zhang et al. 2023)."""


def rate(method: str, task: str, parameters: int) -> float:
    """The learning rate where nobody said which; a small model bears greater steps (SST-2: `evals/results`)."""
    if method == "full" and task == "text-classification" and parameters < _SMALL:
        return 2 * _RATES[method]
    return (_RATES if task == "text-classification" else _RATES_WRITING)[method]


def linears(model: Any) -> list[str]:
    """Names of the linear layers within a model's backbone: what it has learned already and adapters change."""
    inside = {id(module) for module in model.base_model.modules()}
    heads = (*_HEADS, "pooler", "lm_head")
    return [
        name for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and id(module) in inside and not set(name.split(".")) & set(heads)
    ]


def _layer(name: str) -> int:
    """Which layer, counted from 0, a module lies in; what lies in none counts as in the last."""
    said = re.search(r"\.(\d+)\.", name)
    return int(said.group(1)) if said else 1_000_000


class Method:
    """A model made ready to be trained, and what its method does beside the gradient."""

    def __init__(
        self, model: Any, name: str, *, rank: int, total: int, task: str, base: str, above: int = 0
    ) -> None:
        """Lays in what the method trains and fixes the rest.

        Args:
            model: A whole model, in place.
            name: The method.
            rank: Of what is laid in; for `prefix` the places in front of each row, for `adapter` its inner width.
            total: Updates of the run.
            task: The run's.
            base: What the adapter's file calls its base.
            above: Layers from the first on that `lora` leaves as they are.

        Raises:
            UserError: the method cannot be used with that model.
        """
        self.name = name
        self.model = model
        self.peft: Any = None
        classifies = task == "text-classification"
        heads = [
            name for name, _module in model.named_modules()
            if name.rpartition(".")[2] in (*_HEADS, "pooler") and classifies
        ]
        if name == "full":
            return
        if name in ("lora", "adalora"):
            self._lay_lora(rank, total, heads, classifies, base=base, above=above)
            return
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for head in heads:
            model.get_submodule(head).requires_grad_(True)
        insert = prefixed.insert if name == "prefix" else bottleneck.insert
        if not insert(model, rank):
            raise UserError(
                f"the method {name!r} finds no place in a model of the kind {type(model).__name__}; nothing was "
                "trained. Choose lora"
            )

    def _lay_lora(
        self, rank: int, total: int, heads: list[str], classifies: bool, *, base: str, above: int
    ) -> None:
        import peft

        found = [name for name in linears(self.model) if _layer(name) >= above]
        if not found:
            raise UserError(f"a {type(self.model).__name__} has no linear layers to lay LoRA into; nothing was trained")
        common: dict[str, Any] = {
            "target_modules": found, "modules_to_save": heads or None, "lora_dropout": 0.0,
            "task_type": "SEQ_CLS" if classifies else "CAUSAL_LM",
        }
        if self.name == "lora":
            config: Any = peft.LoraConfig(r=rank, lora_alpha=2 * rank, **common)
        else:
            config = peft.AdaLoraConfig(
                init_r=rank + rank // 2, target_r=rank, lora_alpha=2 * rank, tinit=max(1, total // 10),
                tfinal=max(1, total // 3), deltaT=max(1, min(10, total // 20)), total_step=max(3, total),
                orth_reg_weight=_ORTHOGONAL, **common,
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.peft = peft.get_peft_model(self.model, config)
        config.base_model_name_or_path = base
        self.model = self.peft.get_base_model()

    def begin(self, folder: Path) -> None:
        """Takes the weights of an adapter of the same layers to begin with; one of a lower rank is widened.

        What is added to it changes nothing before the first update: its downward half is drawn as LoRA draws it, its
        upward half is zero (and `lora_alpha` is twice the rank, so that what is there weighs as much as before).

        Raises:
            Failed: it is of another form, or cannot be read.
        """
        import peft

        try:
            weights = {name: w.float() for name, w in peft.load_peft_weights(str(folder), device="cpu").items()}
            self._widen(weights, peft.PeftConfig.from_pretrained(str(folder)))
            told: Any = peft.set_peft_model_state_dict(self.peft, weights)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise Failed(f"adapter {folder.name!r} cannot be trained further: {error}. Nothing was trained") from error
        lacking = [name for name in told.missing_keys if "lora_" in name]
        if told.unexpected_keys or lacking:
            raise Failed(f"adapter {folder.name!r} has other layers; nothing was trained")

    def _widen(self, weights: dict[str, Tensor], told: Any) -> None:
        rank, was = int(self.peft.peft_config["default"].r), int(told.r)
        if was == rank:
            return
        if was > rank or int(told.lora_alpha) != 2 * was:
            raise ValueError(f"it has rank {was} and alpha {told.lora_alpha}, which cannot become rank {rank}")
        import peft

        fresh: dict[str, Tensor] = peft.get_peft_model_state_dict(self.peft)
        for name, held in weights.items():
            if name not in fresh:
                raise KeyError(name)
            whole = fresh[name].detach().float().cpu().clone() if "lora_A" in name else torch.zeros(fresh[name].shape)
            whole[tuple(slice(size) for size in held.shape)] = held
            weights[name] = whole

    def named(self) -> list[tuple[str, nn.Parameter]]:
        """What trains."""
        return [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]

    def penalty(self) -> Tensor | None:
        """What is added to an update's loss: for AdaLoRA, how far its factors are from orthogonal."""
        if self.name != "adalora":
            return None
        parts = [
            torch.linalg.matrix_norm(
                (p @ p.T if "lora_A" in name else p.T @ p) - torch.eye(min(p.shape), device=p.device, dtype=p.dtype)
            )
            for name, p in self.named() if "lora_A" in name or "lora_B" in name
        ]
        return _ORTHOGONAL * torch.stack(parts).mean()

    def updated(self, update: int) -> None:
        """After an update, counted from 1, while its gradients are there: AdaLoRA moves its ranks about."""
        if self.name == "adalora":
            self.peft.base_model.update_and_allocate(update)

    def weights(self) -> dict[str, Tensor]:
        """What trains, as it is."""
        return {name: parameter.detach() for name, parameter in self.named()}

    @torch.no_grad()
    def put(self, weights: dict[str, Tensor]) -> None:
        """Puts weights in their places."""
        for name, parameter in self.named():
            parameter.copy_(weights[name])

    def state(self) -> dict[str, Any]:
        """What the method itself remembers."""
        if self.name != "adalora":
            return {}
        allocator = self.peft.base_model.rankallocator
        return {
            "ipt": allocator.ipt, "mean": allocator.exp_avg_ipt, "unsure": allocator.exp_avg_unc,
            "pattern": self.peft.peft_config["default"].rank_pattern,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from what the method remembered."""
        if self.name != "adalora":
            return
        allocator = self.peft.base_model.rankallocator
        device = self.model.device
        for name, kept in (("ipt", "ipt"), ("exp_avg_ipt", "mean"), ("exp_avg_unc", "unsure")):
            setattr(allocator, name, {key: value.to(device) for key, value in state.get(kept, {}).items()})
        self.peft.peft_config["default"].rank_pattern = state.get("pattern")

    def merged(self) -> Any:
        """The whole model with what was laid into it worked into its weights; only of lora and adalora."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        for module in self.peft.modules():
            if isinstance(module, BaseTunerLayer):
                layer: Any = module
                held = layer.get_base_layer().weight.dtype
                layer.float()
                layer.merge()
                layer.to(held)
        return self.peft.merge_and_unload()
