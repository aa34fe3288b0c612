"""What a model says of each row of a data set, asked as it is where it serves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agentos.engines import encoders
from agentos.errors import Failed, UserError
from agentos.training import batches, building, encoding
from agentos.training.data import Parts, Raw
from agentos.training.events import Journal, left, peak
from agentos.training.metrics import of_labels, of_tokens
from agentos.training.objectives import Answers
from agentos.training.reader import Reader
from agentos.training.spec import RunSpec
from agentos.types import ModelSpec, Predicted

_LETTERS = {"cpu": 8192, "cuda": 65536}
"""Letters of the texts that a classifier is asked of between two lines of progress: about one of its batches."""
_TOKENS = {"cpu": 1024, "cuda": 8192}
"""Tokens of a batch of a model that writes: each has a figure for every token of the vocabulary."""
_CONTEXT = 4096
"""Tokens that are read of a text, at most: as many as where a model is served."""


@dataclass(frozen=True)
class Asked:
    """What is to be measured on what, and where that is told."""

    spec: RunSpec
    config: Any
    raw: Raw
    rows: list[int]
    place: torch.device
    journal: Journal


@dataclass
class Told:
    """What a model said, in the order of the rows' numbers."""

    columns: dict[str, list[Any]]
    metrics: dict[str, float | None]
    labels: tuple[str, ...] = ()
    tokens: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


class Progress:
    """Tells once a second how many rows are done."""

    def __init__(self, journal: Journal, rows: int) -> None:
        """`rows` in all."""
        self._journal, self._rows = journal, rows
        self._done = self._tokens = 0
        self._started = self._told = time.monotonic()

    def add(self, rows: int, tokens: int) -> None:
        """So many more."""
        self._done, self._tokens, now = self._done + rows, self._tokens + tokens, time.monotonic()
        if now - self._told < 1 and self._done < self._rows:
            return
        self._told, took = now, max(1e-9, now - self._started)
        speed, eta = self._tokens / took, took * (self._rows - self._done) / max(1, self._done)
        self._journal.event("step", step=self._done, steps=self._rows, tokens_per_second=speed, eta=eta, memory=peak())
        share = 100 * self._done // self._rows
        print(f"row {self._done}/{self._rows} {share}% {speed:,.0f} tokens/s {left(eta)} left", flush=True)


def match(said: Sequence[str], known: Sequence[str], model: str) -> tuple[dict[str, int], list[str]]:
    """The model's number for each label of the data, and what a person should know of how it was found.

    Args:
        said: Labels of the data, in their order.
        known: The model's, by their numbers.
        model: Its name.

    Raises:
        UserError: the model lacks one of them.
    """
    numbers = {label: at for at, label in enumerate(known)}
    folded = {label.casefold(): at for at, label in enumerate(known)}
    wanted = list(dict.fromkeys(said))
    if all(label in numbers for label in wanted):
        return {label: numbers[label] for label in wanted}, []
    if len(folded) == len(known) and all(label.casefold() in folded for label in wanted) and len(
        {label.casefold() for label in wanted}
    ) == len(wanted):
        return {label: folded[label.casefold()] for label in wanted}, ["labels were matched whatever their case"]
    if all(label == f"LABEL_{at}" for at, label in enumerate(known)):
        if all(label.isdecimal() and int(label) < len(known) for label in wanted):
            return {label: int(label) for label in wanted}, ["the model's LABEL_0 was taken for 0, and so on"]
        if len(wanted) == len(known):
            pairs = ", ".join(f"{name} for {label!r}" for name, label in zip(known, wanted, strict=True))
            return {label: at for at, label in enumerate(wanted)}, [
                f"the model's labels have no names and were taken in order: {pairs}"
            ]
    lacking = [label for label in wanted if label not in numbers]
    raise UserError(
        f"{model!r} does not know {len(lacking)} of the labels, {lacking[0]!r} for one; nothing was measured. "
        f"The data have {_some(wanted)}; the model has {_some(known)}"
    )


def _some(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels[:20])) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")


