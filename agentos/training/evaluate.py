"""The process that measures a model as it serves: `python -m agentos.training.evaluate RUN_FOLDER`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentos.errors import AgentosError, Failed, UserError
from agentos.training import data
from agentos.training.events import Journal, peak, write_atomically
from agentos.training.spec import EVENTS, RESULT, RunSpec, read


def main(arguments: list[str]) -> int:
    """Measures the model of a run's folder, from the beginning; gives the exit code."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder = Path(arguments[0])
    try:
        if _finished(folder):
            print("this run has ended already; its figures are as they were", flush=True)
            return 0
        _run(folder, read(folder))
        return 0
    except AgentosError as error:
        # data and models are read by the same code as for training, whose messages speak of that
        said = str(error).replace("othing was trained", "othing was measured")
        return _fail(folder, "user" if isinstance(error, UserError) else "failed", said)
    except Exception as error:
        from agentos.engines.footprint import exhausted

        traceback.print_exc()
        if exhausted(error):
            return _fail(folder, "failed", "memory ran out; nothing was measured. Measure on a machine with more")
        return _fail(folder, "failed", f"measuring broke off: {error!r}. Nothing was measured; the log has more")


def _finished(folder: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return "error" not in json.loads((folder / RESULT).read_text("utf-8"))
    return False


def _fail(folder: Path, kind: str, message: str) -> int:
    print(f"agentos: {message}", file=sys.stderr, flush=True)
    with contextlib.suppress(OSError):
        write_atomically(folder / RESULT, json.dumps({"error": {"kind": kind, "message": message}}))
    return 2 if kind == "user" else 1


def _run(folder: Path, spec: RunSpec) -> None:
    import torch

    from agentos.training import asking, building, objectives, saving

    torch.set_num_threads(spec.threads or max(1, len(os.sched_getaffinity(0))))
    place = building.device()
    classes, config = _classes(spec)
    raw = data.read(spec.data_path, spec.text, spec.label if classes or spec.task == "causal-lm" else None)
    rows = _chosen(spec, len(raw.texts))
    held_hash = data.digest(raw, rows)
    (folder / EVENTS).unlink(missing_ok=True)
    journal = Journal(folder, replace(spec, trackers=()))
    try:
        journal.event("start", step=0, steps=len(rows), device=place.type, text=f"{len(rows)} rows to be asked")
        asked = asking.Asked(spec, config, raw, rows, place, journal)
        with torch.no_grad():
            told = asking.labels(asked) if classes else asking.writing(asked)
        for note in told.notes:
            journal.event("note", step=len(rows), text=note)
        result = {
            "metrics": told.metrics, "held_out": len(told.columns["row"]), "held_hash": held_hash,
            "predictions": saving.save_held_out(objectives.Measured({}, told.columns), folder),
            "labels": list(told.labels), "seconds": told.seconds, "tokens": told.tokens, "notes": told.notes,
            "memory": int(torch.cuda.max_memory_allocated()) if place.type == "cuda" else peak(),
            "tokens_per_second": told.tokens / max(told.seconds, 1e-9), "device": place.type, "limit": spec.limit,
        }
        write_atomically(folder / RESULT, json.dumps(result, ensure_ascii=False, allow_nan=False))
        text = f"done in {told.seconds:.0f}s: {result['held_out']} rows"
        journal.event("end", step=len(rows), steps=len(rows), loss=told.metrics["loss"], metric=told.metrics, text=text)
    finally:
        journal.close()


def _classes(spec: RunSpec) -> tuple[bool, Any]:
    """Whether the model gives labels rather than text, and its configuration.

    Raises:
        UserError: it does neither.
    """
    from transformers import AutoConfig

    from agentos.engines import adapters, encoders, quantized

    path = Path(spec.base_path)
    try:
        config = AutoConfig.from_pretrained(path)
    except (OSError, ValueError, KeyError) as error:
        raise Failed(f"{spec.model!r} cannot be loaded: {error}. Nothing was measured") from error
    head = adapters.head(Path(spec.adapter_path)) if spec.adapter_path else None
    role = "classification" if head is not None else encoders.role(config, path)
    if role == "embedding":
        raise UserError(
            f"{spec.model!r} gives neither labels nor text: it fills in words or makes vectors, and nothing was "
            "measured. What can be measured: classifiers, on a column of labels, and models that write, on texts or "
            "on questions with answers. Fine-tune it on labels first (training.finetune)"
        )
    if role == "classification" and spec.label is None:
        raise UserError(f"{spec.model!r} gives labels and {spec.data!r} has no column of labels; nothing was measured")
    if role == "classification" and config.problem_type in ("regression", "multi_label_classification"):
        kind = "an amount" if config.problem_type == "regression" else "several labels at once"
        raise UserError(f"{spec.model!r} gives {kind} for a text, and is not measured by one label; nothing was")
    if role == "causal" and quantized.described(config) is not None:
        raise UserError(
            f"{spec.model!r} is quantized, which is not measured on data; nothing was. Measure the model that it was "
            "made from; what the fewer bits cost was measured when they were made"
        )
    return role == "classification", config


def _chosen(spec: RunSpec, count: int) -> list[int]:
    said: Any = spec.limit.get("rows")
    rows = list(range(count)) if said is None else sorted({int(row) for row in said})
    if not rows or rows[0] < 0 or rows[-1] >= count:
        what = f"has {count} rows and row {rows[-1]} was to be asked" if rows else "has no rows to be asked"
        raise UserError(f"{spec.data!r} {what}; nothing was measured")
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
