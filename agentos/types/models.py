"""What syscalls on models give back: named, typed, with units."""

from __future__ import annotations

from dataclasses import dataclass, field

from agentos.types.calls import Json
from agentos.types.units import Bytes, Count, Seconds


@dataclass(frozen=True)
class Live:
    """A model in memory, or on its way there: what `agentos ps` shows."""

    state: str
    """`waiting` (for room), `loading`, `ready`, `busy`, `restarting` or `unloading`."""
    device: str
    memory: Bytes
    """What it holds now; while it loads, what is set aside for it."""
    gpu_memory: Bytes
    requests: Count
    """Being answered now."""
    waiting: Count
    """Callers that wait for it to be loaded."""
    served: Count
    """Requests answered since it was loaded."""
    tokens: Count
    """Written since it was loaded."""
    tokens_per_second: float
    """Over the last seconds; 0 while nobody asks."""
    keep_alive: str
    expires_in: Seconds | None
    """None: it stays, or is in use."""
    replicas: Count = 1
    healthy: Count = 1
    restarts: Count = 0
    pid: Count | None = None
    done: float | None = None
    """How far its load is, from 0 to 1, where that is known."""
    cost: float = 0.0
    """US dollars paid to its provider since it was loaded."""


@dataclass(frozen=True)
class ModelRow:
    """One model in a listing."""

    model: str
    state: str
    """`loaded`, `stored` (on disk) or `catalog` (can be pulled)."""
    parameters: Count
    size: Bytes
    """Of the download while in the catalog, on disk once stored, in memory once loaded."""
    licence: str
    engine: str = ""
    kernel: bool = False
    live: Live | None = None
    """Only while it is in memory, or on its way there."""


@dataclass(frozen=True)
class Quota:
    """What models may take of one kind of memory."""

    kind: str
    """`memory`, or `gpu 0` and so on."""
    budget: Bytes
    used: Bytes
    """By models that are loaded or loading, as set aside."""


@dataclass(frozen=True)
class ModelList:
    """Models, loaded ones first."""

    models: list[ModelRow]
    budgets: list[Quota] = field(default_factory=list)


@dataclass(frozen=True)
class ModelCard:
    """All that is known of one model."""

    model: str
    state: str
    description: str
    licence: str
    kind: str
    """`causal`, `embedding`, `classification` or `adapter`."""
    parameters: Count
    context: Count
    """Longest input, in tokens."""
    download: Bytes
    sha256: str
    sources: list[str]
    on_disk: Bytes | None = None
    needs: Bytes | None = None
    """Memory it is expected to take when loaded."""
    needs_measured: bool = False
    """Whether that was measured when it was last loaded here, and not estimated from its files."""
    base: str = ""
    """The model that an adapter or a quantized model was made from."""
    quantized: Json = None
    """Bits, method, and what was measured before and after, of a quantized model."""
    trained: Json = None
    """Of a model that was made here: its run, data, method, and how good it was on what it had not seen."""
    signed: str = ""
    """Whether its files are what this machine signed: `yes`, `no`, or `unverified`, which a load makes sure of."""
    loaded: Json = None
    """Engine, device, dtype, memory, pid and expiry while it is in memory."""


@dataclass(frozen=True)
class Pulled:
    """A model that is now on disk."""

    model: str
    path: str
    size: Bytes
    sha256: str
    source: str
    seconds: Seconds
    fetched: bool
    """False where it was there already."""


@dataclass(frozen=True)
class LoadedReport:
    """A model that is now in memory."""

    model: str
    engine: str
    device: str
    dtype: str
    memory: Bytes
    seconds: Seconds
    keep_alive: str
    reason: str = ""
    """Why this engine and device."""


@dataclass(frozen=True)
class Unloaded:
    """A model that has left memory."""

    model: str
    freed: Bytes


@dataclass(frozen=True)
class Text:
    """A model's words."""

    text: str
    model: str
    tokens: Count
    seconds: Seconds
    cost: float | None = None
    """US dollars, where a provider has a price."""
    finish_reason: str = "stop"
    """`stop`, `length`, or `content_filter` where a rule over replies put another text in the answer's place."""
    review: str = ""
    """The id under which the answer waits for review, where it does."""


@dataclass(frozen=True)
class Answer(Text):
    """A model's words, with what they took of it."""

    prompt_tokens: Count = 0
    cached_tokens: Count = 0
    """Prompt tokens whose key-value state was reused."""


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one text: a label and the score of each, or a vector."""

    label: str | None = None
    score: float | None = None
    """Probability of that label; of a model that estimates one number, that number."""
    scores: dict[str, float] = field(default_factory=dict)
    vector: list[float] | None = None


@dataclass(frozen=True)
class Predictions:
    """One prediction for each text, in order."""

    model: str
    predictions: list[Prediction]
    tokens: Count
    seconds: Seconds
    truncated: Count = 0
    """Texts that were longer than the model can read; their ends were cut off."""


@dataclass(frozen=True)
class Measured:
    """A model as it was measured on this machine."""

    size: Bytes
    """Of its weights on disk."""
    memory: Bytes
    """Of its loaded engine."""
    tokens_per_second: float
    perplexity: float
    """On the sample of text that ships with agentos; lower is better, and only figures of one sample compare."""


@dataclass(frozen=True)
class Quantized:
    """A stored model in fewer bits."""

    model: str
    """Its new name."""
    base: str
    bits: Count
    method: str
    before: Measured
    after: Measured
    path: str
    seconds: Seconds
