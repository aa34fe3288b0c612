"""Restoring corrupted text: an autoencoder of two halves (Lewis et al. 2020, BART)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from agentos.training.data import Row
from agentos.training.objectives import Measured, of_tokens
from agentos.training.reader import Reader

_FILLED, _DELETED, _MASKED = 0.2, 0.05, 0.05
"""Shares of a row's tokens that lie in gaps of several, are left out, and are hidden one by one."""
_SPAN = 3.0
"""Mean length of a gap: lengths are drawn from a Poisson distribution, and a whole gap becomes one token."""


class Denoised:
    """The mean negative log-likelihood of a row's tokens, given the row with gaps, deletions and masks.

    What is corrupted depends on seed, epoch and row alone.
    """

    def __init__(self, reader: Reader, seed: int, tokenizer: Any) -> None:
        """A model with an encoder and a decoder."""
        self._reader, self._seed = reader, seed
        self._pad, self._mask, self._end = tokenizer.pad_token_id, tokenizer.mask_token_id, tokenizer.eos_token_id
        self._head: Any = reader.model.get_output_embeddings()

    def weight(self, rows: Sequence[Row]) -> float:
        """The tokens that are to be written: all of a row's, and its end."""
        return float(sum(len(row.ids) for row in rows))

    def corrupt(self, row: Row, epoch: int) -> list[int]:
        """A row's tokens with parts of them gone, and an end behind them."""
        draw = np.random.default_rng([self._seed, epoch, row.at])
        ids = row.ids[1:]
        gone = np.zeros(len(ids), dtype=bool)
        begins = np.zeros(len(ids), dtype=bool)
        while len(ids) and gone.mean() < _FILLED:
            start = int(draw.integers(len(ids)))
            begins[start] = True
            gone[start : start + max(1, int(draw.poisson(_SPAN)))] = True
        fate = draw.random(len(ids))
        kept = [int(row.ids[0])]
        for at, token in enumerate(ids):
            if gone[at]:
                if begins[at] and (at == 0 or not gone[at - 1]):
                    kept.append(self._mask)
            elif fate[at] < _MASKED:
                kept.append(self._mask)
            elif fate[at] >= _MASKED + _DELETED:
                kept.append(int(token))
        return [*kept, self._end]

    def loss(self, rows: Sequence[Row], epoch: int) -> Tensor:
        """The sum over the tokens that are to be learned."""
        return self.sums(rows, epoch)[0].sum()

    def measure(self, batches: Sequence[Sequence[Row]]) -> Measured:
        """As `of_tokens`."""
        return of_tokens(self.sums, batches)

    def sums(self, rows: Sequence[Row], epoch: int) -> tuple[Tensor, list[int]]:
        """Negative log-likelihoods of the whole rows' tokens."""
        device = self._reader.device
        broken = [self.corrupt(row, epoch) for row in rows]
        wanted = [[*row.ids[1:].tolist(), self._end] for row in rows]
        given = [[self._end, *target[:-1]] for target in wanted]
        tensors = {
            "input_ids": self._filled(broken), "decoder_input_ids": self._filled(given),
            "attention_mask": self._filled([[1] * len(part) for part in broken], 0),
        }
        there = torch.tensor([[1] * len(part) + [0] * (len(given[0]) - len(part)) for part in given]).bool().to(device)
        with self._reader.computing():
            states = self._reader.model.model(**tensors, use_cache=False).last_hidden_state[there]
            logits = self._head(states) + self._reader.model.final_logits_bias
        targets = torch.tensor([token for target in wanted for token in target], device=device)
        losses = F.cross_entropy(logits.float(), targets, reduction="none")
        return losses, [len(target) for target in wanted]

    def _filled(self, parts: list[list[int]], fill: int | None = None) -> Tensor:
        width = max(map(len, parts))
        pad = self._pad if fill is None else fill
        return torch.tensor([part + [pad] * (width - len(part)) for part in parts], device=self._reader.device)
