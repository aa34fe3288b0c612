"""Runs models with transformers' own modules: text with our decoding over them, labels, and vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from agentos.engines import adapters, encoders, quantized
from agentos.engines.causal import Causal
from agentos.engines.footprint import exhausted, restrict
from agentos.engines.packing import Packing
from agentos.engines.stops import Emit
from agentos.engines.vocabulary import keep, tokenizer
from agentos.engines.weights import give_back, prepare
from agentos.errors import Failed, UserError
from agentos.types import Completed, Generation, ModelSpec, Predicted


class Backend:
    """One model in this process."""

    grammar = True
    progress = 0

    def __init__(self) -> None:
        """No model yet."""
        self._causal: Causal | None = None
        self._encoder: encoders.Encoder | None = None
        self._packing: Packing | None = None
        self._later: list[Callable[[], object]] = []

    def load(self, spec: ModelSpec, tell: Callable[[int, int], None]) -> dict[str, Any]:
        """Loads the weights and gets ready to answer.

        Raises:
            Failed: the folder holds no model that transformers knows, or there is no such device.
        """
        torch.set_grad_enabled(False)
        if spec.path is None:
            raise Failed(f"{spec.name!r} has no folder; pull it first")
        if spec.device == "gpu" and not torch.cuda.is_available():
            raise Failed(f"this machine has no GPU that torch can use; load {spec.name!r} with --device cpu")
        gpu = spec.device != "cpu" and torch.cuda.is_available()
        device = torch.device("cuda" if gpu else "cpu")
        try:
            config = AutoConfig.from_pretrained(spec.path)
        except (OSError, ValueError, KeyError) as error:
            raise Failed(f"{spec.name!r} cannot be loaded: {error}") from error
        writes = encoders.role(config, spec.path) == "causal"
        if spec.adapter is not None and adapters.head(spec.adapter) is not None:
            writes = False
        kept = Path(str(spec.settings["kv_cache"])) if spec.settings.get("kv_cache") else None
        with _ticking(self._tick):
            if writes:
                self._causal, dtype = self._load_causal(spec, config, device, tell, kept)
                context = self._causal.context
            else:
                self._encoder = encoders.load(spec, config, device, self._tick, kept)
                dtype, context = self._encoder.dtype, self._encoder.context
        self.grammar = writes
        taken = torch.cuda.memory_reserved(device) if gpu else 0
        return {"device": device.type, "dtype": dtype, "context": context, "gpu_memory": taken}

    def _load_causal(
        self, spec: ModelSpec, config: Any, device: torch.device, tell: Callable[[int, int], None], kept: Path | None
    ) -> tuple[Causal, str]:
        assert spec.path is not None
        coded = quantized.described(config) is not None
        if coded and spec.adapter is not None:
            raise Failed(f"{spec.name!r} is quantized, and an adapter goes over whole weights; load it over the base")
        loader: Any = AutoModelForCausalLM
        try:
            if coded:
                model, form = quantized.load(spec.path, config, device, tell)
            else:
                model = loader.from_pretrained(spec.path, dtype=torch.bfloat16).eval()
            words, read = tokenizer(spec.path, kept)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            if exhausted(error):
                raise
            raise Failed(f"{spec.name!r} cannot be loaded: {error}") from error
        if spec.adapter is not None:
            model = adapters.apply(model, spec.adapter, self._tick)
        if not coded:
            prepared = prepare(model, device, tell, kept=kept, packed=lambda: _settle(spec), tick=self._tick)
            self._packing, form = prepared.packing, prepared.form
        if kept is not None and not read:
            self._later.append(partial(keep, spec.path, kept, words))
        give_back()
        return Causal(model, words, spec, dtype=form, device=device, tick=self._tick), form

    def generate(
        self, request: Generation, emit: Emit, cancelled: Callable[[], bool]
    ) -> Completed:
        """Answers one request.

        Raises:
            UserError: the model writes no text, or prompt and answer exceed the context.
        """
        if self._causal is None:
            raise UserError("this model gives labels or vectors and writes no text; name a causal model")
        return self._causal.generate(request, emit, cancelled)

    def adapt(self, folder: Path | None) -> bool:
        """Lays an adapter beside the weights of a model that writes text; None takes it away.

        Raises:
            Failed: it does not fit.
        """
        return self._causal is not None and self._causal.adapt(folder)

    def perplexity(self, text: str) -> float:
        """How well the model foretells a text.

        Raises:
            UserError: the model writes no text, or the text is empty.
        """
        if self._causal is None:
            raise UserError("this model gives labels or vectors and foretells no text; name a causal model")
        return self._causal.perplexity(text)

    def predict(self, texts: Sequence[str]) -> Predicted:
        """Labels with probabilities, or vectors.

        Raises:
            UserError: the model writes text, or there is nothing to read in a text.
        """
        if self._encoder is None:
            raise UserError("this model writes text and gives no labels or vectors; name a classifier or an embedder")
        return self._encoder.predict(texts)

    def idle(self) -> Callable[[], object] | None:
        """A causal model's background work."""
        if self._packing is not None and self._packing.waiting:
            return self._packing.step
        if self._later:
            return self._later.pop()
        return None if self._causal is None else self._causal.idle()

    def _tick(self) -> None:
        self.progress += 1


def _settle(spec: ModelSpec) -> None:
    """Gives back what packing left over, and counts anew what the limit is on top of."""
    give_back()
    restrict(spec.limit)


@contextlib.contextmanager
def _ticking(tick: Callable[[], None]) -> Iterator[None]:
    """While it is open, every step that transformers would show in a bar of its own is told instead."""

    def told(make: Callable[..., Any], args: tuple[Any, ...], rest: dict[str, Any]) -> Any:
        return _each(args[0], tick) if args else make(**rest)

    before = logging.set_tqdm_hook(told)
    try:
        yield
    finally:
        logging.set_tqdm_hook(before)


def _each(items: Any, tick: Callable[[], None]) -> Iterator[Any]:
    for item in items:
        tick()
        yield item
