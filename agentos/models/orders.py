"""Orders for loads: engine, memory and settings of a model, as they follow from what is known of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, cast

from agentos.config import Settings
from agentos.errors import Failed, UserError
from agentos.models import adapted, memory
from agentos.models.budget import HOST, Budget, Need
from agentos.models.choice import Facts, choose, engine_settings
from agentos.models.meter import Meters
from agentos.models.remembered import Key, Remembered
from agentos.models.remotes import Remotes
from agentos.models.resident import Order
from agentos.models.shelf import Shelf, Stored, is_private
from agentos.types import Engine, ModelSpec

_MORE = 102
"""Per cent of what was measured that is set aside the next time."""


class Orders:
    """Makes the order by which a model is loaded."""

    def __init__(
        self, settings: Settings, shelf: Shelf, engine_for: Callable[[str], Engine], remembered: Remembered,
        meters: Meters, *, budget: Budget, keys: Callable[[], Mapping[str, str]], vllm: Callable[[], bool],
    ) -> None:
        """Orders of one service, under its `budget`; `keys` of providers, whether `vllm` is installed."""
        self._settings = settings
        self.remotes = Remotes(settings.home / "remotes.yaml")
        self._shelf = shelf
        self._engine_for = engine_for
        self._remembered = remembered
        self._meters = meters
        self._budget = budget
        self._keys = keys
        self._vllm = vllm

    def make(
        self, name: str, stored: Stored | None, engine: str, device: str, *, replicas: int,
        keep: tuple[float | None, str],
    ) -> Order:
        """The order, with the engine that was chosen and why.

        Raises:
            UserError: that engine cannot run the model, or no replicas of it; remotes.yaml is wrong.
            Failed: that engine is not installed, or the base of an adapter is not on this machine.
        """
        chosen, reason = choose(name, engine, self._facts(name, stored))
        told = engine_settings(self._settings, chosen)
        if chosen == "litellm":
            told |= {**self.remotes.settings(name), "keys": dict(self._keys())}
        if replicas > 1:
            if chosen != "vllm":
                raise UserError(f"only vllm runs replicas; {name!r} would be loaded with {chosen}. Nothing was loaded.")
            if stored is not None and is_private(stored):
                raise UserError(f"{name!r} is private and opened for one engine alone; nothing was loaded.")
            chosen = f"vllm*{replicas}"
        where = cast(Literal["auto", "cpu", "gpu"], device)
        path, adapter = self._paths(stored)
        need, key = self.need(name, stored, chosen, device)
        if cards := [card for card in need.bytes if card != HOST]:
            told["cards"] = [int(card.removeprefix("gpu ")) for card in cards]
        spec = ModelSpec(name, path, where, self._settings.context, told, adapter)
        growth = 0 if cards else memory.growth(self._whole(stored), self._settings.context)
        return Order(spec, lambda: self._engine_for(chosen), *keep, need, growth, key, chosen, reason)

    def _facts(self, name: str, stored: Stored | None) -> Facts:
        return Facts(
            self._vllm(), len(self._budget.kinds) > 1, stored.kind if stored else "",
            _quantized(self._whole(stored)), self._meters.of(name).crowd,
        )

    def _paths(self, stored: Stored | None) -> tuple[Path | None, Path | None]:
        """The folder of the model, and that of the adapter laid over it."""
        if stored is None:
            return None, None
        if stored.kind != adapted.KIND:
            return stored.path, None
        return adapted.base(stored, self._shelf).path, stored.path

    def _whole(self, stored: Stored | None) -> Stored | None:
        """What is loaded: with an adapter its base too, where that is here."""
        if stored is None or stored.kind != adapted.KIND:
            return stored
        with contextlib.suppress(Failed):  # the load itself says that the base is missing
            return adapted.laid(stored, adapted.base(stored, self._shelf))
        return stored

    def _cards(self, kind: str, device: str) -> list[str]:
        """The graphics processors a model goes to: those with the most room."""
        if device == "cpu" or kind not in {"transformers", "vllm"}:
            return []
        cards = sorted(self._budget.kinds[1:], key=lambda card: self._budget.used(card) - self._budget.limit(card))
        return sorted(cards[: max(1, self._settings.tensor_parallel if kind == "vllm" else 1)])

    def need(self, name: str, stored: Stored | None, engine: str, device: str) -> tuple[Need, Key | None]:
        """What a model takes as it was measured here, else as it is estimated; and under what that is remembered."""
        stored = self._whole(stored)
        kind, _, count = engine.partition("*")
        cards = self._cards(kind, device)
        context = self._settings.context
        guess = memory.need(stored, kind, context, cards, engine_settings(self._settings, kind))
        small = stored is not None and stored.kind == "causal" and not _quantized(stored)
        guess = Need({what: size * int(count or 1) for what, size in guess.bytes.items()}, smaller=small)
        weights = "".join(sorted(stored.weights.values())) if stored is not None else ""
        key = Key(name, engine, "gpu" if cards else "cpu", context, weights)
        seen = self._remembered.get(key)
        if seen is None:
            return guess, key
        there = {card: seen.gpu // len(cards) if seen.gpu else guess.bytes[card] for card in cards}
        after = max(seen.loaded, seen.peak) * _MORE // 100
        there[HOST] = max(after, seen.loading * _MORE // 100)
        return Need(there, measured=True, smaller=small, after=after), key


def _quantized(stored: Stored | None) -> bool:
    """Whether a model is stored in fewer bits already."""
    with contextlib.suppress(OSError, ValueError):
        said = json.loads((stored.path / "config.json").read_text("utf-8")) if stored is not None else {}
        return "quantization_config" in said
    return False
