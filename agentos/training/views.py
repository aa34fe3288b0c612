"""Runs as listings, results and models' cards show them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from agentos.errors import AgentosError, Failed, UserError
from agentos.training import compare
from agentos.training.following import Follower
from agentos.training.metrics import metrics_of
from agentos.training.records import OPEN, Record
from agentos.training.spec import HELD, MODEL, RunSpec
from agentos.types import Estimate, Evaluated, Metrics, RunRow, Trained, Versus
from agentos.types.units import show_bytes, show_seconds

_MOST_COMPARED = 3
_KINDS = {
    "classification": "classification", "causal": "causal", "masked": "embedding", "denoising": "denoising",
    "adapter": "adapter",
}


def method(spec: RunSpec) -> str:
    """How a run learns, in a word or two."""
    if spec.kind == "pretrain":
        return f"{spec.task} {spec.scale}"
    if spec.kind == "search":
        return f"{spec.limit['trials']} trials"
    return "" if spec.kind == "evaluate" else spec.method


MAKING = ("finetune", "pretrain", "search")
"""Kinds of runs that end with a model in the store."""


def makes(record: Record, model: str) -> bool:
    """Whether a run made a model, or is about to."""
    making = record.kind in MAKING and record.model == model
    return making and record.state in ("queued", "running", "succeeded")


def made(record: Record, model: str) -> bool:
    """Whether a run made a model."""
    return makes(record, model) and record.state == "succeeded"


def foretold(thought: Estimate) -> str:
    """What a run is thought to take, in a sentence."""
    about = "from earlier runs here" if thought.learned else "a first guess"
    return (
        f"{thought.steps:,} updates over {thought.tokens:,} tokens: about {show_seconds(thought.seconds)} and "
        f"{show_bytes(thought.memory)} ({about})"
    )


def broken(record: Record, reason: str) -> dict[str, str]:
    """What is said of a run that came to no end."""
    return {
        "kind": "failed", "message": f"{record.run} did not come to its end: {reason}. "
        f"agentos call jobs.logs --job {record.job} has more; `training.again` begins anew",
    }


def ended_well(record: Record) -> Record:
    """The run, where it came to its end.

    Raises:
        UserError: it could not be done with these data or this model.
        Failed: it broke off, or a person cancelled it.
    """
    if record.state == "succeeded":
        return record
    said = record.summary.get("error") or {}
    message = str(said.get("message") or f"{record.run} did not come to its end")
    raise UserError(message) if said.get("kind") == "user" else Failed(message)


def row(record: Record, folder: Path, now: float) -> RunRow:
    """One line of a listing."""
    measured = record.summary.get("metrics") or {}
    loss, done = measured.get("loss"), None
    if record.state in OPEN:
        for event in Follower(folder).news():
            loss = event.get("loss", loss)
            measured = event.get("metric") or measured
            if event.get("steps"):
                done = event.get("step", 0) / event["steps"]
    name = next((item for item in ("accuracy", "macro_f1", "perplexity") if item in measured), "")
    best = f"{name.replace('_', ' ')} {measured[name]:.4g}" if name else ""
    seconds = record.summary.get("seconds") or (record.ended or now) - record.created
    return RunRow(
        record.run, record.kind, record.state, record.model, record.base, record.dataset, record.method, record.job,
        record.user, record.created, seconds, loss, best, done,
    )


def trained(record: Record, folder: Path) -> Trained:
    """What a run came to, or how it stands."""
    said = record.summary
    if record.state in OPEN or not said:
        return Trained(record.model, record.run, record.job, record.state)
    estimate = None
    with contextlib.suppress(TypeError):
        estimate = Estimate(**said["estimate"]) if said.get("estimate") else None
    notes = list(said.get("notes", ()))
    if estimate is not None and said.get("seconds"):
        notes.append(
            f"took {show_seconds(said['seconds'])} and {show_bytes(said.get('memory', 0))}; "
            f"{show_seconds(estimate.seconds)} and {show_bytes(estimate.memory)} had been thought"
        )
    return Trained(
        record.model, record.run, record.job, record.state, measured(said, folder), estimate, said.get("seconds"),
        said.get("memory"), notes=tuple(notes),
    )


def searched(said: dict[str, Any], best: Record) -> dict[str, Any]:
    """What a search came to: what the run that made its best trial once more did, and how it was found."""
    known = {key: value for key, value in best.summary.items() if key not in ("notes", "estimate", "predictions")}
    predictions = best.summary.get("predictions")
    return {
        **known, "notes": [*said.get("notes", ()), *best.summary.get("notes", ())], "search": said,
        "best_run": best.run, "predictions": f"../{best.run}/{predictions}" if predictions else "",
    }


def measured(said: dict[str, Any], folder: Path) -> Metrics | None:
    """The figures of a run's held-out rows, with their intervals; None where it had none."""
    file = folder / str(said.get("predictions") or HELD)
    if not said.get("predictions") or not file.is_file():
        return None
    seconds, note = float(said.get("seconds", 0.0)), "; ".join(said.get("measured_on", ()))
    return metrics_of(file, tuple(said.get("labels", ())), seconds=seconds, note=note)


def evaluated(record: Record, root: Path, earlier: list[Record]) -> Evaluated:
    """A measurement, held against the latest ones on the same rows."""
    said, folder = record.summary, root / record.run
    metrics = measured(said, folder)
    if metrics is None:
        raise Failed(f"{record.run} ended without a measurement; agentos call jobs.logs --job {record.job} has more")
    found: list[Versus] = []
    seen = {record.model}
    for other in earlier:
        if len(found) == _MOST_COMPARED:
            break
        same = other.state == "succeeded" and other.summary.get("held_hash") == said.get("held_hash")
        if not same or other.model in seen or not said.get("held_hash"):
            continue
        seen.add(other.model)
        with contextlib.suppress(AgentosError, OSError):
            versus = compare.versus(folder / HELD, root / other.run / HELD, f"{other.run} ({other.model})")
            if versus is not None:
                found.append(versus)
    return Evaluated(record.run, record.model, record.dataset, metrics, record.job, found)


def facts(spec: RunSpec, folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    """What is to be known of a model that a run made."""
    config: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        config = json.loads((folder / MODEL / "config.json").read_text("utf-8"))
    metrics = {name: round(value, 5) for name, value in (result.get("metrics") or {}).items()}
    how = f"{spec.base} fine-tuned by {spec.method}" if spec.base else f"trained from nothing as {spec.task}"
    return {
        "run": spec.run, "description": f"{how} on {spec.data}", "kind": _KINDS[str(result["model_kind"])],
        "base": spec.base, "parameters": int(result.get("parameters", 0)),
        "context": int(config.get("max_position_embeddings") or 512), "seconds": float(result.get("seconds", 0.0)),
        "data": spec.data, "data_hash": spec.data_hash, "method": spec.method, "epochs": spec.epochs,
        "seed": spec.seed, "held_out": int(result.get("held_out", 0)), "metrics": metrics,
        "labels": list(result.get("labels", ())),
    }

