"""How much memory a model takes, and how much there is."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import psutil

from agentos.models.budget import HOST, Need
from agentos.models.shelf import Stored

_RUNTIME = 450 << 20
"""What an engine's process takes before it holds a weight: torch and transformers, measured."""
_FACTOR = 2.2
"""Weights as the file maps them and as the processor wants them (2.1 measured at 0.5 B, packed fp16)."""

_OWN = {"litellm": 400 << 20, "scripted": 48 << 20}
"""What engines without weights take, measured: their libraries."""
_STAGING = 1 << 30
"""Main memory that is used while weights go to a graphics processor."""
_CONTEXT = 600 << 20
"""What a graphics processor's own runtime takes of its memory."""


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


def need(stored: Stored | None, engine: str, context: int, cards: Sequence[str] = ()) -> Need:
    """What a model is expected to take under an engine; spread over `cards` (`gpu 0`, …) where it runs on those."""
    if stored is None:
        return Need({HOST: _OWN.get(engine, _RUNTIME)})
    whole = estimate(stored, context)
    if not cards:
        return Need({HOST: whole})
    return Need({HOST: _RUNTIME + _STAGING, **{card: (whole - _RUNTIME) // len(cards) + _CONTEXT for card in cards}})


def growth(stored: Stored | None, context: int) -> int:
    """Bytes that a loaded model may still take once it is used: the state of a full context."""
    return _state(stored, context) if stored is not None else 0
