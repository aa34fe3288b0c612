"""What a run will take: from what earlier runs took, or from a rough rule. Imports no torch."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agentos.training.data import hold_out, read
from agentos.training.events import write_atomically
from agentos.training.spec import RunSpec
from agentos.types.training import Estimate

SPEEDS = "speeds.json"
_PARAMETERS = {"tiny": 4e6, "mini": 12e6, "small": 30e6}
_OPERATIONS = 6e10
"""Useful operations a second of one slow core; a rule for the first run of a machine."""


def estimate(spec: RunSpec, runs: Path, device: str = "cpu") -> Estimate:
    """What a run will take, before it is started.

    Args:
        spec: The run.
        runs: The folder that the runs' folders lie in; what they took is remembered there.
        device: Where it will compute.
    """
    raw = read(spec.data_path, spec.text, spec.label if spec.kind != "pretrain" else None)
    rows = len(raw.texts) if spec.held_path else len(hold_out(raw, spec.held_out, spec.seed)[0])
    # what rows share is read once
    counted = sum(_tokens(text) for texts in raw.texts for text in texts[spec.shared :])
    tokens = counted * rows / max(1, len(raw.texts)) + 2 * rows
    steps = -(-rows // spec.rows) * spec.epochs
    return _of(spec, runs, device, tokens=int(tokens * spec.epochs), steps=steps, parameters=parameters(spec))


def _tokens(text: str) -> float:
    """About how many tokens a text has: one for each Chinese character, one for about four letters of others."""
    wide = sum(ord(letter) > 0x2E80 for letter in text)
    return wide + (len(text) - wide) / 4.3


def parameters(spec: RunSpec) -> float:
    """About how many a run's model has, by its files."""
    if not spec.base_path:
        return _PARAMETERS[spec.scale]
    return sum(path.stat().st_size for path in Path(spec.base_path).glob("*.safetensors")) / 4


def _of(spec: RunSpec, runs: Path, device: str, *, tokens: int, steps: int, parameters: float) -> Estimate:
    known = _speeds(runs).get(_key(spec, device))
    state = parameters * (16 if spec.method == "full" or not spec.base_path else 5)
    if known:
        return Estimate(tokens / known["speed"], int(known["memory"]), steps, tokens, learned=True)
    cores = spec.threads or os.cpu_count() or 1
    speed = (100e12 if device == "cuda" else _OPERATIONS * cores) / (6 * max(parameters, 1e6))
    return Estimate(tokens / speed, int(state + 700e6), steps, tokens)


def of_loop(spec: RunSpec, folder: Path, built: Any, loop: Any) -> Estimate:
    """What a run will take, when its rows are tokens: their number is exact then, and a probe tells the speed."""
    train = built.corpus.train
    tokens = sum(len(row.ids) for row in train) * spec.epochs * loop.target // max(1, loop.total)
    if _speeds(folder.parent).get(_key(spec, built.plan.device)) is None:
        with contextlib.suppress(RuntimeError, MemoryError):
            seconds = loop.probe()
            size = built.parameters * 4
            trained = sum(p.numel() for _name, p in built.method.named()) * 12
            return Estimate(seconds * loop.target, int(size + trained + loop_memory()), loop.target, tokens)
    return _of(
        spec, folder.parent, built.plan.device, tokens=tokens, steps=loop.target, parameters=built.parameters
    )


def loop_memory() -> int:
    """What the libraries and an update's own tensors take beside weights, in bytes."""
    return 700_000_000


def remember(spec: RunSpec, folder: Path, device: str, speed: float, memory: int) -> None:
    """Keeps what a run took, for the next one's estimate."""
    known = _speeds(folder.parent)
    known[_key(spec, device)] = {"speed": speed, "memory": float(memory)}
    with contextlib.suppress(OSError):
        write_atomically(folder.parent / SPEEDS, json.dumps(known))


def _speeds(runs: Path) -> dict[str, dict[str, float]]:
    with contextlib.suppress(OSError, ValueError):
        said = json.loads((runs / SPEEDS).read_text("utf-8"))
        if isinstance(said, dict):
            return said
    return {}


def _key(spec: RunSpec, device: str) -> str:
    base = spec.base or f"{spec.task} {spec.scale}"
    return f"{base} {spec.method} {device} x{spec.processes} t{spec.threads} r{spec.rows}"


def plain(thought: Estimate | None) -> dict[str, Any]:
    """As a dictionary."""
    return asdict(thought) if thought is not None else {}
