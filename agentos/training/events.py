"""What a run tells while it runs: a line of JSON for each event, a line of text a second, curves for trackers."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, Literal

from agentos.training import trackers
from agentos.training.spec import EVENTS, RunSpec

Kind = Literal["start", "step", "eval", "note", "checkpoint", "resume", "end"]


def write_atomically(path: Path, text: str) -> None:
    """Puts a whole file in place, or none."""
    temp = path.with_name(f"{path.name}.part")
    with temp.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temp.replace(path)


def left(seconds: float) -> str:
    """A time as a person reads it: `45s`, `2m 10s`, `3h 05m`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m {whole % 60:02d}s" if whole < 3600 else f"{whole // 3600}h {whole % 3600 // 60:02d}m"


class Journal:
    """A run's events, appended to `events.jsonl` and sent to the trackers."""

    def __init__(self, folder: Path, spec: RunSpec, quiet: bool = False) -> None:
        """Goes on behind the last whole line; `quiet` tells nothing, for all processes but the first."""
        self._quiet = quiet
        self._shown = 0.0
        self._told = 0.0
        self._boards: list[trackers.Board] = []
        if quiet:
            return
        path = folder / EVENTS
        if path.exists():
            whole = path.read_bytes()
            if whole and not whole.endswith(b"\n"):  # a line that a kill has cut off
                path.write_bytes(whole[: whole.rfind(b"\n") + 1])
        self._file = path.open("a", encoding="utf-8")
        self._boards = trackers.boards(folder, spec, lambda text: self.event("note", text=text))

    def event(self, kind: Kind, **fields: Any) -> None:
        """Appends one event; what is None or no number is left out."""
        if self._quiet:
            return
        known = {
            name: value for name, value in fields.items()
            if value is not None and not (isinstance(value, float) and not math.isfinite(value))
        }
        self._file.write(json.dumps({"time": time.time(), "kind": kind, **known}, ensure_ascii=False) + "\n")
        self._file.flush()
        if kind in ("note", "resume", "end") and "text" in known:
            print(known["text"], flush=True)

    def step(self, last: bool, **fields: Any) -> None:
        """One update: kept a few times a second at most, shown once a second; `last` ones always are."""
        now = time.monotonic()
        if self._quiet:
            return
        if last or now - self._told >= 0.25:
            self._told = now
            self.event("step", **fields)
            self.curve(fields["step"], {"loss": fields["loss"], "rate": fields["rate"],
                                        "tokens_per_second": fields["tokens_per_second"]})
        if last or now - self._shown >= 1:
            self._shown = now
            done, total = fields["step"], fields["steps"]
            print(
                f"step {done}/{total} {100 * done // max(1, total)}% loss {fields['loss']:.4g} "
                f"{fields['tokens_per_second']:,.0f} tokens/s {left(fields['eta'])} left", flush=True,
            )

    def curve(self, step: int, values: dict[str, float]) -> None:
        """Adds a point to each curve of the trackers."""
        for board in self._boards:
            board.add(step, {name: value for name, value in values.items() if math.isfinite(value)})

    def close(self, failed: bool = False) -> None:
        """Leaves everything on disk."""
        for board in self._boards:
            board.close(failed)
        if not self._quiet:
            self._file.close()


def peak() -> int:
    """The most memory that this process has held, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)
