"""A run as it goes on: its events, read while the process writes them, as lines of progress."""

from __future__ import annotations

import contextlib
import json
import math
from collections import deque
from pathlib import Path
from typing import Any

from agentos.training.spec import EVENTS
from agentos.types.units import show_bytes, show_seconds

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 16
_KEPT = 512


class Follower:
    """Reads what was added to a run's events since it last looked."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self.folder = folder
        self._path = folder / EVENTS
        self._offset = 0
        self._losses: deque[float] = deque(maxlen=_KEPT)

    def news(self) -> list[dict[str, Any]]:
        """Events that were written since; a line that is still being written is left for the next look."""
        try:
            with self._path.open("rb") as file:
                file.seek(0, 2)
                if file.tell() < self._offset:  # cut back by a process that found half a line
                    self._offset = 0
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        found = []
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    found.append(event)
                    if event.get("kind") == "step" and isinstance(event.get("loss"), int | float):
                        self._losses.append(float(event["loss"]))
        return found

    @property
    def curve(self) -> str:
        """The loss so far, as a line of blocks: high ones first, where it falls."""
        values = [value for value in self._losses if math.isfinite(value)]
        if len(values) < 2:
            return ""
        size = -(-len(values) // _WIDTH)
        means = [sum(part) / len(part) for at in range(0, len(values), size) if (part := values[at : at + size])]
        low, high = min(means), max(means)
        span = (high - low) or 1.0
        return "".join(_BARS[min(7, int(8 * (value - low) / span))] for value in means)

    def line(self, event: dict[str, Any]) -> str:
        """An event as one line of progress."""
        if event.get("kind") in ("note", "resume", "end", "start", "checkpoint"):
            return str(event.get("text", ""))
        parts = []
        if "loss" in event:
            parts.append(f"loss {event['loss']:.4g} {self.curve}".rstrip())
        metric = event.get("metric") or {}
        parts += [f"{name.replace('_', ' ')} {value:.4g}" for name, value in metric.items() if name != "loss"]
        if event.get("tokens_per_second"):
            parts.append(f"{event['tokens_per_second']:,.0f} tokens/s")
        if event.get("memory"):
            parts.append(show_bytes(event["memory"]))
        if event.get("eta"):
            parts.append(f"{show_seconds(round(event['eta']))} left")
        return "  ".join(parts)


def result_of(folder: Path, name: str) -> dict[str, Any] | None:
    """What a run's process wrote at its end; None: nothing that can be read."""
    with contextlib.suppress(OSError, ValueError):
        said = json.loads((folder / name).read_text("utf-8"))
        return said if isinstance(said, dict) else None
    return None
