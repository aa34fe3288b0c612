"""Weights in 8 and 4 bits: how they are written, read, held and multiplied.

A folder of ours holds whole-number codes in safetensors and says so in config.json. A row of an 8-bit matrix
has one scale. A 4-bit matrix has a scale and an offset for every 32 weights of a row, in the layout of
PyTorch's kernel, so that loading packs and never quantizes anew. Embedding and head are 8-bit rows in both.

Eight bits are multiplied by FBGEMM with whole-number activations, scaled for each token by itself: what a token
becomes does not hang on which others go through with it. An activation is two numbers of eight bits, the second
holding what the first leaves over: with one alone, the few large activations of a token would wipe out all the
others (Dettmers et al., LLM.int8(), 2022, keep those apart). Where the processor adds products in pairs of 16 bits
(no VNNI), weights of more than 7 bits could overflow there, and give up their last bit in memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from agentos.engines.footprint import exhausted
from agentos.errors import Failed

METHOD = "agentos"
"""What `quantization_config.quant_method` says in config.json."""
GROUP = 32
"""Weights of a row that share a scale and an offset in 4 bits."""
SCALE, PAIRS = "_scale", "_scale_and_offset"
_FINER = 254
"""What is left over by rounding lies between -0.5 and 0.5, and is spread over eight bits."""
_OUT = 16
"""The 4-bit kernel takes so many rows at a time."""


def rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[out, in] -> int8 codes of that shape and a bf16 scale for each row; a row is codes times scale."""
    whole = weight.detach().float()
    # rounded before it is used, so that the codes are the nearest to what they will be multiplied by
    scale = (whole.abs().amax(1).clamp_min(1e-8) / 127).bfloat16()
    codes = (whole / scale.float()[:, None]).round().clamp(-127, 127)
    return codes.to(torch.int8), scale


