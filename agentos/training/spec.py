"""What a run is: all that decides how it comes out, kept in its folder as `run.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from agentos.errors import Failed
from agentos.types import Json

MANIFEST = "run.json"
EVENTS = "events.jsonl"
RESULT = "result.json"
HELD = "held_out.parquet"
"""What the model said of each row that was held out."""
MODEL = "model"
"""The folder in a run's that holds the model it made, once it is whole."""

Kind = Literal["pretrain", "finetune", "evaluate", "search"]


@dataclass(frozen=True)
class RunSpec:
    """One run's manifest. The same manifest on the same machine comes to the same loss."""

    run: str
    kind: Kind
    model: str
    """The model that it makes or measures."""
    data: str
    """The data set's name."""
    data_path: str
    """Its Parquet file."""
    data_hash: str
    text: tuple[str, ...]
    shared: bool = False
    """Whether a row's first text is one that many rows begin with. It is read once, by the base alone, and no gradient
    goes through it: what trains acts on what follows (activated LoRA, Greenewald et al. 2025, arXiv:2504.12397)."""
    label: str | None = None
    labels: tuple[str, ...] = ()
    base: str = ""
    """The model it begins with; empty for one that begins with nothing."""
    base_path: str = ""
    base_hash: str = ""
    adapter_path: str = ""
    """An adapter that is laid into the base first; of rows that share a beginning, the one that is trained further."""
    task: Literal["text-classification", "causal-lm", "masked-lm", "denoising"] = "text-classification"
    method: Literal["full", "lora", "adalora", "prefix", "adapter"] = "lora"
    scale: Literal["tiny", "mini", "small"] = "mini"
    epochs: int = 3
    learning_rate: float | None = None
    """None: by method and task."""
    seed: int = 0
    held_out: float = 0.1
    """Share of the rows that is not learned from and that the model is measured on; 0 where `held_rows` says which."""
    held_path: str = ""
    """A Parquet file of rows to measure on, instead of a share."""
    tokens: int = 0
    """Tokens of a batch, at most; 0: as many as suit the machine."""
    rows: int = 32
    """Rows that one update is made of; batches are accumulated until it has them."""
    length: int = 0
    """Tokens of a row, at most; 0: what the model and the data suggest."""
    rank: int = 16
    above: int = 0
    """Layers, counted from the first, that LoRA leaves as they are: no gradient goes down to them."""
    warmup: float = 0.06
    """Share of the updates in which the rate rises."""
    decay: float = 0.01
    patience: int = 4
    """Evaluations without a better one after which it stops; 0: never."""
    evaluations: int = 2
    """Per epoch."""
    balanced: bool = False
    """Whether rare labels weigh more, so that all weigh the same together."""
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    processes: int = 1
    threads: int = 0
    """Of each process; 0: all cores."""
    trackers: tuple[str, ...] = ()
    """`wandb`, `mlflow`, beside TensorBoard's files."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of agentos, Python, torch, transformers, peft."""
    limit: dict[str, Json] = field(default_factory=dict)
    """Of an evaluation `rows`, of a search `trials` and how many `side` by side; `stop_after` (updates) in tests."""

    def save(self, folder: Path) -> None:
        """Writes it into a run's folder."""
        (folder / MANIFEST).write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), "utf-8")


def read(folder: Path) -> RunSpec:
    """The manifest of a run's folder.

    Raises:
        Failed: there is none, or it is another version's.
    """
    try:
        said: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        known = {item.name for item in fields(RunSpec)}
        if unknown := sorted(set(said) - known):
            raise ValueError(f"it has {unknown[0]!r}, which this version does not know")
        for name in ("text", "labels", "trackers"):
            said[name] = tuple(said.get(name, ()))
        return RunSpec(**said)
    except (OSError, ValueError, TypeError) as error:
        raise Failed(f"the manifest of run {folder.name!r} cannot be read: {error}") from error
