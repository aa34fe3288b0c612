"""LoRA adapters in PEFT's form, worked into a model's weights as it is loaded."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from agentos.engines import prefixed
from agentos.engines.footprint import exhausted
from agentos.errors import Failed

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_HEADS = ("classifier.out_proj.weight", "classifier.weight", "score.weight")
_PREFIX = "base_model.model."


def apply(model: Any, folder: Path, tick: Callable[[], None] = lambda: None) -> Any:
    """The model with an adapter in its weights, in the type they had; the given one is used up, also on failure.

    A prefix and bottleneck adapters, which no weights of a base can take in, are laid beside them.

    Rank, scale, rsLoRA, DoRA and layers that were trained whole are as the adapter's own file says. Each layer's
    sum is made in fp32 and rounded once; `tick` is called after it.

    Raises:
        Failed: the folder holds no adapter that is taken, or one that was made for another model.
    """
    if (folder / prefixed.CONFIG).is_file():
        return prefixed.load(folder, model).requires_grad_(False)
    said = _config(folder)
    import peft  # a second that only who has an adapter pays

    kind = str(said.get("peft_type"))
    if kind != "LORA":
        raise Failed(f"adapter {folder.name!r} is of the kind {kind!r}; LoRA adapters are taken. Nothing was loaded")
    for field, why in (("megatron_config", "code of Megatron's"), ("layer_replication", "layers laid in twice")):
        if said.get(field):
            raise Failed(f"adapter {folder.name!r} asks for {why} ({field}), which is not done; nothing was loaded")
    held = {name: parameter.dtype for name, parameter in model.named_parameters()}
    _untie(model, folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is checked below, and fails
            config = peft.PeftConfig.from_pretrained(str(folder))
            config.inference_mode = True
            wrapped: Any = peft.PeftModel(model, config)
            weights = peft.load_peft_weights(str(folder), device="cpu")
            _check(peft.set_peft_model_state_dict(wrapped, weights))
            _merge(wrapped, tick)
            merged = wrapped.merge_and_unload()
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        if exhausted(error):
            raise
        raise Failed(
            f"adapter {folder.name!r} does not fit its base model: {_short(error)}. Nothing was loaded; "
            f"it was made for {said.get('base_model_name_or_path') or 'a model that it does not name'!r}"
        ) from error
    with torch.no_grad():
        for name, parameter in merged.named_parameters():
            parameter.requires_grad_(False)
            parameter.data = parameter.data.to(held.get(name, model.dtype))
    return merged


def head(folder: Path) -> tuple[str, ...] | None:
    """The classes that an adapter brings a head for; None for one that leaves the base what it is.

    They are named by a `config.json` beside it, or else `LABEL_0` and so on.

    Raises:
        Failed: the folder holds no adapter in safetensors.
    """
    if (folder / prefixed.CONFIG).is_file():
        if not any(name.endswith(_HEADS) for name in _shapes(folder, prefixed.WEIGHTS)):
            return None
        names = _json(folder / "config.json").get("id2label") or {}
        return tuple(str(names[str(at)]) for at in range(len(names)))
    if _config(folder).get("task_type") != "SEQ_CLS":
        return None
    shapes = _shapes(folder)
    found = [shape for name, shape in shapes.items() if name.removeprefix(_PREFIX).endswith(_HEADS)]
    heads = [shape for shape in found if len(shape) == 2]
    if not heads:
        raise Failed(f"adapter {folder.name!r} is a classifier's and holds no head; nothing was loaded")
    labels = _json(folder / "config.json").get("id2label") if (folder / "config.json").is_file() else None
    named = labels if isinstance(labels, dict) else {}
    return tuple(str(named.get(str(at), f"LABEL_{at}")) for at in range(heads[0][0]))


def _check(told: Any) -> None:
    """Every weight of the adapter has a place in the base, and every place that was made for one has its weight."""
    own = (".lora_", "modules_to_save.")
    missing = sorted(name for name in told.missing_keys if any(mark in name for mark in own))
    if told.unexpected_keys:
        raise ValueError(f"the base has no place for {sorted(told.unexpected_keys)[0]!r}")
    if missing:
        raise ValueError(f"it has no weights for {missing[0]!r}")


def _merge(wrapped: Any, tick: Callable[[], None]) -> None:
    """Works it into one layer after the other, so that one at a time is in fp32."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: list[Any] = [module for module in wrapped.modules() if isinstance(module, BaseTunerLayer)]
    for layer in layers:
        held = layer.get_base_layer().weight.dtype
        layer.float()
        layer.merge()
        layer.to(held)
        tick()


def _untie(model: Any, folder: Path) -> None:
    """Gives the output layer a matrix of its own where the adapter changes one end of a model and not the other."""
    into, out = model.get_input_embeddings(), model.get_output_embeddings()
    if out is None or into is None or out.weight is not into.weight:
        return
    names = {id(module): name for name, module in model.named_modules()}
    ends = (names[id(into)], names[id(out)])
    if any(f"{end}." in name for name in _shapes(folder) for end in ends):
        out.weight = torch.nn.Parameter(into.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False


def _shapes(folder: Path, file: str = WEIGHTS) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(str(folder / file), "pt") as held:
            return {name: tuple(held.get_slice(name).get_shape()) for name in held.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        if exhausted(error):
            raise
        raise Failed(f"adapter {folder.name!r} cannot be read: {_short(error)}. Nothing was loaded") from error


def _config(folder: Path) -> dict[str, Any]:
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise Failed(
            f"{folder.name!r} is no adapter that is taken: {missing[0]} is missing (other forms, such as .bin, can "
            "run code when they are read). Nothing was loaded"
        )
    return _json(folder / CONFIG)


def _json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Failed(f"{path.name} of adapter {path.parent.name!r} cannot be read: {_short(error)}") from error
    if not isinstance(read, dict):
        raise Failed(f"{path.name} of adapter {path.parent.name!r} is not a JSON object")
    return read


def _short(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 300 else said[:300] + " …"
