"""How a causal model's weights are held, chosen by measuring this processor.

bf16 is right where the processor multiplies it (AVX-512 BF16, AMX, GPUs). Elsewhere it falls off a
cliff as soon as several tokens go through at once, and half-precision weights packed by FBGEMM,
multiplied in fp32, are as exact as the checkpoint and read half the bytes of fp32.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import hashlib
import json
import mmap
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from agentos.engines import processor
from agentos.engines.packing import PackedLinear, Packing, let_go

FORMS = ("float32", "float16 packed", "bfloat16")


class Head:
    """The output layer, over the whole vocabulary or only the tokens that may come next."""

    def __init__(self, weight: Tensor, scale: Tensor | None = None) -> None:
        """`weight` is [vocabulary, hidden]; of int8 codes where a bf16 `scale` for each row is given."""
        self._weight, self._scale = weight, scale

    @property
    def size(self) -> int:
        """Tokens in the vocabulary."""
        return len(self._weight)

    def logits(self, hidden: Tensor, allowed: Tensor | None = None) -> Tensor:
        """[..., hidden] -> fp32 [..., vocabulary]; [hidden] -> [len(allowed)] where only some tokens are asked for."""
        if allowed is not None and 8 * len(allowed) < len(self._weight):
            some = self._weight[allowed].float() @ hidden.float()
            return some if self._scale is None else some * self._scale[allowed].float()
        if self._scale is None:
            full = torch.nn.functional.linear(hidden.to(self._weight.dtype), self._weight).float()
        else:
            rows = hidden.bfloat16().view(-1, hidden.shape[-1])
            full = torch._weight_int8pack_mm(rows, self._weight, self._scale).float().view(*hidden.shape[:-1], -1)
        return full if allowed is None else full[allowed]


@dataclass(frozen=True)
class Prepared:
    """How a model's weights are held."""

    form: str
    packing: Packing | None = None
    """What is left to be packed; the first passes see to it themselves."""


def prepare(
    model: Any, device: torch.device, tell: Callable[[int, int], None] = lambda _done, _total: None,
    *, kept: Path | None = None, packed: Callable[[], None] | None = None, tick: Callable[[], None] = lambda: None,
) -> Prepared:
    """Puts a bf16 causal model into the fastest exact form for the device and names that form.

    Args:
        model: The model, whose weights may lie in a mapped file.
        device: Where it shall compute.
        tell: Hears after each layer how many bytes of how many have that form.
        kept: Folder where the choice of a form is remembered; None measures it.
        packed: Called when the weights are packed, where they are packed later.
        tick: Called after each that is packed later: the sign that it goes forward.
    """
    if device.type != "cpu":
        model.to(device)
        return Prepared(str(model.dtype).removeprefix("torch."))
    layers = model.model.layers
    form = remembered(layers[0].mlp.gate_proj.weight, kept)
    if form == "bfloat16":
        return Prepared(form)
    done, total = 0, sum(parameter.nbytes for parameter in model.parameters())
    waiting: list[PackedLinear] = []
    for layer in layers:
        done += sum(parameter.nbytes for parameter in layer.parameters())
        for holder in list(layer.modules()):
            for name, child in list(holder.named_children()):
                if isinstance(child, nn.Linear):
                    # what is in memory after a load is what is measured and remembered: all of it comes in now
                    child.weight.detach().flatten()[:: mmap.PAGESIZE // child.weight.itemsize].max()
                    if form == "float16 packed":
                        waiting.append(PackedLinear(child))
                        setattr(holder, name, waiting[-1])
                    else:
                        setattr(holder, name, child.float())
        layer.float()
        tell(done, total)
    model.model.norm.float()
    model.model.rotary_emb.float()
    embedding = model.model.embed_tokens
    mapped = embedding.weight.data
    embedding.weight.data = mapped.clone()  # a copy: the file the weights came from is let go
    let_go(mapped)
    embedding.register_forward_hook(lambda _module, _args, output: output.float())
    tell(total, total)
    return Prepared(form, Packing(model.model, waiting, packed or give_back, tick) if waiting else None)


def remembered(weight: Tensor, kept: Path | None) -> str:
    """The `fastest` form for a weight of that shape, measured once for each processor and version of torch."""
    told = [processor.name(), torch.__version__, torch.get_num_threads(), list(weight.shape)]
    file = None if kept is None else kept / f"form-{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if file is not None and (form := json.loads(file.read_text("utf-8"))["form"]) in FORMS:
            return str(form)
    form = fastest(weight)
    if file is not None:
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.with_suffix(".tmp").write_text(json.dumps({"form": form, "for": told}), "utf-8")
            file.with_suffix(".tmp").replace(file)
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
