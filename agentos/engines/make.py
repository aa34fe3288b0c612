"""The engines there are, by name."""

from __future__ import annotations

import os

from agentos.config import Settings
from agentos.engines import install
from agentos.engines.discreet import Discreet
from agentos.engines.host import ChildEngine
from agentos.engines.nursery import Nursery
from agentos.engines.replicas import Replicas
from agentos.engines.vllm import VllmEngine
from agentos.engines.vllm_server import Start
from agentos.engines.vllm_server import start as here
from agentos.errors import unknown
from agentos.types import Engine

ENGINES = {
    "transformers": "models on this machine's processor or GPU: text under a grammar, labels, vectors; adapters",
    "vllm": "causal models, many requests at once, from an environment of its own; replicas share a load",
    "litellm": "remote providers and any OpenAI-compatible server",
    "scripted": "a double that answers by a script, for tests and demonstrations",
}


class Maker:
    """Makes fresh engines, logging under HOME."""

    def __init__(self, settings: Settings, start: Start) -> None:
        """A maker that has started nothing."""
        self._settings = settings
        self._start = start
        self._servers = 0
        self.nursery = Nursery(settings.logs / "engine-nursery.log")

    def __call__(self, name: str) -> Engine:
        """A fresh engine of a name; `vllm*3` is three that share the requests.

        Raises:
            NotFound: a name that is no engine.
        """
        name, _, replicas = name.partition("*")
        if name not in ENGINES:
            raise unknown("engine", name, list(ENGINES))
        logs = self._settings.logs
        logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        if name == "vllm":
            made = [self._vllm() for _ in range(int(replicas or 1))]
            return Replicas([self._discreet(one, name) for one in made]) if replicas else self._discreet(made[0], name)
        log = logs / f"engine-{name}.log"
        child = ChildEngine(name, log=log, threads=self._settings.threads, nursery=self.nursery)
        return self._discreet(child, name)

    def _discreet(self, engine: Engine, name: str) -> Engine:
        """Private values never leave this machine, and by setting no model on it sees them either."""
        remote = name == "litellm"
        return Discreet(engine, planning=remote) if remote or self._settings.redact_local else engine

    def _vllm(self) -> Engine:
        self._servers += 1
        log = self._settings.logs / f"engine-vllm-{os.getpid()}-{self._servers}.log"
        return VllmEngine(self._settings.cache, log=log, threads=self._settings.threads, start=self._start)

    def close(self) -> None:
        """Ends what waits for further loads; engines that run are not touched."""
        self.nursery.close()


def maker(settings: Settings, start: Start = here) -> Maker:
    """What makes a fresh engine of a name; close it when no more are to be made. `start` says where servers run."""
    return Maker(settings, start)


def served(settings: Settings) -> bool:
    """Whether vLLM's environment is there to serve with."""
    return install.state(settings.cache, gpu=install.has_gpu(), measure=False).installed
