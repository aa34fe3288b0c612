"""What the service of models asks of parts beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Kept(Protocol):
    """What a trash says of something put into it."""

    @property
    def undo_id(self) -> str:
        """What brings it back."""
        ...

    @property
    def until(self) -> float:
        """Until when."""
        ...


class TrashBin(Protocol):
    """Where deleted models go."""

    def put(self, kind: str, name: str, folder: Path, call: str, user: str) -> Kept:
        """Moves a folder away, so that it can be brought back."""
        ...


async def silent(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    """A progress that nobody watches."""
