"""What models answer: text as it comes, labels, vectors."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

from agentos.errors import Failed
from agentos.models.choice import REMOTE
from agentos.models.costs import Costs
from agentos.models.meter import Meter
from agentos.types import (
    Completed,
    Context,
    Engine,
    Generation,
    Message,
    Predicted,
    Prediction,
    Predictions,
    Text,
    Token,
)

BATCH = 64
"""Texts that go to an engine at a time, so that progress is told and others get their turn."""


async def generate(
    engine: Engine, name: str, prompt: str, max_tokens: int, *, ctx: Context, meter: Meter, costs: Costs
) -> Text:
    """A model's answer to a message, streamed through `ctx.text`; what a remote one cost is noted.

    Raises:
        UserError: the prompt is longer than the context.
        Failed: the engine ended in the middle of it.
    """
    request = Generation(uuid.uuid4().hex, (Message("user", prompt),), max_tokens)
    answer = cast(AsyncGenerator[Token | Completed, None], engine.generate(request))
    say, count, pieces = ctx.text, meter.token, 0
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Token):
                pieces += 1
                count()
                await say(item.text)
                continue
            meter.done(item.tokens - pieces, item.cost)
            if name.startswith(REMOTE):
                costs.record(ctx.caller.user, name, item)
            return Text(item.text, item.served_by or name, item.tokens, item.seconds, item.cost)
    raise Failed(f"the {engine.name} engine ended its answer without saying so")


async def predict(
    engine: Engine, name: str, texts: Sequence[str], *, ctx: Context, meter: Meter, costs: Costs
) -> Predictions:
    """A label and scores, or a vector, for each text.

    Raises:
        UserError: the model writes text, or a text gives it nothing to read.
        Failed: the engine ended in the middle of it.
    """
    found: list[Prediction] = []
    tokens, cut, took, paid = 0, 0, 0.0, 0.0
    for start in range(0, len(texts), BATCH):
        if len(texts) > BATCH:
            await ctx.progress(f"asking {name}", start, len(texts), "texts")
        part = await engine.predict(texts[start : start + BATCH])
        if name.startswith(REMOTE):
            costs.record(ctx.caller.user, name, part)
            paid += part.cost or 0.0
        found += _read(part)
        tokens, cut, took = tokens + part.tokens, cut + part.truncated, took + part.seconds
    meter.done(0, paid)
    return Predictions(name, found, tokens, took, cut)


def _read(part: Predicted) -> list[Prediction]:
    if not part.labels:
        return [Prediction(vector=list(row)) for row in part.rows]
    rows = [dict(zip(part.labels, row, strict=True)) for row in part.rows]
    best = [max(row, key=row.__getitem__) for row in rows]
    return [Prediction(label, row[label], row) for label, row in zip(best, rows, strict=True)]


def died(name: str, alive: bool, error: Failed) -> Failed:
    """The error of an engine, which says that it died where it is not `alive`."""
    return error if alive else Failed(f"{name!r} died while it answered ({error}). Ask again: it is loaded afresh.")
