"""The engines there are, by name."""

from __future__ import annotations

from collections.abc import Callable

from agentos.config import Settings
from agentos.engines.host import ChildEngine
from agentos.errors import Failed, unknown
from agentos.types import Engine

ENGINES = {
    "transformers": "causal models on this machine's processor or GPU, with grammar-constrained decoding",
    "litellm": "remote providers and any OpenAI-compatible server",
    "scripted": "a double that answers by a script, for tests and demonstrations",
}


def maker(settings: Settings) -> Callable[[str], Engine]:
    """A function that makes a fresh engine of a name, logging under HOME.

    The function raises `Failed` for vLLM, which this version does not serve with, and `NotFound` for
    a name that is no engine.
    """

    def make(name: str) -> Engine:
        if name == "vllm":
            raise Failed("this version serves with transformers and litellm, not with vLLM; nothing was loaded")
        if name not in ENGINES:
            raise unknown("engine", name, list(ENGINES))
        settings.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        return ChildEngine(name, log=settings.logs / f"engine-{name}.log", threads=settings.threads)

    return make
