"""States of a run on disk: each is whole or not there, the newest are kept."""

from __future__ import annotations

import contextlib
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

FOLDER = "checkpoints"
_BEST = "best.pt"
_KEPT = 2


@dataclass(frozen=True)
class Kept:
    """A state that was found."""

    update: int
    state: dict[str, Any]


class Checkpoints:
    """The states in a run's folder.

    Those made where the model was measured lie at the same updates in every run of the same manifest: it is to them
    that a run goes back when it comes off its way, so that it comes out the same however often it was cut off.
    """

    def __init__(self, folder: Path) -> None:
        """Those of one run; the folder is made."""
        self._folder = folder / FOLDER
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob("*.part"):
            left.unlink()

    def save(self, update: int, state: dict[str, Any], measured: bool) -> None:
        """Keeps a state after an update, and lets older ones go."""
        self._write(self._folder / f"{'eval' if measured else 'step'}-{update:09d}.pt", state)
        found = self._all()
        anchors = [path for path in found if path.name.startswith("eval")]
        for path in found:
            if path not in found[-_KEPT:] and path not in anchors[-1:]:
                path.unlink()

    def save_best(self, weights: dict[str, Any]) -> None:
        """Keeps the weights that measured best so far."""
        self._write(self._folder / _BEST, weights)

    def best(self) -> dict[str, Any] | None:
        """The weights that measured best; None where none were kept."""
        return self._read(self._folder / _BEST)

    def newest(self, measured: bool = False) -> Kept | None:
        """The newest state that is whole; of those made where it was measured, if so asked."""
        for path in reversed(self._all()):
            if measured and not path.name.startswith("eval"):
                continue
            state = self._read(path)
            if state is not None:
                return Kept(_number(path), state)
        return None

    def drop_after(self, update: int) -> None:
        """Lets go of the states after an update that a run has gone back to."""
        for path in self._all():
            if _number(path) > update:
                path.unlink()

    def clear(self) -> None:
        """Lets go of all of them."""
        for path in [*self._all(), self._folder / _BEST]:
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob("[es]*-*.pt"), key=lambda path: (_number(path), path.name[0] == "e"))

    def _write(self, path: Path, state: dict[str, Any]) -> None:
        temp = path.with_suffix(".part")
        with temp.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temp.replace(path)
        if os.name == "posix":
            handle = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            read: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
            return None
        return read


def _number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
