"""What models answer: text as it comes, labels, vectors."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol, cast

from agentos.errors import Failed
from agentos.models.choice import REMOTE
from agentos.models.costs import Costs
from agentos.models.meter import Meter
from agentos.types import (
    Caller,
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


class Left(Protocol):
    """What becomes of an answer."""

    @property
    def text(self) -> str:
        """All that the caller is given."""
        ...

    @property
    def rest(self) -> str:
        """What of that was not let out yet."""
        ...

    @property
    def finish_reason(self) -> str:
        """`content_filter` where the answer is withheld; else empty."""
        ...

    @property
    def review(self) -> str:
        """The id under which it waits for review."""
        ...


class Leaving(Protocol):
    """An answer on its way out."""

    @property
    def over(self) -> bool:
        """Whether it will not be given, whatever may still come."""
        ...

    def feed(self, piece: str) -> str:
        """What can be let out now."""
        ...

    def close(self, text: str | None = None) -> Left:
        """The end of it; `text` is the whole where the engine gave that, too."""
        ...


class Outgoing(Protocol):
    """The rules over what models say."""

    def reply(self, caller: Caller, model: str, prompt: str) -> Leaving | None:
        """What an answer to a caller goes through; None where no rule can touch it."""
        ...


async def generate(
    engine: Engine, name: str, prompt: str, max_tokens: int, *, ctx: Context, meter: Meter, costs: Costs,
    outgoing: Outgoing | None = None,
) -> Text:
    """A model's answer to a message, streamed through `ctx.text`; what a remote one cost is noted.

    All answers to what people ask models pass here, before streams, results, the audit trail and checkpoints, so rules
    over replies are held against them here. The kernel's own words (small talk, at most a sentence) do not.

    Raises:
        UserError: the prompt is longer than the context.
        Failed: the engine ended in the middle of it.
    """
    request = Generation(uuid.uuid4().hex, (Message("user", prompt),), max_tokens)
    answer = cast(AsyncGenerator[Token | Completed, None], engine.generate(request))
    leaving = None if outgoing is None else outgoing.reply(ctx.caller, name, prompt)
    say, count, pieces, started = ctx.text, meter.token, 0, time.monotonic()
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Token):
                pieces += 1
                count()
                if leaving is None:
                    await say(item.text)
                    continue
                if out := leaving.feed(item.text):
                    await say(out)
                if leaving.over and not name.startswith(REMOTE):  # a remote one's cost comes with its end
                    meter.done(0)
                    return await _left(leaving, None, Text("", name, pieces, time.monotonic() - started), say)
                continue
            meter.done(item.tokens - pieces, item.cost)
            if name.startswith(REMOTE):
                costs.record(ctx.caller.user, name, item)
            given = Text(item.text, item.served_by or name, item.tokens, item.seconds, item.cost, item.reason)
            return given if leaving is None else await _left(leaving, item.text, given, say)
    raise Failed(f"the {engine.name} engine ended its answer without saying so")


async def _left(leaving: Leaving, whole: str | None, given: Text, say: Callable[[str], Awaitable[None]]) -> Text:
    """What a caller is given in an answer's place; the rest of it is said."""
    left = leaving.close(whole)
    if left.rest:
        await say(left.rest)
    return replace(
        given, text=left.text, finish_reason=left.finish_reason or given.finish_reason, review=left.review
    )


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
