"""How a causal model's weights are held, chosen by measuring this processor.

bf16 is right where the processor multiplies it (AVX-512 BF16, AMX, GPUs). Elsewhere it falls off a
cliff as soon as several tokens go through at once, and half-precision weights packed by FBGEMM,
multiplied in fp32, are as exact as the checkpoint and read half the bytes of fp32.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """A linear layer over fp16 weights in FBGEMM's packed layout; fp32 in and out."""

    def __init__(self, linear: nn.Linear) -> None:
        """Packs a layer; the original may be dropped."""
        super().__init__()
        bias = None if linear.bias is None else linear.bias.float()
        self._packed = torch.ops.quantized.linear_prepack_fp16(linear.weight.detach().float(), bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., in] fp32 -> [..., out] fp32."""
        out: Tensor = torch.ops.quantized.linear_dynamic_fp16(hidden, self._packed)
        return out


class Head:
    """The output layer, over the whole vocabulary or only the tokens that may come next."""

    def __init__(self, weight: Tensor) -> None:
        """`weight` is [vocabulary, hidden]."""
        self._weight = weight

    @property
    def size(self) -> int:
        """Tokens in the vocabulary."""
        return len(self._weight)

    def logits(self, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
        """[hidden] -> fp32 [vocabulary], or [len(allowed)] where only some tokens are asked for."""
        if allowed is not None and 8 * len(allowed) < len(self._weight):
            return self._weight[allowed].float() @ hidden.float()
        full = torch.nn.functional.linear(hidden.to(self._weight.dtype), self._weight).float()
        return full if allowed is None else full[allowed]


def prepare(model: Any, device: torch.device, tell: Callable[[int, int], None] = lambda _done, _total: None) -> str:
    """Puts a bf16 causal model into the fastest exact form for the device and names that form.

    `tell` hears after each layer how many bytes of how many have that form.
    """
    if device.type != "cpu":
        model.to(device)
        return str(model.dtype).removeprefix("torch.")
    layers = model.model.layers
    form = fastest(layers[0].mlp.gate_proj.weight)
    if form == "bfloat16":
        return form
    done, total = 0, sum(parameter.nbytes for parameter in model.parameters())
    for layer in layers:
        done += sum(parameter.nbytes for parameter in layer.parameters())
        for holder in list(layer.modules()):
            for name, child in list(holder.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(holder, name, PackedLinear(child) if form == "float16 packed" else child.float())
        layer.float()
        tell(done, total)
    model.model.norm.float()
    model.model.rotary_emb.float()
    embedding = model.model.embed_tokens
    embedding.weight.data = embedding.weight.data.clone()  # a copy: the file the weights came from is let go
    embedding.register_forward_hook(lambda _module, _args, output: output.float())
    tell(total, total)
    return form


def give_back() -> None:
    """Hands memory that is free inside this process back to the system, where its C library can."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


def fastest(weight: Tensor) -> str:
    """The form that decodes fastest here, for a weight of [out, in]: eight single tokens and one run of 24.

    Measured in processor time of one thread: threads that wait for each other on a busy machine would
    measure the machine's other work, and the choice would change from start to start.
    """
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight.data = weight.detach().float()
    forms: dict[str, tuple[Callable[[Tensor], Tensor], torch.dtype]] = {"float32": (linear, torch.float32)}
    if "fbgemm" in torch.backends.quantized.supported_engines:
        torch.backends.quantized.engine = "fbgemm"
        forms["float16 packed"] = (PackedLinear(linear), torch.float32)
    half = weight.detach().bfloat16()
    forms["bfloat16"] = (lambda hidden: torch.nn.functional.linear(hidden, half), torch.bfloat16)
    costs, threads = {}, torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, (layer, dtype) in forms.items():
            one, run = torch.randn(1, weight.shape[1], dtype=dtype), torch.randn(24, weight.shape[1], dtype=dtype)
            costs[name] = 8 * _least(partial(layer, one)) + _least(partial(layer, run))
    finally:
        torch.set_num_threads(threads)
    return min(costs, key=lambda name: costs[name])


def _least(work: Callable[[], object], rounds: int = 7) -> float:
    times = []
    for _ in range(rounds):
        started = time.thread_time()
        work()
        times.append(time.thread_time() - started)
    return min(times)