def groups(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[out, in] -> codes two a byte [out, in / 2], and bf16 [in / 32, out, 2]: scale, and what a code of 8 stands for.

    Ends of a group are kept and what lies between is rounded; the offset is no multiple of the scale, so that a
    matrix which was of 4 bits before comes back as it was.
    """
    whole = weight.detach().float().view(len(weight), -1, GROUP)
    least, most = whole.amin(-1), whole.amax(-1)
    scale = ((most - least) / 15).clamp_min(1e-8).bfloat16()
    offset = (least + 8 * scale.float()).bfloat16()
    codes = ((whole - offset.float()[..., None]) / scale.float()[..., None] + 8).round().clamp(0, 15)
    flat = codes.flatten(1).to(torch.uint8)
    return flat[:, 0::2] | flat[:, 1::2] << 4, torch.stack([scale, offset], -1).transpose(0, 1).contiguous()


def unpacked(packed: Tensor) -> Tensor:
    """Codes two a byte -> int32 codes [out, in]."""
    return torch.stack([packed & 15, packed >> 4], -1).flatten(1).int()


def whole(tensors: dict[str, Tensor], name: str) -> Tensor:
    """The fp32 matrix that the codes under a name stand for."""
    codes = tensors[name]
    if name + PAIRS not in tensors:
        return codes.float() * tensors[name + SCALE].float()[:, None]
    scale, offset = tensors[name + PAIRS].float().unbind(-1)
    split = (unpacked(codes) - 8).float().view(len(codes), -1, GROUP)
    made: Tensor = split * scale.T[..., None] + offset.T[..., None]
    return made.flatten(1)


class Linear8(nn.Module):
    """A linear layer over 8-bit rows; fp32 in and out."""

    def __init__(self, codes: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        """Packs the codes; they may be dropped."""
        super().__init__()
        self._bias = None if bias is None else bias.float()
        vnni = torch.cpu._is_vnni_supported()
        kept = codes if vnni else (codes.float() / 2).round_().to(torch.int8)
        scales, zeros = (1 if vnni else 2) * scale.double(), torch.zeros(len(codes), dtype=torch.long)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this type of tensor goes in a later release: see `kernels`
            typed = torch._make_per_channel_quantized_tensor(kept, scales, zeros, 0)
        self._packed = torch.ops.quantized.linear_prepack(typed, None)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., in] fp32 -> [..., out] fp32."""
        flat = hidden.flatten(0, -2)
        scale = flat.abs().amax(-1, keepdim=True).clamp_min_(1e-8).div_(127)
        fine = flat / scale
        coarse = fine.round()
        parts = torch.cat([coarse, fine.sub_(coarse).mul_(_FINER)])  # one product: the weights are read once
        made = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(parts, 1.0, 128, self._packed)
        high, low = made.chunk(2)
        out: Tensor = high.add_(low, alpha=1 / _FINER).mul_(scale).view(*hidden.shape[:-1], -1)
        return out if self._bias is None else out.add_(self._bias)


class Linear8Slow(nn.Module):
    """The same rows on processors without FBGEMM: bf16 activations, weights widened as they are multiplied."""

    def __init__(self, codes: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        """Keeps the codes as they are."""
        super().__init__()
        self._codes, self._scale = codes.clone(), scale.clone()
        self._bias = None if bias is None else bias.float()

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., in] fp32 -> [..., out] fp32."""
        flat = hidden.flatten(0, -2).bfloat16()
        out = torch._weight_int8pack_mm(flat, self._codes, self._scale).float().view(*hidden.shape[:-1], -1)
        return out if self._bias is None else out.add_(self._bias)


class Linear4(nn.Module):
    """A linear layer over 4-bit groups; fp32 in and out, multiplied in bf16 and summed in fp32."""

    def __init__(self, packed: Tensor, pairs: Tensor, bias: Tensor | None) -> None:
        """Lays the codes out for this processor."""
        super().__init__()
        self._packed = torch._convert_weight_to_int4pack_for_cpu(unpacked(packed), 1)
        self._pairs = pairs.clone()
        self._bias = None if bias is None else bias.float()

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., in] fp32 -> [..., out] fp32."""
        flat = hidden.flatten(0, -2).bfloat16()
        made = torch._weight_int4pack_mm_for_cpu(flat, self._packed, GROUP, self._pairs)
        out: Tensor = made.float().view(*hidden.shape[:-1], -1)
        return out if self._bias is None else out.add_(self._bias)


class Rows(nn.Module):
    """An embedding over 8-bit rows, which may be the head's too; gives fp32."""

    def __init__(self, codes: Tensor, scale: Tensor) -> None:
        """Keeps codes and scales."""
        super().__init__()
        self.weight, self.scale = codes.clone(), scale.clone()

    def forward(self, ids: Tensor) -> Tensor:
        """[...] -> [..., hidden]."""
        return self.weight[ids].float() * self.scale[ids].float()[..., None]


def kernels() -> type[Linear8] | type[Linear8Slow]:
    """The layer for 8-bit rows on this processor and with this release of torch."""
    typed = hasattr(torch, "_make_per_channel_quantized_tensor")
    return Linear8 if typed and "fbgemm" in torch.backends.quantized.supported_engines else Linear8Slow


def shape(model: Any, bits: int) -> dict[str, int]:
    """Which tensors of a model are quantized, and to how many bits.

    Raises:
        Failed: the model is not built of layers that this knows.
    """
    inner = getattr(model, "model", None)
    into = model.get_input_embeddings()
    if inner is None or not hasattr(inner, "layers") or not isinstance(into, nn.Embedding):
        raise Failed(f"a model of type {model.config.model_type!r} is built in a way that cannot be quantized")
    found = {}
    for name, module in model.named_modules():
        if name.startswith("model.layers.") and isinstance(module, nn.Linear):
            fits = module.in_features % GROUP == 0 and module.out_features % _OUT == 0
            found[f"{name}.weight"] = 4 if bits == 4 and fits else 8
    head = model.get_output_embeddings()
    for name, module in model.named_modules():
        if module is into or (module is head and not model.config.tie_word_embeddings):
            found[f"{name}.weight"] = 8
    if not found:
        raise Failed(f"a model of type {model.config.model_type!r} has no layers that can be quantized")
    return found


def described(config: Any) -> dict[str, Any] | None:
    """What a model's configuration says of being quantized by us; None for every other model."""
    said = getattr(config, "quantization_config", None)
    return said if isinstance(said, dict) and said.get("quant_method") == METHOD else None


def empty(config: Any) -> Any:
    """A causal model of a configuration without weights; what it computes for itself (rotary tables) is there."""
    from accelerate import init_empty_weights  # type: ignore[import-untyped]
    from transformers import AutoModelForCausalLM

    with init_empty_weights(include_buffers=False):
        loader: Any = AutoModelForCausalLM
        return loader.from_config(config, dtype=torch.bfloat16).eval()


def load(path: Path, config: Any, device: torch.device, tell: Callable[[int, int], None]) -> tuple[Any, str]:
    """A quantized model, ready to run, and the name of its form; `tell` hears bytes done of all.

    On a graphics processor the weights are widened to bf16 as they are loaded.

    Raises:
        Failed: the file does not hold what the configuration says.
    """
    bits = int((described(config) or {})["bits"])
    del config.quantization_config
    model = empty(config)
    if device.type == "cpu" and kernels() is Linear8:
        torch.backends.quantized.engine = "fbgemm"
    file, done = path / "model.safetensors", 0
    total = file.stat().st_size
    try:
        with safe_open(str(file), "pt") as held:
            names = set(held.keys())
            for name, module in list(model.named_modules()):
                own = [f"{name}.{key}" if name else key for key, _ in module.named_parameters(recurse=False)]
                related = [key for parameter in own for key in (parameter, parameter + SCALE, parameter + PAIRS)]
                tensors = {key: held.get_tensor(key) for key in related if key in names}
                if tensors:
                    _put(model, name, tensors, device)
                    done += sum(tensor.nbytes for tensor in tensors.values())
                    tell(done, total)
    except (KeyError, RuntimeError, OSError, SafetensorError) as error:
        if exhausted(error):
            raise
        raise Failed(f"{file} does not hold what its config.json says: {error}. Quantize the model again") from error
    if config.tie_word_embeddings:
        model.set_output_embeddings(model.get_input_embeddings())
    missing = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    if missing:
        raise Failed(f"{file} lacks {missing[0]!r}. Quantize the model again")
    if device.type != "cpu":
        return model.to(device), f"bfloat16 (stored in {bits} bits)"
    model.model.norm.float()
    return model, f"int{bits}"


def _put(model: Any, name: str, tensors: dict[str, Tensor], device: torch.device) -> None:
    """Gives one module its weights: in place where they are whole, by a module of ours where they are codes."""
    module = model.get_submodule(name)
    key = f"{name}.weight"
    if key + SCALE not in tensors and key + PAIRS not in tensors:
        for parameter, tensor in tensors.items():
            wide = tensor.float() if device.type == "cpu" else tensor.clone()
            setattr(module, parameter.rpartition(".")[2], nn.Parameter(wide, requires_grad=False))
        return
    bias = tensors.get(f"{name}.bias")
    if device.type != "cpu":
        module.weight = nn.Parameter(whole(tensors, key).bfloat16(), requires_grad=False)
        if bias is not None:
            module.bias = nn.Parameter(bias.clone(), requires_grad=False)
        return
    made: nn.Module
    if key + PAIRS in tensors:
        made = Linear4(tensors[key], tensors[key + PAIRS], bias)
    elif name.startswith("model.layers."):
        made = kernels()(tensors[key], tensors[key + SCALE], bias)
    else:
        made = Rows(tensors[key], tensors[key + SCALE])
    model.set_submodule(name, made)
