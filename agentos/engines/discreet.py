"""An engine whose model never sees private values: placeholders go in, and the answer gets the values back.

What is private is found by its structure (`agentos.redact`). One request is one vault: it is in memory alone and gone
with the answer. A conversation that is sent again, a turn longer, gets the same placeholders again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from agentos.types import (
    Bytes,
    Completed,
    Engine,
    Generation,
    Json,
    LoadedModel,
    Message,
    ModelSpec,
    Predicted,
    Progress,
    Prompt,
    Pulse,
    Token,
)

if TYPE_CHECKING:
    from agentos.redact import Redactor

_BESIDE = ("pids", "perplexity", "sleep", "wake")
"""What some engines can do beside what all can; it takes no text of a person's to a model that answers."""


class Discreet:
    """An engine as it is, but for what its model is asked and answers."""

    def __init__(self, inner: Engine, *, planning: bool) -> None:
        """Wraps an engine.

        Args:
            inner: The engine.
            planning: Whether this holds for requests under a grammar, too: a grammar of what a sentence says cannot
                be followed by a model that reads another sentence, so a local kernel's planner redacts by itself.
        """
        self._inner = inner
        self._planning = planning
        self.name = inner.name
        for one in _BESIDE:  # as the instance's own, where alone a check of a protocol looks for them
            if (own := getattr(inner, one, None)) is not None:
                setattr(self, one, own)

    @property
    def loaded(self) -> LoadedModel | None:
        """The inner engine's."""
        return self._inner.loaded

    @property
    def alive(self) -> bool:
        """The inner engine's."""
        return self._inner.alive

    async def load(self, spec: ModelSpec, progress: Progress | None = None) -> LoadedModel:
        """Loads the model."""
        return await self._inner.load(spec, progress)

    async def generate(self, request: Generation) -> AsyncGenerator[Token | Completed, None]:
        """Tokens as they come, with the person's own values where the model wrote their placeholders."""
        if request.max_tokens == 0 or (request.grammar is not None and not self._planning):
            async with aclosing(_stream(self._inner, request)) as plain:
                async for item in plain:
                    yield item
            return
        from agentos.redact import Redactor, Restored  # its patterns take a moment to compile

        redactor = Redactor()
        back = Restored(redactor)
        asked = replace(
            request, prompt=_without(request.prompt, redactor), draft=(), schema=_gone(request.schema, redactor),
            tools=tuple({name: _gone(said, redactor) for name, said in tool.items()} for tool in request.tools),
        )
        async with aclosing(_stream(self._inner, asked)) as answer:
            async for item in answer:
                if isinstance(item, Token):
                    if (said := back.feed(item.text)) or item.logprobs:
                        yield Token(said, item.logprobs)
                    continue
                if rest := back.close():
                    yield Token(rest)
                yield replace(item, text=redactor.restore(item.text))

    async def predict(self, texts: Sequence[str]) -> Predicted:
        """Labels or vectors of the texts without their private values."""
        from agentos.redact import Redactor

        return await self._inner.predict([Redactor().redact(text)[0] for text in texts])

    async def adapt(self, folder: Path | None) -> bool:
        """As the inner engine does."""
        return await self._inner.adapt(folder)

    async def pulse(self) -> Pulse:
        """The inner engine's sign of life."""
        return await self._inner.pulse()

    def memory(self) -> Bytes:
        """What the inner engine's processes hold."""
        return self._inner.memory()

    async def kill(self, why: str) -> None:
        """Ends the child at once."""
        await self._inner.kill(why)

    async def unload(self) -> None:
        """Ends the child."""
        await self._inner.unload()


def _stream(engine: Engine, request: Generation) -> AsyncGenerator[Token | Completed, None]:
    return cast("AsyncGenerator[Token | Completed, None]", engine.generate(request))


def _without(prompt: Prompt | tuple[Message, ...], redactor: Redactor) -> Prompt | tuple[Message, ...]:
    """The prompt with placeholders; the same value has the same one in all its parts."""

    def gone(text: str) -> str:
        return redactor.redact(text)[0]

    if isinstance(prompt, Prompt):
        return replace(
            prompt, prefix=gone(prompt.prefix), blocks=tuple(map(gone, prompt.blocks)), tail=gone(prompt.tail)
        )
    return tuple(
        replace(
            turn, content=gone(turn.content),
            calls=tuple(replace(call, arguments=gone(call.arguments)) for call in turn.calls),
        )
        for turn in prompt
    )


def _gone(value: Json, redactor: Redactor) -> Json:
    """A schema or a description with placeholders."""
    if isinstance(value, str):
        return redactor.redact(value)[0]
    if isinstance(value, list):
        return [_gone(item, redactor) for item in value]
    return {name: _gone(item, redactor) for name, item in value.items()} if isinstance(value, dict) else value