def labels(asked: Asked) -> Told:
    """The probability of each label for each row, by the engine's own encoder.

    Raises:
        UserError: the model does not know the data's labels, or no row has one.
    """
    spec, raw, place = asked.spec, asked.raw, asked.place
    adapter = Path(spec.adapter_path) if spec.adapter_path else None
    served = ModelSpec(spec.model, Path(spec.base_path), context=spec.length or _CONTEXT, adapter=adapter)
    encoder = encoders.load(served, asked.config, place)
    if encoder.labels == ("value",):
        raise UserError(f"{spec.model!r} gives an amount for a text, and is not measured by labels; nothing was")
    assert raw.labels is not None
    rows = [at for at in asked.rows if raw.labels[at] or "" in encoder.labels]
    if not rows:
        raise UserError(f"no row of {spec.data!r} has a label in {spec.label!r}; nothing was measured")
    numbers, notes = match(_ordered(spec, {raw.labels[at] for at in rows}, raw.labels), encoder.labels, spec.model)
    if len(rows) < len(asked.rows):
        notes.append(f"{len(asked.rows) - len(rows)} rows have no label and were left out")
    names = list(encoder.labels)
    for label, at in numbers.items():
        names[at] = label
    chances: dict[int, tuple[float, ...]] = {}
    progress, tokens, cut, started = Progress(asked.journal, len(rows)), 0, 0, time.monotonic()
    for part in _slices(raw, rows, _LETTERS[place.type]):
        made = _predict(encoder, raw, part, spec)
        chances.update(zip(part, made.rows, strict=True))
        tokens, cut = tokens + made.tokens, cut + made.truncated
        progress.add(len(part), made.tokens)
    if cut:
        notes.append(f"{cut} rows are longer than the {encoder.context} tokens that are read; the rest is cut off")
    true, scores = np.array([numbers[raw.labels[at]] for at in rows]), np.array([chances[at] for at in rows])
    said = scores.argmax(1)
    found = of_labels(true, said, scores, names)
    assert found.accuracy is not None and found.macro_f1 is not None
    return Told(
        {"row": rows, "label": true.tolist(), "predicted": said.tolist(), "probabilities": scores.tolist()},
        {"accuracy": found.accuracy.value, "macro_f1": found.macro_f1.value, "loss": found.loss},
        tuple(names), tokens, time.monotonic() - started, notes,
    )


def _ordered(spec: RunSpec, asked: set[str], everywhere: Sequence[str]) -> list[str]:
    """The data's labels: in the data set's own order where it has one, numbers by their size."""
    if asked <= set(spec.labels):
        return list(spec.labels)
    return sorted({*everywhere} - {""} | asked, key=lambda one: (not one.isdecimal(), one.zfill(20), one))


def _slices(raw: Raw, rows: list[int], letters: int) -> Iterator[list[int]]:
    """Rows of like length together, the longest first; the same for every machine, so that results are."""
    lengths = {at: sum(map(len, raw.texts[at])) + 1 for at in rows}
    part: list[int] = []
    held = 0
    for at in sorted(rows, key=lambda at: (-lengths[at], at)):
        if part and held + lengths[at] > letters:
            yield part
            part, held = [], 0
        part.append(at)
        held += lengths[at]
    if part:
        yield part


def _predict(encoder: encoders.Encoder, raw: Raw, rows: list[int], spec: RunSpec) -> Predicted:
    try:
        return encoder.predict([raw.texts[at] for at in rows])
    except UserError:
        empty = [at for at in rows if not any(text.strip() for text in raw.texts[at])]
        if not empty:
            raise
        raise UserError(
            f"row {empty[0]} of {spec.data!r} is empty, and {spec.model!r} reads nothing in it; nothing was measured. "
            "Clean the data (datasets.clean)"
        ) from None


def writing(asked: Asked) -> Told:
    """How likely a model that writes holds each row's answer, or its whole text.

    Raises:
        UserError: there is nothing to be answered in any row.
        Failed: the model cannot be loaded.
    """
    spec, rows, place = asked.spec, asked.rows, asked.place
    model, tokenizer, new = building.load_base(replace(spec, task="causal-lm"), ())
    if new:
        raise Failed(f"{spec.model!r} lacks {len(new)} of its weights ({new[0]!r} is the first); nothing was measured")
    model.to(place).eval()
    length = encoding.longest(model, tokenizer, spec.length, "causal-lm")
    corpus = encoding.answered(Parts(asked.raw, rows, asked.raw, [], (), ""), tokenizer, length)
    half = torch.cuda.is_bf16_supported() if spec.dtype == "auto" and place.type == "cuda" else spec.dtype == "bf16"
    reader = Reader(model, place, tokenizer.pad_token_id or 0, half)
    reader.packed = reader.try_packed(corpus.train)
    objective, found, notes = Answers(reader), corpus.train, list(corpus.notes)
    if len(found) < len(rows):
        notes.append(f"{len(rows) - len(found)} rows have nothing to be answered and were left out")
    told: list[tuple[int, float, int]] = []
    progress, started = Progress(asked.journal, len(found)), time.monotonic()
    lengths = [len(row.ids) for row in found]
    for part in batches.cut(range(len(found)), lengths, spec.tokens or _TOKENS[place.type], not reader.packed):
        said = objective.measure([[found[at] for at in part]]).columns
        told += zip(said["row"], said["loss"], said["tokens"], strict=True)
        progress.add(len(part), sum(lengths[at] for at in part))
    told.sort()
    columns = {name: list(one) for name, one in zip(("row", "loss", "tokens"), zip(*told, strict=True), strict=True)}
    made = of_tokens(np.array(columns["loss"]), np.array(columns["tokens"]))
    figures = {"loss": made.loss, "perplexity": made.perplexity.value if made.perplexity else None}
    return Told(columns, figures, (), sum(lengths), time.monotonic() - started, notes)
