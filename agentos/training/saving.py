"""The model that a run made, written so that transformers reads it; whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from safetensors.torch import load_file, save_file

from agentos.engines import prefixed
from agentos.engines.adapters import WEIGHTS
from agentos.training.building import LARGE, Built
from agentos.training.objectives import Measured
from agentos.training.spec import MODEL, RunSpec

ModelKind = Literal["classification", "causal", "masked", "denoising", "adapter"]
HELD = "held_out.parquet"
_KINDS: dict[str, ModelKind] = {
    "text-classification": "classification", "causal-lm": "causal", "masked-lm": "masked", "denoising": "denoising",
}


def save_model(built: Built, spec: RunSpec, folder: Path) -> ModelKind:
    """Writes a run's model into its folder and says what kind it is; `built` is used up."""
    final, temp = folder / MODEL, folder / f"{MODEL}.part"
    shutil.rmtree(temp, ignore_errors=True)
    temp.mkdir()
    built.reader.leave()
    kind = _write(built, spec, temp)
    built.tokenizer.save_pretrained(temp)
    for path in temp.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if final.exists():
        old = folder / f"{MODEL}.old"
        shutil.rmtree(old, ignore_errors=True)
        final.rename(old)
        temp.rename(final)
        shutil.rmtree(old, ignore_errors=True)
    else:
        temp.rename(final)
    return kind


def _write(built: Built, spec: RunSpec, folder: Path) -> ModelKind:
    method = built.method
    if method.name in ("prefix", "adapter"):
        built.model.set_attn_implementation("sdpa")
        prefixed.save(
            built.model, folder, kind=method.name, size=spec.rank, base=spec.base, trained=method.weights()
        )
        return "adapter"
    if method.name in ("lora", "adalora"):
        if built.parameters > LARGE or spec.shared:
            method.peft.save_pretrained(str(folder))
            if spec.shared:
                _halved(folder / WEIGHTS)
            if spec.task == "text-classification":
                built.model.config.save_pretrained(folder)
            return "adapter"
        merged = method.merged()
        _plain(merged).save_pretrained(folder)
        return _KINDS[spec.task]
    _plain(built.model).save_pretrained(folder)
    return _KINDS[spec.task]


def _halved(file: Path) -> None:
    """Writes an adapter's weights in fp16, which no answer turns on and half as many bytes hold."""
    temp = file.with_suffix(".half")
    save_file({name: weight.half().contiguous() for name, weight in load_file(str(file)).items()}, str(temp),
              metadata={"format": "pt"})
    temp.replace(file)


def _plain(model: Any) -> Any:
    """The model without marks that only its training left in it."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def save_held_out(told: Measured, folder: Path) -> str:
    """Writes what the model said of each row that was held out; gives the file's name."""
    temp = folder / f"{HELD}.part"
    pq.write_table(pa.table(told.columns), temp)
    temp.replace(folder / HELD)
    return HELD
