"""What a search's process and the system tell each other: a file for each word, whole or not there. Imports no torch.

The process asks for trials and says which are to be stopped; the system answers with the run that a trial became and
how it ended. Both may be killed at any point and read on where the other one is.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from agentos.training.events import write_atomically

BEST = "best"
"""The trial that is made once more, on all rows that may be learned from."""


class Mailbox:
    """The words about a search's trials, by their names: `0`, `1`, …, `best`."""

    def __init__(self, folder: Path) -> None:
        """In a search's folder."""
        self._folder = folder / "trials"

    def ask(self, trial: str, settings: dict[str, Any]) -> None:
        """A trial is wanted, with these fields of its manifest."""
        self._folder.mkdir(exist_ok=True)
        self._write(trial, "ask", settings)

    def asked(self) -> dict[str, dict[str, Any]]:
        """The trials that are wanted, the oldest first."""
        names = [path.name.removesuffix(".ask") for path in self._folder.glob("*.ask")]
        found = {name: self._read(name, "ask") for name in sorted(names, key=lambda name: (len(name), name))}
        return {name: said for name, said in found.items() if said is not None}

    def stop(self, trial: str) -> None:
        """A trial need not go on."""
        self._write(trial, "stop", {})

    def stopped(self, trial: str) -> bool:
        """Whether it need not."""
        return self._read(trial, "stop") is not None

    def begun(self, trial: str, run: str) -> None:
        """A trial has become a run."""
        self._write(trial, "run", {"run": run})

    def run(self, trial: str) -> str:
        """The run that it became; empty for none yet."""
        return str((self._read(trial, "run") or {}).get("run", ""))

    def ended(self, trial: str, state: str, message: str) -> None:
        """A trial's run has ended."""
        self._write(trial, "end", {"state": state, "message": message})

    def end(self, trial: str) -> tuple[str, str] | None:
        """How it ended, and what was said of that; None while it has not."""
        said = self._read(trial, "end")
        return None if said is None else (str(said.get("state")), str(said.get("message", "")))

    def _write(self, trial: str, word: str, said: dict[str, Any]) -> None:
        write_atomically(self._folder / f"{trial}.{word}", json.dumps(said))

    def _read(self, trial: str, word: str) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError):
            said = json.loads((self._folder / f"{trial}.{word}").read_text("utf-8"))
            return said if isinstance(said, dict) else None
        return None
