"""How much memory a model takes, and how much there is."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from agentos.engines import vllm_args
from agentos.errors import Failed
from agentos.models.budget import HOST, Need
from agentos.models.header_safetensors import SIZES, read_safetensors
from agentos.models.shelf import Stored
from agentos.types import Json

_RUNTIME = 300 << 20
"""What an engine's process takes beside weights: libraries and working space, measured without a nursery (290)."""
_MAPPED = 0.6
"""Share of the files that is mapped when most is held, while weights are being packed (0.5 to 0.67 measured)."""
_PACKED, _PLAIN = 2, 4
"""Bytes of a weight on a processor: of models that write (packed fp16, or bf16), and of encoders."""

_OWN = {"litellm": 400 << 20, "scripted": 48 << 20}
"""What engines without weights take, measured: their libraries."""
_STAGING = 1 << 30
"""Main memory that is used while weights go to a graphics processor."""
_CONTEXT = 600 << 20
"""What a graphics processor's own runtime takes of its memory."""
_SERVER = 2 << 30
"""The same of a vLLM server: its graphs and working space, not measured here."""


@dataclass(frozen=True)
class _Weights:
    """What the files of a model hold."""

    floats: int
    """Numbers in floating point."""
    codes: int
    """Bytes of everything else: a quantized model's weights stay as they are."""
    files: int
    """Bytes of the files."""
    whole: bool
    """Whether every number is in 32 bits."""


def _weights(stored: Stored) -> _Weights:
    floats = codes = files = 0
    whole = True
    for name in stored.weights:
        path = stored.path / name
        files += path.stat().st_size
        try:
            header = read_safetensors(path)
        except Failed:  # loading will say what is wrong with it
            floats += path.stat().st_size // 2
            continue
        for tensor, shape in header.shapes.items():
            kind = header.dtypes[tensor]
            whole = whole and kind in {"F32", "I64"}
            if "F" in kind and not kind.startswith("F8"):
                floats += math.prod(shape)
            else:
                codes += math.prod(shape) * SIZES[kind]
    return _Weights(floats, codes, files, whole)


def _held(stored: Stored) -> int:
    """Bytes of main memory that weights take at most, while they are loaded."""
    found = _weights(stored)
    if stored.kind == "causal":
        return int(_PACKED * found.floats + found.codes + _MAPPED * found.files)
    return _PLAIN * found.floats + found.codes + (0 if found.whole else found.files)


def _state(stored: Stored, context: int) -> int:
    """Bytes of the key-value state of a full context, in 16 bits."""
    if stored.kind != "causal":
        return 0
    try:
        config = json.loads((stored.path / "config.json").read_text("utf-8"))
        heads = int(config["num_attention_heads"])
        width = int(config.get("head_dim") or config["hidden_size"] // heads)
        kept = int(config.get("num_key_value_heads") or heads)
        length = min(context, stored.context or context)
        return 2 * int(config["num_hidden_layers"]) * kept * width * 2 * length
    except (OSError, KeyError, TypeError, ValueError, ZeroDivisionError):
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


def need(
    stored: Stored | None, engine: str, context: int, cards: Sequence[str] = (),
    settings: Mapping[str, Json] | None = None,
) -> Need:
    """What a model is expected to take under an engine; spread over `cards` (`gpu 0`, …) where it runs on those.

    Args:
        stored: The model; None where its weights are elsewhere.
        engine: Runs it.
        context: Tokens.
        cards: Kinds of memory of the GPUs it goes to.
        settings: What the engine is told.
    """
    if stored is None:
        return Need({HOST: _OWN.get(engine, _RUNTIME)})
    if cards:
        far = _weights(stored).files + (4 if engine == "vllm" else 1) * _state(stored, context)
        beside = _SERVER if engine == "vllm" else _CONTEXT
        return Need({HOST: _RUNTIME + _STAGING, **{card: far // len(cards) + beside for card in cards}})
    if engine == "vllm":
        return Need({HOST: vllm_args.need(stored.path, context, settings or {})})
    return Need({HOST: _RUNTIME + _held(stored) + _state(stored, context)})


def growth(stored: Stored | None, context: int) -> int:
    """Bytes that a loaded model may still take once it is used: the state of a full context."""
    return _state(stored, context) if stored is not None else 0
