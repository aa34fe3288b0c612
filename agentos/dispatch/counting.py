"""Whom the dispatcher tells what happens, for metrics."""

from __future__ import annotations

from typing import Protocol


class Counts(Protocol):
    """Told of what happens, for metrics."""

    def decided(self, syscall: str, decision: str) -> None:
        """`allow`, `confirm` or `deny`."""
        ...

    def called(self, syscall: str, outcome: str, seconds: float) -> None:
        """What became of a call that was let through, and how long it took."""
        ...


class Uncounted:
    """Counts nothing."""

    def decided(self, syscall: str, decision: str) -> None:
        """Forgets it."""

    def called(self, syscall: str, outcome: str, seconds: float) -> None:
        """Forgets it."""
