"""What the service of models asks of parts beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from agentos.config import Settings
from agentos.models.shelf import Shelf, Stored
from agentos.types import Progress, Quantized


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


class Quantizer(Protocol):
    """Makes a stored model of fewer bits out of another."""

    async def __call__(  # noqa: PLR0917
        self, stored: Stored, bits: int, output: str | None, shelf: Shelf, settings: Settings, progress: Progress
    ) -> Quantized:
        """The new model, measured beside the old one."""
        ...


async def silent(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    """A progress that nobody watches."""
