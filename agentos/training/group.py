"""The processes of one run: each reads its share of an update's rows, and their gradients are added up."""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Group:
    """A process among the others of its run; alone where there is one."""

    def __init__(self, rank: int = 0, size: int = 1, port: int = 0, device: torch.device | None = None) -> None:
        """Meets the other processes on this machine, where there are any."""
        self.rank, self.size = rank, size
        self._device = device or torch.device("cpu")
        if size > 1:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
            dist.init_process_group(
                "nccl" if self._device.type == "cuda" else "gloo", init_method=f"tcp://127.0.0.1:{port}",
                rank=rank, world_size=size,
            )

    @property
    def first(self) -> bool:
        """Whether it is the process that tells and keeps."""
        return self.rank == 0

    def share(self, rows: list[int]) -> list[int]:
        """The rows that this process reads of an update's."""
        return rows[self.rank :: self.size]

    def sum(self, values: list[float]) -> list[float]:
        """Figures, added up over all processes."""
        if self.size == 1:
            return values
        told = torch.tensor(values, dtype=torch.float64, device=self._device)
        dist.all_reduce(told)
        return [float(value) for value in told]

    def told(self, values: list[float]) -> list[float]:
        """The first process's figures, in all of them."""
        return self.sum(values if self.first else [0.0] * len(values))

    @torch.no_grad()
    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Makes each gradient the sum over all processes, in one message."""
        if self.size == 1:
            return
        trained = list(parameters)
        gradients: list[Tensor] = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        line = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(line)
        start = 0
        for parameter in trained:
            parameter.grad = line[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            self.sum([0.0])

    def close(self) -> None:
        """Leaves the others."""
        if self.size > 1:
            dist.destroy_process_group()


