"""What the training syscalls take and give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agentos.types.units import Bytes, Count, Seconds, Timestamp

Objective = Literal["masked-lm", "causal-lm", "denoising"]
Task = Literal["auto", "text-classification", "causal-lm"]
Method = Literal["full", "lora", "adalora", "prefix", "adapter"]
Scale = Literal["tiny", "mini", "small"]
RunState = Literal["queued", "running", "succeeded", "failed", "cancelled"]


@dataclass(frozen=True)
class Base:
    """A stored model as a run takes it."""

    name: str
    kind: str
    """`causal`, `embedding`, `classification` or `adapter`."""
    path: Path
    """Of an adapter, where the model that it is laid over lies."""
    sha256: str
    """Over the hashes of all its weights."""
    parameters: int
    context: int
    adapter: str = ""
    """Where the adapter lies that is laid over it."""


@dataclass(frozen=True)
class PretrainRequest:
    """A model from nothing, as a person asks for it."""

    dataset: str
    objective: Objective = "masked-lm"
    output: str | None = None
    epochs: int = 1
    size: Scale = "mini"
    seed: int = 0
    background: bool = False
    """Whether the call ends once the job is on disk; otherwise it tells how the run does until that ends."""


@dataclass(frozen=True)
class FinetuneRequest:
    """A better model, as a person asks for it; what is None or 0 is chosen by method, model and machine."""

    model: str
    dataset: str
    task: Task = "auto"
    method: Method = "lora"
    epochs: int = 3
    learning_rate: float | None = None
    output: str | None = None
    rank: int = 16
    rows: int = 32
    """Rows of one update."""
    length: int = 0
    """Tokens of a row, at most."""
    seed: int = 0
    balanced: bool = False
    patience: int = 4
    processes: int = 1
    background: bool = False


@dataclass(frozen=True)
class AdapterRequest:
    """An adapter that acts behind what many rows share."""

    held: Path
    """A Parquet file of rows to measure on."""
    output: str
    """What the run calls what it makes."""
    epochs: int = 1
    learning_rate: float = 4e-4
    """For updates of eight rows, which they all have."""
    seed: int = 0
    rank: int = 16
    adapter: Path | None = None
    """One of the same layers, and of no higher rank, that is trained further; None begins with nothing."""
    above: int = 8
    """Layers, from the first on, that are left as they are."""


@dataclass(frozen=True)
class SearchRequest:
    """The best of several trials, as a person asks for it."""

    model: str
    dataset: str
    trials: int = 20
    output: str | None = None
    epochs: int = 3
    """Of each trial, at most."""
    seed: int = 0
    background: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a run is thought to take, said before it starts and held against what it took."""

    seconds: Seconds
    memory: Bytes
    steps: Count
    tokens: Count
    """Tokens that are no padding, over all epochs."""
    learned: bool = False
    """Whether runs of this machine went into it."""


@dataclass(frozen=True)
class Interval:
    """A figure and its 95% bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Metrics:
    """How good a model is on texts that it has not learned from."""

    rows: Count
    accuracy: Interval | None = None
    macro_f1: Interval | None = None
    calibration_error: float | None = None
    """Expected calibration error over 15 bins of equal width (Guo et al. 2017)."""
    labels: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    """Rows by their true label, columns by the predicted one."""
    loss: float | None = None
    """Mean negative log-likelihood, in nats: of the label, or of a token."""
    perplexity: Interval | None = None
    """e to the loss, of a model that writes text."""
    tokens: Count = 0
    seconds: Seconds = 0.0
    note: str = ""
    """Which rows were asked, where not all were."""


@dataclass(frozen=True)
class Trained:
    """A model that is being made, or was."""

    model: str
    run: str
    job: str
    state: RunState = "queued"
    metrics: Metrics | None = None
    """On the rows that were held out."""
    estimate: Estimate | None = None
    seconds: Seconds | None = None
    """What it took."""
    memory: Bytes | None = None
    """The most it took."""
    checked: tuple[str, ...] = ()
    """What was found when its data were looked at."""
    notes: tuple[str, ...] = ()
    """What happened on the way: a lower rate, a smaller batch, an early stop."""


@dataclass(frozen=True)
class Versus:
    """Whether a model is better than another one on the same rows."""

    other: str
    """The run it is compared with."""
    difference: Interval
    """Accuracy of this one less that of the other, or its loss, paired by rows."""
    p: float
    """Exact McNemar test for accuracies, a paired permutation test for losses."""
    verdict: str


@dataclass(frozen=True)
class Evaluated:
    """How good a model is on a data set."""

    run: str
    model: str
    dataset: str
    metrics: Metrics
    job: str = ""
    compared: list[Versus] = field(default_factory=list)
    """With earlier runs on the same rows."""


@dataclass(frozen=True)
class RunRow:
    """One run in a listing."""

    run: str
    kind: str
    """`pretrain`, `finetune`, `evaluate`, `search`, or `trial` of a search."""
    state: RunState
    model: str
    base: str
    dataset: str
    method: str
    job: str
    user: str
    started: Timestamp
    seconds: Seconds | None = None
    loss: float | None = None
    metric: str = ""
    """Its best figure, with its name."""
    done: float | None = None
    """How far it is, from 0 to 1."""


@dataclass(frozen=True)
class RunList:
    """Runs, newest first."""

    runs: list[RunRow]
    total: Count
