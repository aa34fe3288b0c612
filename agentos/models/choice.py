"""Which engine runs a model, why, and what that engine is told."""

from __future__ import annotations

from agentos.config import Settings
from agentos.errors import Failed, UserError
from agentos.types import Json

REMOTE = "litellm:"
"""Begins the name of a model that another machine serves: `litellm:PROVIDER/MODEL`."""


def choose(model: str, engine: str) -> tuple[str, str]:
    """Which engine runs a model, and why.

    Raises:
        Failed: that engine is not part of this version.
        UserError: there is no such engine, or it cannot run that model.
    """
    if engine == "vllm":
        raise Failed(
            "this version serves models with transformers and litellm; vLLM's own environment is not installed. "
            "Nothing was loaded. Leave the engine out, or say transformers."
        )
    if engine == "auto":
        if model.startswith(REMOTE):
            return "litellm", "auto: another machine serves it"
        return "transformers", "auto: its weights are stored here, and transformers is the engine that is installed"
    if engine == "transformers" and model.startswith(REMOTE):
        raise UserError(f"{model!r} is served by another machine; transformers runs what is stored here")
    if engine not in {"transformers", "litellm", "scripted"}:
        raise UserError(f"there is no engine {engine!r}; there are: auto, transformers, vllm, litellm")
    return engine, "as asked"


def engine_settings(settings: Settings, engine: str) -> dict[str, Json]:
    """What an engine is told beside the model: a script, an address, where to keep states."""
    if engine == "transformers":
        return {"kv_cache": str(settings.cache / "states")}
    if engine == "litellm":
        return {"api_base": settings.api_base, "timeout": settings.remote_timeout}
    return {"script": settings.kernel_script}
