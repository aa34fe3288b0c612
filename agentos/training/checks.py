"""What is looked at before minutes are spent: data, model and task, and whether they go together. Imports no torch."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from agentos.errors import UserError
from agentos.training.data import Raw, read
from agentos.training.spec import RunSpec

_MOST_LABELS = 1000
_FEW = 2
"""Rows of a label below which none can be held out and some be learned."""


def check(spec: RunSpec, folder: Path | None = None) -> list[str]:
    """What a person should know of a run before it starts, in sentences.

    Raises:
        UserError: it cannot come to anything; the message says why and what to change.
    """
    _numbers(spec)
    if not spec.text:
        raise UserError(f"{spec.data!r} has no column of text; nothing was trained. Name one")
    classifies = spec.kind in ("finetune", "search") and spec.task == "text-classification"
    raw = read(spec.data_path, spec.text, spec.label if spec.kind != "pretrain" else None)
    filled = sum(any(text.strip() for text in texts) for texts in raw.texts)
    if filled == 0:
        raise UserError(f"{spec.data!r} holds no text in {', '.join(map(repr, spec.text))}; nothing was trained")
    notes = []
    if filled < len(raw.texts):
        notes.append(f"{len(raw.texts) - filled} of {len(raw.texts)} rows have no text; they are learned as empty ones")
    if classifies:
        notes += _labels(spec, raw)
    elif len(raw.texts) < _FEW and not spec.held_path and spec.held_out > 0:
        raise UserError(f"{spec.data!r} has a single row, of which none can be held out; nothing was trained")
    if spec.base_path:
        _model(spec)
    if folder is not None:
        _disk(spec, folder)
    return notes


def _numbers(spec: RunSpec) -> None:
    for name in ("epochs", "rows", "rank", "processes", "evaluations"):
        if getattr(spec, name) < 1:
            raise UserError(f"{name} is {getattr(spec, name)} and must be at least 1; nothing was trained")
    if not 0 <= spec.held_out < 1:
        raise UserError(f"held_out is {spec.held_out} and must be a share from 0 to below 1; nothing was trained")
    if spec.learning_rate is not None and not 0 < spec.learning_rate < 1:
        raise UserError(f"learning_rate is {spec.learning_rate} and must lie between 0 and 1; nothing was trained")


def _labels(spec: RunSpec, raw: Raw) -> list[str]:
    if spec.label is None or raw.labels is None:
        raise UserError(f"{spec.data!r} has no column of labels; nothing was trained. Name it, or set task=causal-lm")
    empty = sum(not label for label in raw.labels)
    if empty:
        raise UserError(
            f"{empty} of {len(raw.labels)} rows have no label in {spec.label!r}; nothing was trained. Clean the data: "
            "drop them, or fill them in"
        )
    seen = Counter(raw.labels)
    if len(seen) == 1:
        raise UserError(
            f"every row has the label {next(iter(seen))!r}: there is nothing to tell apart, and nothing was trained"
        )
    if len(seen) > 20 and len(seen) > len(raw.labels) / 3 and all(_number(label) for label in seen):
        raise UserError(
            f"{spec.label!r} holds numbers with {len(seen)} different values: that is an amount and not a label, and "
            "amounts are not learned here (no regression). Nothing was trained; put them into a few classes"
        )
    if len(seen) > _MOST_LABELS or len(seen) > max(2, len(raw.labels) / 2):
        raise UserError(
            f"{spec.label!r} has {len(seen)} different labels in {len(raw.labels)} rows, too few rows of each to "
            "learn from; nothing was trained. Is it the right column?"
        )
    unknown = sorted(set(seen) - set(spec.labels)) if spec.labels else []
    if unknown:
        raise UserError(f"the data have the label {unknown[0]!r}, which the run was not told of; nothing was trained")
    if spec.held_path:
        held = read(spec.held_path, spec.text, spec.label)
        strange = sorted(set(held.labels or ()) - set(spec.labels or seen))
        if strange:
            raise UserError(
                f"the rows to measure on have the label {strange[0]!r}, which no row to learn from has; nothing was "
                "trained"
            )
        if not held.texts:
            raise UserError("there are no rows to measure on; nothing was trained")
        return []
    rare = sorted(label for label, count in seen.items() if count < _FEW)
    if rare and spec.held_out > 0:
        raise UserError(
            f"the label {rare[0]!r} has a single row, which cannot be both learned and held out; nothing was trained. "
            "Add rows of it, or drop it"
        )
    least = min(seen, key=lambda label: (seen[label], label))
    if seen[least] * 10 < max(seen.values()) and not spec.balanced:
        return [f"{least!r} has {seen[least]} of {len(raw.labels)} rows; balanced=true would make it weigh as much"]
    return []


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _config(path: Path) -> dict[str, Any]:
    try:
        said = json.loads((path / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path.name!r} has no configuration that can be read; nothing was trained") from error
    return said if isinstance(said, dict) else {}


def _model(spec: RunSpec) -> None:
    names = [str(name) for name in _config(Path(spec.base_path)).get("architectures") or []]
    writes = any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names)
    if spec.task == "causal-lm" and names and not writes:
        raise UserError(
            f"{spec.base!r} is a {names[0]}, which does not write text; nothing was trained. Choose a model that "
            "does, or set task=text-classification"
        )
    both = any(name.endswith(("ForConditionalGeneration", "Seq2SeqLM")) for name in names)
    if spec.task == "text-classification" and both:
        raise UserError(f"{spec.base!r} reads and writes by two halves and is not trained to classify here; "
                        "nothing was trained. Choose an encoder")


def _disk(spec: RunSpec, folder: Path) -> None:
    base = Path(spec.base_path) if spec.base_path else None
    weights = sum(path.stat().st_size for path in base.glob("*.safetensors")) if base else 200_000_000
    # the model, the best weights, and three states of weights and two moments; of a small part, next to nothing
    needed = weights * 11 if spec.method == "full" or base is None else weights * 2
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"the run may take {needed / 2**30:.1f} GiB of disk and {free / 2**30:.1f} GiB are free; nothing was "
            "trained. Free some, or choose lora"
        )


