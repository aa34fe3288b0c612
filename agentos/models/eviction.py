"""Which models leave when room is needed: those whose going is likely to cost the fewest seconds of loading.

A model's worth is the seconds its reload takes times how soon it is likely to be asked for again. How soon is
guessed in three ways, none of which is best for every workload: by popularity and recency together, by rates over
several spans, by recency alone. Each way drives a shadow: a list of what would be in memory had it decided. The way
whose shadow has lately cost the fewest seconds decides (as set duelling does in processors' caches).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

SPANS = (10.0, 40.0, 160.0, 640.0, 2560.0, 10240.0)
"""Requests over which a model's rate is counted; the longest also says how popular it is."""
MEMORY = 2000.0
"""Requests after which what a shadow has cost counts for little more than a third."""
BETTER = 0.9
"""A way takes over when its shadow has cost less than this share of what the deciding one's has."""
STEPS = 300
"""Looks before the best set found so far is taken."""


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
            now: The time.

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
    """What is known of one model. Its clock is the number of requests to all of them: a quiet night ages nothing."""

    size: int = 0
    cost: float = 0.0
    last: int = 0
    counts: list[float] = field(default_factory=lambda: [0.0] * len(SPANS))


Worth = Callable[[_Use, int], float]


def _popular(use: _Use, clock: int) -> float:
    age = clock - use.last
    count = use.counts[-1] * math.exp(-age / SPANS[-1])
    return use.cost * count * math.exp(-0.7 * math.log(age + 20))


def _rates(use: _Use, clock: int) -> float:
    age = clock - use.last
    return use.cost * sum(count * math.exp(-age / span) / span for count, span in zip(use.counts, SPANS, strict=True))


def _recent(use: _Use, clock: int) -> float:
    return use.size / (clock - use.last + 1)


WAYS: dict[str, Worth] = {"popularity": _popular, "rates": _rates, "recency": _recent}
"""How a model's worth may be guessed; units differ, as only worths of one way are compared."""


