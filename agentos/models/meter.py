"""What each model is doing: requests, tokens, how fast, how many ask at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

RATE_SECONDS = 10
"""Over how long tokens per second are taken."""
RECENT = 300.0
"""For how long a crowd of callers is remembered, in seconds."""


class Meter:
    """One model's counters; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Nothing counted."""
        self._clock = clock
        self._slots = [0] * RATE_SECONDS
        self._stamps = [-1] * RATE_SECONDS
        self._crowds: deque[tuple[float, int]] = deque()
        self.served = 0
        self.tokens = 0
        self.cost = 0.0
        self.restarts = 0
        self.asking = 0
        """Callers that are being answered or wait for the model."""
        self.part: float | None = None
        """How far its load is, from 0 to 1."""

    def token(self, count: int = 1) -> None:
        """Tokens that were written just now."""
        second = int(self._clock())
        slot = second % RATE_SECONDS
        if self._stamps[slot] != second:
            self._stamps[slot], self._slots[slot] = second, 0
        self._slots[slot] += count
        self.tokens += count

    def done(self, more: int, cost: float | None = None) -> None:
        """A request was answered; `more` tokens than were seen one by one."""
        self.served += 1
        self.cost += cost or 0.0
        if more > 0:
            self.token(more)

    @property
    def rate(self) -> float:
        """Tokens per second over the last `RATE_SECONDS`."""
        since = int(self._clock()) - RATE_SECONDS
        return sum(n for n, at in zip(self._slots, self._stamps, strict=True) if at > since) / RATE_SECONDS

    def enter(self) -> None:
        """A caller came."""
        self.asking += 1
        now = self._clock()
        while self._crowds and (self._crowds[-1][1] <= self.asking or self._crowds[-1][0] < now - RECENT):
            self._crowds.pop()
        self._crowds.append((now, self.asking))

    def leave(self) -> None:
        """A caller went."""
        self.asking -= 1

    @property
    def crowd(self) -> int:
        """The most callers at once over the last `RECENT` seconds."""
        since = self._clock() - RECENT
        while self._crowds and self._crowds[0][0] < since:
            self._crowds.popleft()
        return max([self.asking, *(count for _, count in self._crowds)])

    def fresh(self) -> None:
        """The model was loaded anew: what counts from then starts at nothing."""
        self.served, self.tokens, self.cost, self.restarts = 0, 0, 0.0, 0


class Meters:
    """A meter for each model that was ever asked."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """None yet."""
        self._clock = clock
        self._all: dict[str, Meter] = {}

    def of(self, name: str) -> Meter:
        """A model's meter."""
        return self._all.setdefault(name, Meter(self._clock))
