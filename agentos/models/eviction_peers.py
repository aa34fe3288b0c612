"""Well-known ways to choose what leaves, for comparison: LRU, LFU, GDSF, and Belady's, which knows the future."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol


class Choice(Protocol):
    """The part of `agentos.models.eviction.Eviction` that a replay needs."""

    def loaded(self, name: str, size: int, cost: float, now: float) -> None:
        """A model came into memory."""
        ...

    def used(self, name: str, now: float) -> None:
        """A request for a model."""
        ...

    def victims(self, candidates: Mapping[str, int], needed: int, now: float) -> list[str] | None:
        """What leaves, so that `needed` bytes come free."""
        ...


class Lru:
    """Least recently used first."""

    def __init__(self) -> None:
        """Nothing used."""
        self._clock = 0
        self._last: dict[str, int] = {}

    def loaded(self, name: str, size: int, cost: float, now: float) -> None:
        """Nothing to learn."""

    def used(self, name: str, now: float) -> None:
        """Notes the order of uses."""
        self._clock += 1
        self._last[name] = self._clock

    def victims(self, candidates: Mapping[str, int], needed: int, now: float) -> list[str] | None:
        """The longest unused."""
        return _first(candidates, needed, lambda name: self._last[name])


class Lfu(Lru):
    """Least often used first, over all time; the longest unused among equals."""

    def __init__(self) -> None:
        """Nothing used."""
        super().__init__()
        self._count: dict[str, int] = {}

    def used(self, name: str, now: float) -> None:
        """Counts."""
        super().used(name, now)
        self._count[name] = self._count.get(name, 0) + 1

    def victims(self, candidates: Mapping[str, int], needed: int, now: float) -> list[str] | None:
        """The least used."""
        return _first(candidates, needed, lambda name: (self._count[name], self._last[name]))


class Gdsf:
    """Greedy-Dual-Size-Frequency (Cherkasova, 1998); counts outlast an eviction, which measured better."""

    def __init__(self) -> None:
        """Nothing used."""
        self._floor = 0.0
        self._count: dict[str, int] = {}
        self._value: dict[str, float] = {}
        self._density: dict[str, float] = {}

    def loaded(self, name: str, size: int, cost: float, now: float) -> None:
        """Learns cost and size."""
        self._density[name] = cost / max(1, size)
        self._value[name] = self._floor + self._count.get(name, 1) * self._density[name]

    def used(self, name: str, now: float) -> None:
        """Raises the model above the floor by its count."""
        self._count[name] = self._count.get(name, 0) + 1
        self._value[name] = self._floor + self._count[name] * self._density.get(name, 0.0)

    def victims(self, candidates: Mapping[str, int], needed: int, now: float) -> list[str] | None:
        """The least valued; the floor rises to the highest that left."""
        chosen = _first(candidates, needed, lambda name: self._value[name])
        self._floor = max([self._floor, *(self._value[name] for name in chosen or ())])
        return chosen


class Belady:
    """The next use furthest away first, as Belady's rule for equal sizes and costs, where it is the optimum.

    With `costly` a model's reload, in seconds a byte, is divided by how far its next use is. For models that differ
    neither is the optimum, which is NP-hard; a bound below it is `agentos.models.replay_bound.least`.
    """

    def __init__(self, names: Sequence[str], costly: bool) -> None:
        """Knows every request that will come, by its place in `names`."""
        self._at = -1
        self._costly = costly
        self._density: dict[str, float] = {}
        self._uses: dict[str, list[int]] = {}
        for at, name in enumerate(names):
            self._uses.setdefault(name, []).append(at)

    def loaded(self, name: str, size: int, cost: float, now: float) -> None:
        """Learns cost and size."""
        self._density[name] = cost / max(1, size) if self._costly else 1.0

    def used(self, name: str, now: float) -> None:
        """Goes on to the next request."""
        self._at += 1

    def victims(self, candidates: Mapping[str, int], needed: int, now: float) -> list[str] | None:
        """Those never used again, then those whose use is furthest; no model too many."""
        chosen = _first(candidates, needed, self._soon)
        if chosen is None:
            return None
        freed = sum(candidates[name] for name in chosen)
        for name in sorted(chosen, key=self._soon, reverse=True):
            if freed - candidates[name] >= needed:
                chosen.remove(name)
                freed -= candidates[name]
        return chosen

    def _soon(self, name: str) -> float:
        uses = self._uses[name]
        place = bisect_right(uses, self._at)
        return self._density[name] / (uses[place] - self._at) if place < len(uses) else 0.0


def _first(
    candidates: Mapping[str, int], needed: int, key: Callable[[str], float | tuple[int, int]]
) -> list[str] | None:
    """As many of the lowest by `key` as are needed."""
    if needed > sum(candidates.values()):
        return None
    chosen: list[str] = []
    for name in sorted(candidates, key=key):
        if needed <= 0:
            break
        chosen.append(name)
        needed -= candidates[name]
    return chosen
