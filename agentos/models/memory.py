"""How much memory a model takes, and how much there is."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import psutil

from agentos.models.shelf import Stored

_RUNTIME = 450 << 20
"""What an engine's process takes before it holds a weight: torch and transformers, measured."""
_FACTOR = 1.25
"""Weights while they are packed, and what one pass needs."""


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