class Frugal:
    """The policy agentos uses."""

    def __init__(self) -> None:
        """Nothing known, so that models leave by what their reload costs."""
        self._clock = 0
        self._uses: dict[str, _Use] = {}
        self._shadows: dict[str, dict[str, int]] = {way: {} for way in WAYS}
        self._spent = dict.fromkeys(WAYS, 0.0)
        self._room: float | None = None
        self._latest = ""
        self._way = next(iter(WAYS))

    @property
    def way(self) -> str:
        """The way of `WAYS` that decides now."""
        return self._way

    def loaded(self, name: str, size: int, cost: float, now: float) -> None:
        """See `Eviction.loaded`."""
        use = self._uses.setdefault(name, _Use(last=self._clock))
        use.size, use.cost = max(0, size), max(0.0, cost)
        for way in WAYS:
            self._shadow(way, name, use)

    def used(self, name: str, now: float) -> None:
        """See `Eviction.used`."""
        self._clock += 1
        self._latest = name
        use = self._uses.setdefault(name, _Use(last=self._clock))
        age = self._clock - use.last
        use.counts = [count * math.exp(-age / span) + 1 for count, span in zip(use.counts, SPANS, strict=True)]
        use.last = self._clock
        for way in WAYS:
            self._spent[way] *= 1 - 1 / MEMORY
            if use.size and name not in self._shadows[way]:
                self._spent[way] += use.cost
                self._shadow(way, name, use)

    def forget(self, name: str) -> None:
        """See `Eviction.forget`."""
        self._uses.pop(name, None)
        for shadow in self._shadows.values():
            shadow.pop(name, None)

    def victims(self, candidates: Mapping[str, int], needed: int, now: float) -> list[str] | None:
        """See `Eviction.victims`."""
        if needed <= 0:
            return []
        if sum(candidates.values()) < needed:
            return None
        self._measure(candidates, needed)
        self._judge()
        worth, unknown = WAYS[self.way], _Use()
        worths = {name: worth(self._uses.get(name, unknown), self._clock) for name in candidates}
        return cheapest(candidates, worths, needed)

    def save(self) -> dict[str, Any]:
        """See `Eviction.save`."""
        return {
            "clock": self._clock,
            "way": self._way,
            "spent": dict(self._spent),
            "models": {
                name: {"size": use.size, "cost": use.cost, "last": use.last, "counts": list(use.counts)}
                for name, use in self._uses.items()
            },
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """See `Eviction.restore`."""
        try:
            self._clock = max(0, int(saved["clock"]))
            spent = {way: float(saved["spent"][way]) for way in WAYS}
            deciding = str(saved["way"])
            models = dict(saved["models"])
        except (KeyError, TypeError, ValueError):
            return
        self._spent = spent
        self._way = deciding if deciding in WAYS else self._way
        for name, known in models.items():
            try:
                counts = [float(count) for count in known["counts"]]
                use = _Use(int(known["size"]), float(known["cost"]), min(self._clock, int(known["last"])), counts)
            except (KeyError, TypeError, ValueError):
                continue
            if len(counts) == len(SPANS) and all(map(math.isfinite, [*counts, use.cost])):
                self._uses[name] = use

    def _judge(self) -> None:
        """Changes the way when another is clearly better: what is in memory was chosen by the old one."""
        best = min(WAYS, key=self._spent.__getitem__)
        if self._spent[best] < BETTER * self._spent[self._way]:
            self._way = best

    def _measure(self, candidates: Mapping[str, int], needed: int) -> None:
        """Learns how much room there is, so that the shadows get as much; models in use now are missing from it."""
        held = sum(self._uses[name].size for name in candidates if name in self._uses)
        latest = self._uses.get(self._latest)
        free = max(0, latest.size - needed) if latest and self._latest not in candidates else 0
        self._room = max(held + free, (self._room or 0) * 0.99)

    def _shadow(self, way: str, name: str, use: _Use) -> None:
        """Brings a model into one way's shadow; what that way holds for least worth a byte goes."""
        shadow = self._shadows[way]
        shadow[name] = use.size
        if self._room is None or (over := sum(shadow.values()) - self._room) <= 0:
            return
        others = [other for other in shadow if other != name]
        worth = {other: WAYS[way](self._uses[other], self._clock) / max(1, shadow[other]) for other in others}
        for other in sorted(others, key=worth.__getitem__):
            over -= shadow.pop(other)
            if over <= 0:
                return


def cheapest(sizes: Mapping[str, int], worths: Mapping[str, float], needed: int) -> list[str]:
    """Names whose sizes add up to `needed` and that are worth least, no name too many.

    What comes free beyond the need is not lost: it counts at the price a byte has here, which is what the last model
    taken costs when the least worth a byte go first. On the recorded trace that saves 1 to 3% of the loading against
    the set of least worth alone, which prefers an exact fit to the models nobody asks for. Searched depth first; after
    `STEPS` sets the best so far is taken.
    """
    order = sorted((name for name in sizes if sizes[name] > 0), key=lambda name: (worths[name] / sizes[name], name))
    first: list[str] = []
    lacking = needed
    while lacking > 0:
        first.append(order[len(first)])
        lacking -= sizes[first[-1]]
    price = worths[first[-1]] / sizes[first[-1]]
    net = {name: worths[name] - price * sizes[name] for name in order}
    rest, gain = [0] * (len(order) + 1), [0.0] * (len(order) + 1)
    for at in range(len(order) - 1, -1, -1):
        rest[at] = rest[at + 1] + sizes[order[at]]
        gain[at] = gain[at + 1] + min(0.0, net[order[at]])
    best = _trimmed(first, sizes, net, needed)
    least = sum(net[name] for name in best)
    stack: list[tuple[int, int, float, tuple[str, ...]]] = [(0, needed, 0.0, ())]
    for _ in range(STEPS):
        if not stack:
            break
        at, lacking, spent, chosen = stack.pop()
        if lacking <= 0:
            found = _trimmed(chosen, sizes, net, needed)
            if (total := sum(net[name] for name in found)) < least:
                best, least = found, total
        elif rest[at] >= lacking and spent + gain[at] < least:
            name = order[at]
            stack.append((at + 1, lacking, spent, chosen))
            stack.append((at + 1, lacking - sizes[name], spent + net[name], (*chosen, name)))
    return best


def _trimmed(names: Sequence[str], sizes: Mapping[str, int], net: Mapping[str, float], needed: int) -> list[str]:
    kept, freed = list(names), sum(sizes[name] for name in names)
    for name in sorted(names, key=lambda name: -net[name]):
        if freed - sizes[name] >= needed:
            kept.remove(name)
            freed -= sizes[name]
    return kept
