"""What the doors need of the kernel's training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from agentos.types import Caller, Trained


class Feedback(Protocol):
    """What was kept of what people said."""

    def agreed(self, user: str) -> bool:
        """Whether somebody agreed that what becomes of their plans is kept."""
        ...

    def agree(self, user: str, yes: bool) -> None:
        """Keeps whether somebody agrees."""
        ...

    def forget(self, user: str) -> int:
        """Takes out all that somebody gave."""
        ...

    def all(self) -> Sequence[Any]:
        """What was kept."""
        ...


class Schooling(Protocol):
    """Trains adapters for the kernel."""

    async def train(
        self, caller: Caller, *, rows: int = ..., epochs: int = ..., seed: int = ..., feedback: bool = ...,
        further: bool = ...,
    ) -> Trained:
        """Begins a run."""
        ...

    @property
    def feedback(self) -> Feedback:
        """What was kept of what people said."""
        ...

    def correct(self, text: str, plan: str, caller: Caller) -> Any:
        """Keeps what a sentence should have come to."""
        ...

    def worded(self, plan: Mapping[str, Any]) -> str:
        """A plan as a correction writes it."""
        ...

    async def keep(self, run: str) -> dict[str, Any]:
        """Keeps what a run made."""
        ...

    async def mean(self, names: Sequence[str]) -> dict[str, Any]:
        """Keeps the mean of adapters."""
        ...
