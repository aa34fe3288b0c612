"""Seconds of loading that no policy can do without, however much it knows of the future."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

WINDOW = 50
"""Requests that share a price for memory."""
ROUNDS = 200


def least(names: Sequence[str], sizes: Mapping[str, int], costs: Mapping[str, float], budget: int) -> float:
    """A proven lower bound on the seconds spent loading, where each request must be served from memory.

    A load is saved only by holding a model from one use to its next. At each request in between it takes its bytes
    from what the budget leaves beside the model being served. Relaxed so that a model may be held in part, that is
    a linear programme (as in FOO, Berger, Beckmann, Harchol-Balter, 2018); its dual puts a price on memory at each
    request, and every set of prices, good or bad, gives a valid bound. One price for the whole trace gives PFOO-L's
    relaxation; here each `WINDOW` of requests has its own, improved by subgradient steps from the best single one.

    Args:
        names: The models in the order they are asked for.
        sizes: Bytes of each.
        costs: Seconds that each takes to load.
        budget: Bytes; no model may be larger.
    """
    before: dict[str, int] = {}
    found: list[tuple[int, int, int, float]] = []
    for at, name in enumerate(names):
        if name in before:
            found.append((before[name] + 1, at, sizes[name], costs[name]))
        before[name] = at
    total = sum(costs[name] for name in names)
    if not found:
        return total
    begin, end, size, cost = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    begin, end, size = begin.astype(int), end.astype(int), size / budget
    room = np.array([1 - sizes[name] / budget for name in names])
    window = np.arange(len(names)) // WINDOW
    places = int(window[-1]) + 1
    there = np.bincount(window, room, places)

    def saved(prices: np.ndarray) -> tuple[float, np.ndarray]:
        """At most so many seconds are saved; and how the bound falls as each price rises."""
        paid = np.concatenate([[0.0], np.cumsum(prices[window])])
        gain = cost - size * (paid[end] - paid[begin])
        held = gain > 0
        edges = np.zeros(len(names) + 1)
        np.add.at(edges, begin[held], size[held])
        np.add.at(edges, end[held], -size[held])
        taken = np.bincount(window, np.cumsum(edges)[:-1], places)
        return float(prices @ there + gain[held].sum()), taken - there

    prices = np.full(places, _price(begin, end, size, cost, float(room.sum())))
    best, _ = saved(prices)
    for turn in range(ROUNDS):
        bound, excess = saved(prices)
        best = min(best, bound)
        norm = float(excess @ excess)
        if norm == 0:
            break
        step = 0.05 * best / norm / (1 + turn / 20)
        prices = np.maximum(0.0, prices + step * excess)
    return max(0.0, total - best)


def _price(begin: np.ndarray, end: np.ndarray, size: np.ndarray, cost: np.ndarray, room: float) -> float:
    """Seconds that a byte over one request is worth to the last model that is held, all requests taken together."""
    area = size * (end - begin)
    worth = np.where(area > 0, cost / np.where(area > 0, area, 1), np.inf)
    order = np.argsort(-worth)
    place = int(np.searchsorted(np.cumsum(area[order]), room))
    return float(worth[order[place]]) if place < len(order) else 0.0
