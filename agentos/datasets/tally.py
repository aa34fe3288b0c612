"""What a step of cleaning has done."""

from __future__ import annotations

from dataclasses import dataclass, field

from agentos.types import Json, StepReport

SHOWN = 3
"""Examples that are kept."""


@dataclass
class Tally:
    """What a step has done so far."""

    step: str
    changed: int = 0
    dropped: int = 0
    seconds: float = 0.0
    examples: list[Json] = field(default_factory=list)
    note: str = ""

    def show(self, example: dict[str, Json]) -> None:
        """Keeps one of the first examples."""
        if len(self.examples) < SHOWN:
            self.examples.append(example)

    def report(self) -> StepReport:
        """As the caller is told."""
        return StepReport(self.step, self.changed, self.dropped, round(self.seconds, 3), self.examples, self.note)
