"""How much memory a model takes, and how much there is."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from agentos.errors import Failed, UserError
from agentos.models.shelf import Stored
from agentos.types.units import show_bytes, size

_RUNTIME = 450 << 20
"""What an engine's process takes before it holds a weight: torch and transformers, measured."""
_FACTOR = 2.2
"""Weights as the file maps them and as the processor wants them (2.1 measured at 0.5 B, packed fp16)."""


def estimate(stored: Stored, context: int) -> int:
    """Bytes that loading a model is expected to take, its key-value state included."""
    weights = sum((stored.path / name).stat().st_size for name in stored.weights)
    return int(_RUNTIME + _FACTOR * weights + _state(stored, context))


def _state(stored: Stored, context: int) -> int:
    """Bytes of the key-value state of a full context, in 16 bits."""
    if stored.kind != "causal":
        return 0
    config = json.loads((stored.path / "config.json").read_text("utf-8"))
    try:
        heads = int(config["num_attention_heads"])
        width = int(config.get("head_dim") or config["hidden_size"] // heads)
        kept = int(config.get("num_key_value_heads") or heads)
        length = min(context, stored.context or context)
        return 2 * int(config["num_hidden_layers"]) * kept * width * 2 * length
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 0


def available() -> int:
    """Bytes that a new process can have without swapping, within the container's limit where there is one."""
    free = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        free = min(free, limit - used + int(stat.get("inactive_file", 0)))
    return max(0, free)


class Room:
    """What models may take of memory: what the machine can give, within a budget."""

    def __init__(self, free: Callable[[], int], budget: str) -> None:
        """`free` gives the bytes that can be had, `budget` is a size such as `8GiB`, or nothing."""
        self._free = free
        self._budget = budget

    def spare(self, taken: int) -> int:
        """Bytes that one more model may take, when the loaded ones take `taken`.

        Raises:
            UserError: the setting is not a size.
        """
        try:
            return max(0, min(self._free(), size(self._budget) - taken)) if self._budget else self._free()
        except ValueError as fault:
            raise UserError(f"setting 'memory_budget': {fault}") from None

    def check(self, name: str, need: int, taken: int, others: Sequence[str]) -> None:
        """Sees to it that a model fits.

        Raises:
            Failed: it does not; the message has the numbers, and names `others` that could be unloaded.
        """
        spare = self.spare(taken)
        if need > spare:
            within = " within the setting 'memory_budget'" if self._budget else ""
            advice = f"Unload one of: {', '.join(others)}." if others else "Close other programs."
            raise Failed(
                f"{name!r} needs {show_bytes(need)} and this machine can give {show_bytes(spare)}{within}; "
                f"nothing was loaded. {advice}"
            )
