"""AdamW, fused, with a table of embeddings that is touched only where its tokens were read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_CLIP = 1.0
"""Most that the gradient's norm may be."""


def schedule(update: int, total: int, warmup: float) -> float:
    """The share of the rate at an update, counted from 0: it rises in the first ones and falls to 0 in line."""
    rising = max(1, math.ceil(warmup * total)) if warmup > 0 else 0
    if update < rising:
        return (update + 1) / rising
    return max(0.0, (total - update) / max(1, total - rising))


class Optimizer:
    """AdamW (Loshchilov and Hutter 2019) over what trains; biases and norms do not decay, gradients are clipped at 1.

    A table given as `table` has sparse gradients. Of it only the rows of tokens in the update are touched, each with
    AdamW's own formula and the run's count of updates; the others keep weights and moments as they are, as in
    `torch.optim.SparseAdam`. A vocabulary of 30,000 tokens is most of a small model, and an update reads a few
    hundred of them.
    """

    def __init__(
        self, named: Iterable[tuple[str, nn.Parameter]], rate: float, decay: float, table: nn.Parameter | None = None,
    ) -> None:
        """An optimizer in its first state."""
        self.rate, self._decay, self._table = rate, decay, table
        self.parameters = [parameter for _name, parameter in named if parameter is not table]
        groups = [
            {"params": [p for p in self.parameters if p.ndim > 1], "weight_decay": decay},
            {"params": [p for p in self.parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self._inner = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=rate, betas=_BETAS, eps=_EPSILON, fused=True
        )
        self._count = 0
        self._first = None if table is None else torch.zeros_like(table)
        self._second = None if table is None else torch.zeros_like(table)

    def norm(self) -> Tensor:
        """The norm of the whole gradient; not finite where some of it is not."""
        dense = [p.grad for p in self.parameters if p.grad is not None]
        norms = list(torch._foreach_norm(dense))
        if self._table is not None and self._table.grad is not None:
            self._table.grad = self._table.grad.coalesce()
            norms.append(self._table.grad.values().norm())
        whole: Tensor = torch.linalg.vector_norm(torch.stack([norm.float() for norm in norms]))
        return whole

    def step(self, share: float, norm: float) -> None:
        """One update with a share of the rate; `norm` is the gradient's."""
        coefficient = min(1.0, _CLIP / (norm + 1e-6))
        dense = [p.grad for p in self.parameters if p.grad is not None]
        if coefficient < 1:
            torch._foreach_mul_(dense, coefficient)
        for group in self._inner.param_groups:
            group["lr"] = self.rate * share
        self._inner.step()
        self._count += 1
        if self._table is not None and self._table.grad is not None:
            self._step_rows(self._table.grad, self.rate * share, coefficient)

    @torch.no_grad()
    def _step_rows(self, gradient: Tensor, rate: float, coefficient: float) -> None:
        assert self._table is not None and self._first is not None and self._second is not None
        rows, values = gradient.indices()[0], gradient.values() * coefficient
        first = self._first.index_select(0, rows).lerp_(values, 1 - _BETAS[0])
        second = self._second.index_select(0, rows).mul_(_BETAS[1]).addcmul_(values, values, value=1 - _BETAS[1])
        self._first.index_copy_(0, rows, first)
        self._second.index_copy_(0, rows, second)
        near = second.div_(1 - _BETAS[1] ** self._count).sqrt_().add_(_EPSILON)
        weights = self._table.index_select(0, rows).mul_(1 - rate * self._decay)
        weights.addcdiv_(first, near, value=-rate / (1 - _BETAS[0] ** self._count))
        self._table.index_copy_(0, rows, weights)

    def zero(self) -> None:
        """Forgets the gradient."""
        for parameter in self.parameters:
            parameter.grad = None
        if self._table is not None:
            self._table.grad = None

    def state(self) -> dict[str, Any]:
        """All that the next update depends on."""
        return {"inner": self._inner.state_dict(), "count": self._count, "first": self._first, "second": self._second}

    def load(self, state: dict[str, Any]) -> None:
        """Goes on from a state."""
        self._inner.load_state_dict(state["inner"])
        self._count = int(state["count"])
        for mine, kept in ((self._first, state["first"]), (self._second, state["second"])):
            if mine is not None:
                mine.copy_(kept)

    def reset(self) -> None:
        """Goes back to the first state."""
        self._inner.state.clear()
        self._count = 0
        for moments in (self._first, self._second):
            if moments is not None:
                moments.zero_()
