"""An engine's work as part of a trace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from agentos import tracing
from agentos.types import Engine


@contextlib.contextmanager
def generating(engine: Engine) -> Iterator[Callable[[int, int, str], None]]:
    """The span of an answer; it is told the prompt's tokens, the answer's and why it ended, and never what it says."""
    with tracing.span("chat", client=True, gen_ai__operation__name="chat") as span:
        _named(span, "chat", engine)

        def told(prompt: int, written: int, reason: str) -> None:
            span.set("gen_ai.usage.input_tokens", prompt)
            span.set("gen_ai.usage.output_tokens", written)
            span.set("agentos.finish_reason", reason)

        yield told


@contextlib.contextmanager
def predicting(engine: Engine, texts: int) -> Iterator[None]:
    """The span of labels or vectors for so many texts."""
    with tracing.span("predict", client=True, agentos__texts=texts) as span:
        _named(span, "predict", engine)
        yield


def _named(span: tracing.Span, what: str, engine: Engine) -> None:
    if span and (loaded := engine.loaded) is not None:
        span.rename(f"{what} {loaded.name}")
        span.set("gen_ai.request.model", loaded.name)
        span.set("agentos.engine", loaded.engine)
