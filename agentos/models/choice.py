"""Which engine runs a model, why, and what that engine is told."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from agentos.config import Settings
from agentos.errors import Failed, UserError
from agentos.types import Json

REMOTE = "litellm:"
"""Begins the name of a model that another machine serves: `litellm:PROVIDER/MODEL`, or a name in remotes.yaml."""


CROWD = 4
"""Callers at once from which vLLM's continuous batching pays on a processor."""


@dataclass(frozen=True)
class Facts:
    """What the choice goes by."""

    vllm: bool = False
    """Whether vLLM's environment is installed."""
    gpu: bool = False
    kind: str = "causal"
    quantized: bool = False
    crowd: int = 0
    """The most callers at once over the last minutes."""


def choose(model: str, engine: str, facts: Facts) -> tuple[str, str]:
    """Which engine runs a model, and why.

    Raises:
        Failed: that engine is not installed.
        UserError: there is no such engine, or it cannot run that model.
    """
    if engine not in {"auto", "transformers", "vllm", "litellm", "scripted"}:
        raise UserError(f"there is no engine {engine!r}; there are: auto, transformers, vllm, litellm")
    remote = model.startswith(REMOTE)
    if engine == "vllm" and not facts.vllm:
        raise Failed(
            "vLLM's environment is not installed; nothing was loaded. Build it (agentos engines install vllm), "
            "or leave the engine out."
        )
    if engine in {"transformers", "vllm"} and remote:
        raise UserError(f"{model!r} is served by another machine; {engine} runs what is stored here")
    if engine == "vllm" and facts.quantized:
        raise UserError(f"{model!r} is quantized in a form that transformers reads; vllm cannot run it")
    if engine != "auto":
        return engine, "as asked"
    return ("litellm", "auto: another machine serves it") if remote else _local(facts)


def _local(facts: Facts) -> tuple[str, str]:
    if facts.kind and facts.kind != "causal":
        return "transformers", f"auto: it is a model of kind {facts.kind}, which transformers runs"
    if facts.quantized:
        return "transformers", "auto: it is quantized in a form that transformers reads"
    if not facts.vllm:
        return "transformers", "auto: its weights are stored here, and vLLM is not installed"
    if facts.gpu:
        return "vllm", "auto: there is a GPU, and vLLM is installed"
    if facts.crowd >= CROWD:
        return "vllm", f"auto: {facts.crowd} callers asked at once, and vLLM answers many together"
    return "transformers", f"auto: there is no GPU and at most {facts.crowd} asked at once, transformers starts soonest"


def engine_settings(settings: Settings, engine: str) -> dict[str, Json]:
    """What an engine is told beside the model: a script, an address, where to keep states."""
    if engine == "transformers":
        return {"kv_cache": str(settings.cache / "states")}
    if engine == "litellm":
        names: list[Json] = [name.strip() for name in settings.fallbacks.split(",") if name.strip()]
        return {"api_base": settings.api_base, "timeout": settings.remote_timeout, "fallbacks": names}
    if engine == "vllm":
        try:
            more: list[Json] = list(shlex.split(settings.vllm_args))
        except ValueError as error:
            raise UserError(f"setting 'vllm_args': {error}; nothing was loaded") from None
        return {"tensor_parallel": settings.tensor_parallel, "vllm_args": more}
    return {"script": settings.kernel_script}
