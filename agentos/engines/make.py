"""The engines there are, by name."""

from __future__ import annotations

from agentos.config import Settings
from agentos.engines.host import ChildEngine
from agentos.engines.nursery import Nursery
from agentos.errors import Failed, unknown
from agentos.types import Engine

ENGINES = {
    "transformers": "causal models on this machine's processor or GPU, with grammar-constrained decoding",
    "litellm": "remote providers and any OpenAI-compatible server",
    "scripted": "a double that answers by a script, for tests and demonstrations",
}


class Maker:
    """Makes fresh engines, logging under HOME."""

    def __init__(self, settings: Settings) -> None:
        """A maker that has started nothing."""
        self._settings = settings
        self.nursery = Nursery(settings.logs / "engine-nursery.log")

    def __call__(self, name: str) -> Engine:
        """A fresh engine of a name.

        Raises:
            Failed: vLLM, which this version does not serve with.
            NotFound: a name that is no engine.
        """
        if name == "vllm":
            raise Failed("this version serves with transformers and litellm, not with vLLM; nothing was loaded")
        if name not in ENGINES:
            raise unknown("engine", name, list(ENGINES))
        logs = self._settings.logs
        logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = logs / f"engine-{name}.log"
        return ChildEngine(name, log=log, threads=self._settings.threads, nursery=self.nursery)

    def close(self) -> None:
        """Ends what waits for further loads; engines that run are not touched."""
        self.nursery.close()


def maker(settings: Settings) -> Maker:
    """What makes a fresh engine of a name; close it when no more are to be made."""
    return Maker(settings)
