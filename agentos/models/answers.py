"""What models answer: text as it comes, labels, vectors."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import fields, replace
from typing import Protocol, cast

from agentos.engines.traced import generating, predicting
from agentos.errors import Failed
from agentos.models.choice import REMOTE
from agentos.models.costs import Costs
from agentos.models.meter import Meter
from agentos.types import (
    Answer,
    Caller,
    Completed,
    Context,
    Engine,
    Generation,
    Logprob,
    Message,
    Predicted,
    Prediction,
    Predictions,
    Prompt,
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
    engine: Engine, name: str, request: Generation, *, ctx: Context, meter: Meter, costs: Costs,
    outgoing: Outgoing | None = None,
) -> Answer:
    """A model's answer, streamed through `ctx.text`; what a remote one cost is noted.

    All answers to what people ask models pass here, before streams, results, the audit trail and checkpoints, so rules
    over replies are held against them here. The kernel's own words (small talk, at most a sentence) do not.

    Raises:
        UserError: the prompt is longer than the context.
        Failed: the engine ended in the middle of it.
    """
    with generating(engine) as told:
        given = await _generated(engine, name, request, ctx=ctx, meter=meter, costs=costs, outgoing=outgoing)
        told(given.prompt_tokens, given.tokens, given.finish_reason)
    return given


async def _generated(
    engine: Engine, name: str, request: Generation, *, ctx: Context, meter: Meter, costs: Costs,
    outgoing: Outgoing | None,
) -> Answer:
    answer = cast(AsyncGenerator[Token | Completed, None], engine.generate(request))
    leaving = None if outgoing is None else outgoing.reply(ctx.caller, name, said(request))
    count, pieces, started, likely = meter.token, 0, time.monotonic(), Aligned()
    async with aclosing(answer):
        async for item in answer:
            if isinstance(item, Token):
                pieces += 1
                count()
                if leaving is None:
                    await _say(ctx, item.text, item.logprobs)
                    continue
                out = leaving.feed(item.text)
                await _say(ctx, out, likely.told(item, out))
                if leaving.over and not name.startswith(REMOTE):  # a remote one's cost comes with its end
                    meter.done(0)
                    return await _left(leaving, None, Answer("", name, pieces, time.monotonic() - started), ctx, likely)
                continue
            meter.done(item.tokens - pieces, item.cost)
            if name.startswith(REMOTE):
                costs.record(ctx.caller.user, name, item)
            given = Answer(
                item.text, item.served_by or name, item.tokens, item.seconds, item.cost, item.reason,
                prompt_tokens=item.prompt_tokens, cached_tokens=item.cached_tokens,
            )
            return given if leaving is None else await _left(leaving, item.text, given, ctx, likely)
    raise Failed(f"the {engine.name} engine ended its answer without saying so")


class Aligned:
    """Log-probabilities of what is let out. From the first place on that a rule has changed, none is told."""

    def __init__(self) -> None:
        """Nothing was said."""
        self._waiting: deque[Logprob] = deque()
        self._ahead = ""
        self._same = True

    def told(self, item: Token | None, out: str) -> list[Logprob]:
        """Of the tokens whose text has been let out as the model wrote it.

        Args:
            item: What the model has written now.
            out: What is let out now.
        """
        if item is not None:
            self._waiting.extend(item.logprobs)
        if not self._waiting or not self._same:
            return []
        self._ahead += out
        found = []
        while self._waiting and self._ahead.startswith(self._waiting[0].token):
            found.append(self._waiting.popleft())
            self._ahead = self._ahead[len(found[-1].token) :]
        self._same = not self._waiting or self._waiting[0].token.startswith(self._ahead)
        return found


async def _say(ctx: Context, text: str, logprobs: Sequence[Logprob]) -> None:
    if logprobs:
        await ctx.text(text, logprobs)
    elif text:
        await ctx.text(text)


def plain(prompt: str, max_tokens: int) -> Generation:
    """The request that a prompt alone comes to."""
    return Generation(uuid.uuid4().hex, (Message("user", prompt),), max_tokens)


def said(request: Generation) -> str:
    """All that a request says, as one text: what policy judges and the trail has the hash of."""
    if isinstance(request.prompt, Prompt):
        return request.prompt.text
    return "\n".join(
        part for turn in request.prompt for part in (turn.content, *(call.arguments for call in turn.calls)) if part
    )


def short(answer: Answer) -> Text:
    """What the syscall gives of an answer."""
    return Text(**{item.name: getattr(answer, item.name) for item in fields(Text)})


async def _left(leaving: Leaving, whole: str | None, given: Answer, ctx: Context, likely: Aligned) -> Answer:
    """What a caller is given in an answer's place; the rest of it is said."""
    left = leaving.close(whole)
    await _say(ctx, left.rest, likely.told(None, left.rest))
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
        with predicting(engine, len(texts[start : start + BATCH])):
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
