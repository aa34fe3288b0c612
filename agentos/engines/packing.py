"""Half-precision weights in FBGEMM's packed layout, made when there is time for it."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """A linear layer over fp16 weights in FBGEMM's packed layout; fp32 in and out."""

    def __init__(self, linear: nn.Linear) -> None:
        """Takes a layer over, which is packed when it is first used; the original may be dropped."""
        super().__init__()
        self._weight: Tensor | None = linear.weight.detach()
        self._bias = None if linear.bias is None else linear.bias.detach().float()
        self._packed: Any = None
        self.scratch: Tensor | None = None
        """Room for the weights in fp32; with it, a layer that is not packed multiplies without being packed."""

    @property
    def size(self) -> int:
        """Weights that wait to be packed."""
        return 0 if self._weight is None else self._weight.numel()

    def pack(self, scratch: Tensor | None = None) -> Tensor | None:
        """Packs the weights, once, and gives what they were; `scratch` is fp32 and has room for them."""
        weight, self._weight, self.scratch = self._weight, None, None
        if weight is not None:
            self._packed = torch.ops.quantized.linear_prepack_fp16(_widened(weight, scratch), self._bias)
        return weight

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., in] fp32 -> [..., out] fp32."""
        if self._weight is not None:
            if self.scratch is not None:
                return torch.nn.functional.linear(hidden, _widened(self._weight, self.scratch), self._bias)
            self.pack()
        out: Tensor = torch.ops.quantized.linear_dynamic_fp16(hidden, self._packed)
        return out


class Packing:
    """Packing that waits until the first answer has begun: packing everything takes longer than a pass without.

    The first pass over a model multiplies the weights as they are, one layer's in fp32 at a time; before the
    second, or as soon as nothing else is to be done, all are packed, and the pages of the file that they came
    from are let go one by one. The product is of the same numbers either way, summed in another order.
    """

    def __init__(
        self, model: Any, layers: list[PackedLinear], packed: Callable[[], None], tick: Callable[[], None]
    ) -> None:
        """Packing of `layers`, which are all in `model`; `tick` is called after each, `packed` at the end."""
        self._layers = list(reversed(layers))
        self._packed, self._tick = packed, tick
        self._scratch = torch.empty(max(layer.size for layer in layers))
        self._passed = False
        self._hook = model.register_forward_pre_hook(lambda *_: self._pass())
        for layer in layers:
            layer.scratch = self._scratch

    @property
    def waiting(self) -> bool:
        """Whether something is left to be packed."""
        return bool(self._layers)

    def step(self) -> None:
        """Packs one layer."""
        if self._layers:
            self._pack([self._layers.pop()], self._scratch)
            if not self._layers:
                self._end()

    def finish(self) -> None:
        """Packs what is left, on every core that torch may use."""
        layers, self._layers = self._layers, []
        threads = max(1, torch.get_num_threads())
        shares = [layers[index::threads] for index in range(threads)]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda share: self._pack(share, torch.empty_like(self._scratch)), shares))
        self._end()

    def _pass(self) -> None:
        if self._passed:
            self.finish()
        self._passed = True

    def _pack(self, layers: list[PackedLinear], scratch: Tensor) -> None:
        with torch.no_grad():
            for layer in layers:
                weight = layer.pack(scratch)
                if weight is not None:
                    let_go(weight)
                self._tick()

    def _end(self) -> None:
        self._hook.remove()
        self._scratch = torch.empty(0)
        self._packed()


def let_go(weight: Tensor) -> None:
    """Drops the whole pages of a weight that lies in a mapped file; whoever reads them again gets them from it."""
    page = mmap.PAGESIZE
    start = -(-weight.data_ptr() // page) * page
    end = (weight.data_ptr() + weight.nbytes) // page * page
    if start < end and any(low <= start and end <= high for low, high in _mapped()):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_DONTNEED)


def _mapped() -> list[tuple[int, int]]:
    """Where files of weights lie in this process's memory: nothing else may be dropped."""
    found = []
    with contextlib.suppress(OSError), open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            if line.rstrip().endswith(".safetensors"):
                start, _, end = line.split(None, 1)[0].partition("-")
                found.append((int(start, 16), int(end, 16)))
    return found


def _widened(weight: Tensor, scratch: Tensor | None) -> Tensor:
    if scratch is None:
        return weight.float()
    # memory that was touched before: a fresh piece for each layer costs more than the copy
    return scratch[: weight.numel()].view(weight.shape).copy_(weight)
