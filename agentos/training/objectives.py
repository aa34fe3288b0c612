"""What is learned: labels, answers, masked tokens. Each loss is a sum, so that batches add up to the whole.

An update's loss is the sum over its rows divided by their weight, in however many batches they are read: a row or a
token counts the same wherever it falls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from agentos.training.data import Row
from agentos.training.reader import Reader

HELD = 2**31
"""The epoch whose masks rows are measured under."""


@dataclass
class Measured:
    """What a model says of the rows that were held out."""

    metrics: dict[str, float]
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """Of each row, in order."""

    @property
    def standing(self) -> list[float]:
        """Greater is better: accuracy first, where there is one, and then the loss."""
        return [self.metrics.get("accuracy", 0.0), -self.metrics["loss"]]


Ids = np.ndarray[Any, np.dtype[np.int64]]
Sums = Callable[[Sequence[Row], int], tuple[Tensor, list[int]]]
"""Losses of some rows' tokens under an epoch's masks, one behind the other, and how many each row has."""


class Objective(Protocol):
    """What is learned of rows."""

    def weight(self, rows: Sequence[Row]) -> float:
        """What the sum of the rows' losses is divided by."""
        ...

    def loss(self, rows: Sequence[Row], epoch: int) -> Tensor:
        """The sum of the rows' losses, in nats."""
        ...

    def measure(self, batches: Sequence[Sequence[Row]]) -> Measured:
        """How good the model is on rows that it has not learned from."""
        ...


class Labels:
    """Cross-entropy of a row's label; rare labels may weigh more."""

    def __init__(self, reader: Reader, weights: list[float] | None, count: int) -> None:
        """A classifier of `count` labels; `weights` of each of them, None for 1."""
        self._reader, self._weights, self._count = reader, weights, count
        self._tensor = None if weights is None else torch.tensor(weights, device=reader.device)

    def weight(self, rows: Sequence[Row]) -> float:
        """The rows, or the sum of their labels' weights."""
        return float(len(rows)) if self._weights is None else math.fsum(self._weights[row.label] for row in rows)

    def loss(self, rows: Sequence[Row], epoch: int) -> Tensor:
        """The sum of weighted cross-entropies."""
        logits = self._reader.classes(rows)
        wanted = torch.tensor([row.label for row in rows], device=logits.device)
        return F.cross_entropy(logits, wanted, weight=self._tensor, reduction="sum")

    def measure(self, batches: Sequence[Sequence[Row]]) -> Measured:
        """Accuracy, macro F1 and the mean loss, all rows weighing the same; and what it said of each row."""
        rows: list[Row] = []
        parts: list[Tensor] = []
        for batch in batches:
            rows += batch
            parts.append(self._reader.classes(batch).softmax(-1).cpu())
        chances = torch.cat(parts).numpy().astype(np.float64)
        true = np.array([row.label for row in rows])
        said = chances.argmax(-1)
        loss = float(-np.log(np.maximum(chances[np.arange(len(true)), true], 1e-30)).mean())
        scores = []
        for label in range(self._count):
            hit = int(((said == label) & (true == label)).sum())
            all_of_it = int((said == label).sum() + (true == label).sum())
            if all_of_it:
                scores.append(2 * hit / all_of_it)
        order = np.argsort([row.at for row in rows], kind="stable")
        columns: dict[str, list[Any]] = {
            "row": [rows[at].at for at in order], "label": true[order].tolist(), "predicted": said[order].tolist(),
            "probabilities": chances[order].tolist(),
        }
        metrics = {"accuracy": float((said == true).mean()), "macro_f1": float(np.mean(scores)), "loss": loss}
        return Measured(metrics, columns)


def of_tokens(sums: Sums, rows: Sequence[Sequence[Row]]) -> Measured:
    """The mean loss of a token and its perplexity, and each row's sum.

    Args:
        sums: Gives the losses of some rows' tokens under an epoch's masks, and how many each row has.
        rows: The rows that were held out, in batches.
    """
    told: list[tuple[int, float, int]] = []
    for batch in rows:
        losses, counts = sums(batch, HELD)
        for row, part in zip(batch, np.split(losses.double().cpu().numpy(), np.cumsum(counts)[:-1]), strict=True):
            told.append((row.at, float(part.sum()), len(part)))
    told.sort()
    loss = math.fsum(item[1] for item in told) / max(1, sum(item[2] for item in told))
    columns: dict[str, list[Any]] = {
        "row": [item[0] for item in told], "loss": [item[1] for item in told], "tokens": [item[2] for item in told],
    }
    return Measured({"loss": loss, "perplexity": math.exp(min(loss, 700.0))}, columns)


