"""Which models leave when room is needed: those whose going is likely to cost the fewest seconds of loading."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

HALF_LIFE = 3600.0
"""Seconds after which a use counts for half."""


class Eviction(Protocol):
    """Chooses what leaves. It sees time only as a parameter, in seconds, and touches neither disk nor network."""

    def loaded(self, name: str, size: int, cost: float, now: float) -> None:
        """A model came into memory: its bytes, and the seconds it took, which a reload would take again."""
        ...

    def used(self, name: str, now: float) -> None:
        """A request for a model, whether it was in memory or not; for a missing one, before `victims` is asked."""
        ...

    def forget(self, name: str) -> None:
        """A model that was deleted; one that was merely unloaded keeps its history."""
        ...

    def victims(self, candidates: Mapping[str, int], needed: int, now: float) -> list[str] | None:
        """The set of candidates whose going costs least, the first to go first.

        Args:
            candidates: Models that may go, and the bytes (of the memory that is short) each would give back.
            needed: Bytes that must come free.

        Returns:
            No model too many: without any one of them the rest would not do. Empty where nothing is needed,
            None where all together give too little.
        """
        ...

    def save(self) -> dict[str, Any]:
        """What is known of each model's use, for JSON."""
        ...

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Takes up what `save` gave; what cannot be read is left out."""
        ...


@dataclass
class _Use:
    size: int = 0
    cost: float = 0.0
    count: float = 0.0
    last: float = 0.0


class Frugal:
    """The policy agentos uses."""

    def __init__(self) -> None:
        self._uses: dict[str, _Use] = {}

    def loaded(self, name: str, size: int, cost: float, now: float) -> None:
        """See `Eviction.loaded`."""
        use = self._uses.setdefault(name, _Use())
        use.size, use.cost = size, cost

    def used(self, name: str, now: float) -> None:
        """See `Eviction.used`."""
        use = self._uses.setdefault(name, _Use())
        use.count = self._decayed(use, now) + 1
        use.last = now

    def forget(self, name: str) -> None:
        """See `Eviction.forget`."""
        self._uses.pop(name, None)

    def victims(self, candidates: Mapping[str, int], needed: int, now: float) -> list[str] | None:
        """See `Eviction.victims`."""
        if needed <= 0:
            return []
        if sum(candidates.values()) < needed:
            return None
        worth = {name: self._worth(name, now) for name in candidates}
        order = sorted(candidates, key=lambda name: worth[name] / max(1, candidates[name]))
        chosen: list[str] = []
        freed = 0
        for name in order:
            chosen.append(name)
            freed += candidates[name]
            if freed >= needed:
                break
        for name in sorted(chosen, key=lambda name: -worth[name]):
            if freed - candidates[name] >= needed:
                chosen.remove(name)
                freed -= candidates[name]
        return chosen

    def save(self) -> dict[str, Any]:
        """See `Eviction.save`."""
        return {name: vars(use).copy() for name, use in self._uses.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """See `Eviction.restore`."""
        for name, fields in saved.items():
            self._uses[name] = _Use(**fields)

    def _decayed(self, use: _Use, now: float) -> float:
        return use.count * math.exp2(-max(0.0, now - use.last) / HALF_LIFE)

    def _worth(self, name: str, now: float) -> float:
        use = self._uses.get(name)
        return self._decayed(use, now) * use.cost if use else 0.0
