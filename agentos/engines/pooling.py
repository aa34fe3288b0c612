"""How an embedder makes one vector of a text's tokens, as the files beside its weights say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from agentos.errors import Failed

_FLAGS = {
    "pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max", "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean", "pooling_mode_lasttoken": "lasttoken",
}
_SAME = {"mean_sqrt_len_tokens": "mean"}
"""Ways that differ by the vector's length alone, which is always made 1."""
_WAYS = ("cls", "max", "mean", "weightedmean", "lasttoken")
_APPLIED = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True)
class Pooling:
    """What becomes of an embedder's text before and after the model."""

    ways: tuple[str, ...] = ("mean",)
    """More than one: their vectors laid end to end."""
    longest: int | None = None
    """Tokens it was trained to read, where its files say so."""
    lower: bool = False
    prompt: str = ""
    """What its files say to put before every text."""

    def __call__(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """[texts, tokens, hidden] and 1 for each real token, padded at the end -> fp32 vectors of length 1."""
        hidden, real = hidden.float(), mask.unsqueeze(-1).float()
        parts = [_pool(way, hidden, real) for way in self.ways]
        return torch.nn.functional.normalize(torch.cat(parts, dim=-1), dim=-1)


def _pool(way: str, hidden: Tensor, real: Tensor) -> Tensor:
    if way == "cls":
        return hidden[:, 0]
    if way == "max":
        return hidden.masked_fill(real == 0, -torch.inf).amax(dim=1)
    if way == "lasttoken":
        last = real.sum(dim=(1, 2)).long() - 1
        return hidden[torch.arange(len(hidden), device=hidden.device), last]
    weights = real if way == "mean" else real * torch.arange(1, hidden.shape[1] + 1, device=real.device)[:, None]
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1e-9)


def declared(folder: Path) -> bool:
    """Whether the files say that a model is an embedder, whatever its architecture was made for."""
    return (folder / "modules.json").is_file()


def read(folder: Path) -> Pooling:
    """The pooling that a folder's `modules.json` and what it names describe; the mean where there is none.

    Raises:
        Failed: it asks for a step that is not among those here, or a file of it cannot be read.
    """
    modules = _json(folder / "modules.json", [])
    steps = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    strange = [step for step in steps if step not in _APPLIED]
    if strange:
        raise Failed(
            f"its vectors pass through a {strange[0]!r} layer, which is not applied here: without it they would "
            "be others than the model's own"
        )
    where = next((str(m.get("path")) for m, step in zip(modules, steps, strict=True) if step == "Pooling"), "1_Pooling")
    said = _json(folder / where / "config.json", {}) if where == "1_Pooling" else {}
    tokens = _json(folder / "sentence_bert_config.json", {})
    prompts = _json(folder / "config_sentence_transformers.json", {})
    prompt = (prompts.get("prompts") or {}).get(prompts.get("default_prompt_name") or "", "")
    if prompt and said.get("include_prompt") is False:
        raise Failed("its vectors leave the tokens of its prompt out, which is not done here")
    longest = tokens.get("max_seq_length")
    return Pooling(_ways(said), int(longest) if longest else None, bool(tokens.get("do_lower_case")), str(prompt))


def _ways(said: dict[str, Any]) -> tuple[str, ...]:
    mode = said.get("pooling_mode")
    named = [mode] if isinstance(mode, str) else list(mode or [])
    ways = named or [way for flag, way in _FLAGS.items() if said.get(flag)] or ["mean"]
    if len(ways) > 1 and set(ways) & set(_SAME):
        raise Failed("its vectors join a mean by the root of the length with others, which is not done here")
    ways = [_SAME.get(way, way) for way in ways]
    strange = [way for way in ways if way not in _WAYS]
    if strange:
        raise Failed(f"its vectors are pooled by {strange[0]!r}, which is not known here")
    return tuple(ways)


def _json(path: Path, without: Any) -> Any:
    if not path.is_file():
        return without
    try:
        read = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Failed(f"{path.name} is not JSON") from error
    if not isinstance(read, type(without)):
        raise Failed(f"{path.name} is not what it should be: a JSON {type(without).__name__}")
    return read