class Answers:
    """The next token, of answers alone: logits are computed at no other position."""

    def __init__(self, reader: Reader) -> None:
        """A model that writes."""
        self._reader = reader
        self._head: Any = reader.model.get_output_embeddings()

    def weight(self, rows: Sequence[Row]) -> float:
        """The tokens that are to be written."""
        return float(sum(len(row.ids) - row.start for row in rows))

    def loss(self, rows: Sequence[Row], epoch: int) -> Tensor:
        """The sum over the tokens that are to be learned."""
        return self.sums(rows, epoch)[0].sum()

    def measure(self, batches: Sequence[Sequence[Row]]) -> Measured:
        """As `of_tokens`."""
        return of_tokens(self.sums, batches)

    def sums(self, rows: Sequence[Row], epoch: int) -> tuple[Tensor, list[int]]:
        """Negative log-likelihoods of the answers' tokens."""
        at, starts = [], 0
        for row in rows:
            at.append(np.arange(row.start - 1, len(row.ids) - 1) + starts)
            starts += len(row.ids)
        wanted = np.concatenate([row.ids[row.start :] for row in rows])
        chosen = self._reader.some(rows, np.concatenate(at))
        with self._reader.computing():
            logits, wanted = self._said(chosen, rows, wanted)
        losses = F.cross_entropy(logits.float(), torch.from_numpy(wanted).to(chosen.device), reduction="none")
        return losses, [len(row.ids) - row.start for row in rows]

    def _said(self, states: Tensor, rows: Sequence[Row], wanted: Ids) -> tuple[Tensor, Ids]:
        """Logits over the vocabulary, and each wanted token's number among them.

        Rows that share a beginning are answered with what it and they show, under a grammar that admits nothing else:
        their logits are over those tokens alone, which costs next to nothing.
        """
        if rows[0].behind < 0:
            return self._head(states), wanted
        shown = np.unique(np.concatenate([self._reader.shown(rows[0].behind), *(row.ids for row in rows)]))
        weight = self._head.weight[torch.from_numpy(shown).to(states.device)]
        return F.linear(states, weight), np.searchsorted(shown, wanted)


class Masked:
    """Masked language modelling: the mean negative log-likelihood of the masked tokens, -(1/P) * sum log p̂.

    P counts the masked positions; 15% of a row's tokens are chosen, of which 80% become the mask, 10% another token
    and 10% stay (Devlin et al. 2019, BERT, section 3.1). Which, depends on seed, epoch and row alone. Logits are
    computed at those positions only.
    """

    def __init__(self, reader: Reader, seed: int, mask: int, special: Sequence[int], size: int) -> None:
        """A model with a head over its vocabulary.

        Args:
            reader: The model.
            seed: Of the run.
            mask: The token that stands for a hidden one.
            special: Tokens that are never hidden.
            size: Tokens in the vocabulary.
        """
        self._reader, self._seed, self._mask, self._size = reader, seed, mask, size
        self._special = np.array(sorted(special))
        self._head: Any = reader.model.cls

    def weight(self, rows: Sequence[Row]) -> float:
        """The positions that are masked."""
        return float(sum(self._count(row) for row in rows))

    def _count(self, row: Row) -> int:
        return max(1, round(0.15 * int((~np.isin(row.ids, self._special)).sum())))

    def hide(self, row: Row, epoch: int) -> tuple[Row, np.ndarray[Any, Any]]:
        """A row with some tokens hidden, and where."""
        draw = np.random.default_rng([self._seed, epoch, row.at])
        open_to = np.flatnonzero(~np.isin(row.ids, self._special))
        if not len(open_to):
            open_to = np.arange(len(row.ids))
        at = np.sort(draw.permutation(open_to)[: self._count(row)])
        ids = row.ids.copy()
        fate = draw.random(len(at))
        ids[at[fate < 0.8]] = self._mask
        ids[at[fate >= 0.9]] = draw.integers(len(self._special), self._size, int((fate >= 0.9).sum()))
        return Row(row.at, ids, row.kinds), at

    def loss(self, rows: Sequence[Row], epoch: int) -> Tensor:
        """The sum over the tokens that are to be learned."""
        return self.sums(rows, epoch)[0].sum()

    def measure(self, batches: Sequence[Sequence[Row]]) -> Measured:
        """As `of_tokens`."""
        return of_tokens(self.sums, batches)

    def sums(self, rows: Sequence[Row], epoch: int) -> tuple[Tensor, list[int]]:
        """Negative log-likelihoods of the masked tokens."""
        hidden = [self.hide(row, epoch) for row in rows]
        places, starts = [], 0
        for row, at in hidden:
            places.append(at + starts)
            starts += len(row.ids)
        wanted = np.concatenate([row.ids[at] for row, (_hidden, at) in zip(rows, hidden, strict=True)])
        chosen = self._reader.some([row for row, _at in hidden], np.concatenate(places))
        with self._reader.computing():
            logits = self._head(chosen)
        losses = F.cross_entropy(logits.float(), torch.from_numpy(wanted).to(chosen.device), reduction="none")
        return losses, [len(at) for _row, at in hidden]
