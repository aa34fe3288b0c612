"""What is used and reserved of each limit, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agentos.policy.limits import Counter
from agentos.policy.periods import Period, window
from agentos.types import Timestamp


class Spent:
    """Counts of each period, and reservations, which stay from one period to the next."""

    def __init__(self, used: Mapping[Counter, tuple[Timestamp, float]]) -> None:
        """As it was written down: when a counter's period began, and what was used in it."""
        self._used = dict(used)
        self._reserved: dict[Counter, float] = {}

    def taken(self, counter: Counter, now: Timestamp) -> float:
        """What is used in the period that now is, and reserved."""
        start, used = self._used.get(counter, (0.0, 0.0))
        return (used if start == window(counter.period, now).start else 0.0) + self._reserved.get(counter, 0.0)

    def reserved(self, counter: Counter) -> float:
        """What is reserved."""
        return self._reserved.get(counter, 0.0)

    def after(self, counter: Counter, amount: float, now: Timestamp) -> tuple[Timestamp, float]:
        """When the period began, and what would be used in it with an amount more."""
        start = window(counter.period, now).start
        was, used = self._used.get(counter, (0.0, 0.0))
        return start, (used if was == start else 0.0) + amount

    def use(self, counter: Counter, amount: float, now: Timestamp) -> tuple[Timestamp, float]:
        """Counts an amount; gives when the period began, and what is used in it."""
        self._used[counter] = self.after(counter, amount, now)
        return self._used[counter]

    def hold(self, counters: Iterable[Counter], amounts: Mapping[str, float]) -> None:
        """Reserves."""
        for counter in counters:
            self._reserved[counter] = self._reserved.get(counter, 0.0) + amounts[counter.resource]

    def release(self, counters: Iterable[Counter], amounts: Mapping[str, float]) -> None:
        """Takes a reservation back."""
        for counter in counters:
            rest = self._reserved.get(counter, 0.0) - amounts[counter.resource]
            if rest > 1e-9:
                self._reserved[counter] = rest
            else:
                self._reserved.pop(counter, None)

    def names(self, prefix: str, resource: str, period: Period) -> set[str]:
        """Whose counters of something begin so."""
        every = {*self._used, *self._reserved}
        return {one.name for one in every if one.name.startswith(prefix) and (one.resource, one.period) == (
            resource, period)}
