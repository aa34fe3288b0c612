"""Where a run is, in plain figures: what a checkpoint holds beside tensors."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

_ROW = 20
"""Updates in a row that must be bad before a run is held to have come off its way."""
RETURNS = 3
"""Times that a run goes back before it gives up."""


@dataclass
class Progress:
    """A run's figures after an update."""

    update: int = 0
    tokens: int = 0
    """Read so far, without padding."""
    slots: int = 0
    """Read so far, with it."""
    seconds: float = 0.0
    factor: float = 1.0
    """What the rate is multiplied by: halved each time the run goes back."""
    returns: int = 0
    loss: float = 0.0
    smooth: float | None = None
    first: float | None = None
    lowest: float | None = None
    bad: int = 0
    best: list[float] | None = None
    best_update: int = 0
    stale: int = 0
    """Evaluations since the best one."""
    over: bool = False
    """Whether it stopped early."""
    budget: int = 0
    """Tokens of a batch."""
    metrics: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    estimate: dict[str, Any] = field(default_factory=dict)
    """What the run was thought to take before its first update."""

    def plain(self) -> dict[str, Any]:
        """As a dictionary."""
        return asdict(self)

    @staticmethod
    def of(said: dict[str, Any]) -> Progress:
        """From a dictionary, whose unknown names are left out."""
        known = {item.name for item in fields(Progress)}
        return Progress(**{name: value for name, value in said.items() if name in known})

    def astray(self, loss: float) -> bool:
        """Takes in an update's loss; gives whether it has been far above its best for many updates.

        Far is half of what had been gained, and twice the best: a model that has fallen back to guessing is there.
        """
        self.loss = loss
        self.smooth = loss if self.smooth is None else 0.9 * self.smooth + 0.1 * loss
        if self.first is None:
            self.first = self.smooth
        self.lowest = self.smooth if self.lowest is None else min(self.lowest, self.smooth)
        far = max(2 * self.lowest, self.lowest + 0.5 * max(0.0, self.first - self.lowest), self.lowest + 0.1)
        self.bad = self.bad + 1 if self.smooth > far else 0
        return self.bad >= _ROW

    def measured(self, standing: list[float], metrics: dict[str, float]) -> bool:
        """Takes in an evaluation; gives whether it is the best so far."""
        if self.best is not None and standing <= self.best:
            self.stale += 1
            return False
        self.best, self.best_update, self.stale, self.metrics = standing, self.update, 0, dict(metrics)
        return True
