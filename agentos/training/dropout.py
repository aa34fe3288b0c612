"""Dropout whose numbers are drawn as fast as a processor can: torch draws them one after the other there."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_STEPS = 2**16
"""In how many steps of a chance the draws fall: 16 bits for each element."""


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: Tensor, share: float) -> Tensor:
        count = given.numel()
        # SFC64 passes PractRand, and a seed from torch's own numbers keeps a run's course in one hand
        drawn = np.random.SFC64(int(torch.randint(2**62, ()))).random_raw(-(-count // 4))
        bits = torch.from_numpy(drawn.view(np.int16)[:count]).view(given.shape)
        least = round(share * _STEPS)
        kept = (bits >= least - _STEPS // 2).to(given.dtype).mul_(_STEPS / (_STEPS - least))
        ctx.save_for_backward(kept)
        return given * kept

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.saved_tensors[0], None


class Dropout(nn.Dropout):
    """As `torch.nn.Dropout` on a processor, to 1/65536 of a chance; the same numbers after the same `manual_seed`."""

    def forward(self, input: Tensor) -> Tensor:
        """Leaves out elements while the model trains, and none otherwise."""
        if not self.training or not 0 < self.p < 1 or self.inplace:
            return super().forward(input)
        done: Tensor = _Drop.apply(input, self.p)  # type: ignore[no-untyped-call]
        return done


def swift(model: nn.Module) -> None:
    """Makes every dropout of a model one of these."""
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout
