"""Manifests and jobs from what a person asked for. Imports no torch."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentos.errors import AgentosError, UserError
from agentos.training.spec import HELD, RunSpec, read
from agentos.types import AdapterRequest, Base, DataFile, FinetuneRequest, JobRequest, PretrainRequest, SearchRequest

_VERSIONS = ("llm-agentos", "torch", "transformers", "peft", "tokenizers", "numpy")
_BLOCKS = 8
"""Blocks of text that an update of a new model is made of: a small corpus is worth more in many updates than in few."""
MOST_TRIALS = 1000
_RETRIES = 3
"""A run that is killed goes on from its last checkpoint; so often."""


def versions() -> dict[str, str]:
    """What a run's outcome depends on besides its manifest."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def name_for(base: str, data: str) -> str:
    """What a model is called that nobody named."""
    short = base.rpartition("/")[2]
    said = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{short}-{data}").strip("-.")
    return (said or short)[:100].rstrip("-.")


def finetune(request: FinetuneRequest, data: DataFile, base: Base, common: dict[str, Any]) -> RunSpec:
    """The manifest of a fine-tuning.

    Raises:
        UserError: the data are no text, or the task needs a column that they lack.
    """
    _texts(data)
    task = request.task
    if task == "auto":
        task = "text-classification" if data.label else "causal-lm"
    if task == "causal-lm" and base.kind not in ("causal", "adapter"):
        raise UserError(
            f"{base.name!r} is a model of the kind {base.kind!r} and writes no text, and {data.name!r} "
            + ("has no column of labels" if data.label is None else "is to be learned as text")
            + "; nothing was begun. Add labels, or name a causal model"
        )
    return RunSpec(
        run="", kind="finetune", model="", data=data.name, data_path=str(data.path), data_hash=data.sha256,
        text=data.text, label=data.label if task == "text-classification" else None,
        labels=data.labels if task == "text-classification" else (), base=base.name, base_path=str(base.path),
        base_hash=base.sha256, adapter_path=base.adapter, task=task, method=request.method, epochs=request.epochs,
        learning_rate=request.learning_rate, seed=request.seed, rows=request.rows, length=request.length,
        rank=request.rank, balanced=request.balanced, patience=request.patience, **common,
    )


def adapter(data: DataFile, base: Base, how: AdapterRequest, common: dict[str, Any]) -> RunSpec:
    """The manifest of a run that makes an adapter over rows of (what is shown, what follows, the answer).

    Raises:
        UserError: the base writes no text.
    """
    if base.kind != "causal":
        raise UserError(f"{base.name!r} is a model of the kind {base.kind!r} and cannot be a kernel; nothing was begun")
    return RunSpec(
        run="", kind="finetune", model=how.output, data=data.name, data_path=str(data.path), data_hash=data.sha256,
        text=data.text, shared=True, base=base.name, base_path=str(base.path), base_hash=base.sha256,
        task="causal-lm", method="lora", epochs=how.epochs, learning_rate=how.learning_rate, seed=how.seed, rows=8,
        length=512, rank=how.rank, above=how.above, patience=0, evaluations=3, tokens=640, held_path=str(how.held),
        held_out=0.0, adapter_path="" if how.adapter is None else str(how.adapter), **common,
    )


def pretrain(request: PretrainRequest, data: DataFile, common: dict[str, Any]) -> RunSpec:
    """The manifest of a pretraining.

    Raises:
        UserError: the data are no text.
    """
    _texts(data)
    return RunSpec(
        run="", kind="pretrain", model="", data=data.name, data_path=str(data.path), data_hash=data.sha256,
        text=data.text, task=request.objective, method="full", scale=request.size, epochs=request.epochs,
        seed=request.seed, patience=0, held_out=0.05, rows=_BLOCKS, **common,
    )


def search(
    request: SearchRequest, data: DataFile, base: Base, common: dict[str, Any], side: int
) -> RunSpec:
    """The manifest of a search: what its trials have in common.

    Raises:
        UserError: as of a fine-tuning, or it asks for no trials or too many.
    """
    if not 1 <= request.trials <= MOST_TRIALS:
        raise UserError(f"{request.trials} trials cannot be made; ask for 1 to {MOST_TRIALS:,}. Nothing was begun")
    asked = FinetuneRequest(request.model, request.dataset, epochs=request.epochs, seed=request.seed)
    made = finetune(asked, data, base, common)
    return replace(made, kind="search", limit={"trials": request.trials, "side": min(side, request.trials)})


def evaluate(data: DataFile, base: Base, common: dict[str, Any], held: list[int] | None) -> RunSpec:
    """The manifest of a measurement: of all rows, or of those that the model has not learned from."""
    _texts(data)
    classifies = base.kind == "classification" or (base.kind == "adapter" and data.label is not None)
    return RunSpec(
        run="", kind="evaluate", model=base.name, data=data.name, data_path=str(data.path), data_hash=data.sha256,
        text=data.text, label=data.label if classifies else None, labels=data.labels if classifies else (),
        base=base.name, base_path=str(base.path), base_hash=base.sha256, adapter_path=base.adapter,
        task="text-classification" if classifies else "causal-lm", held_out=0.0,
        limit={} if held is None else {"rows": [*held]}, **common,
    )


def held_rows(folder: Path, data: DataFile) -> list[int] | None:
    """The rows of a data set that the run in a folder held out; None where it learned from other data."""
    try:
        spec = read(folder)
        if spec.data_hash != data.sha256 or spec.held_path:
            return None
        import pyarrow.parquet as pq  # type: ignore[import-untyped]

        return [int(row) for row in pq.read_table(folder / HELD, columns=["row"])["row"].to_pylist()]
    except (AgentosError, OSError):
        return None


def own_data(spec: RunSpec, folder: Path) -> Path:
    """The data within the run's own folder, so that it lasts as long as the run: linked, or copied across disks."""
    there = folder / "data.parquet"
    try:
        os.link(spec.data_path, there)
    except OSError:
        shutil.copyfile(spec.data_path, there)
    return there


def job(spec: RunSpec, folder: Path, *, cpus: int, gpus: int) -> JobRequest:
    """The job that a run is."""
    module = {"evaluate": "evaluate", "search": "study"}.get(spec.kind, "worker")
    return JobRequest(
        shlex.join([sys.executable, "-m", f"agentos.training.{module}", str(folder)]),
        name=f"{spec.kind}-{spec.run}", cpus=cpus, gpus=min(gpus, spec.processes), retries=_RETRIES,
        folder=str(folder), preemptible=spec.kind in ("finetune", "pretrain"),
    )


def _texts(data: DataFile) -> None:
    if data.medium != "text":
        raise UserError(
            f"{data.name!r} holds {data.medium} files and no text; nothing was begun. Turn them into text first"
        )
    if not data.text:
        raise UserError(f"{data.name!r} has no column of text; nothing was begun")
