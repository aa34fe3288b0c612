"""What syscalls give back: named, typed, with units, and rendered the same way everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from agentos.types.calls import Json
from agentos.types.units import Bytes, Count, Percent, Seconds, Timestamp


@dataclass(frozen=True)
class Cpu:
    """Processor use over the last sample."""

    model: str
    cores: Count
    """Logical cores this process may run on."""
    used: Percent
    load: tuple[float, ...] = ()
    """Runnable processes averaged over 1, 5 and 15 minutes; empty where the platform has none."""
    frequency_mhz: float | None = None


@dataclass(frozen=True)
class Memory:
    """Main memory and swap."""

    total: Bytes
    available: Bytes
    """What a new process can have without swapping, within the container's limit."""
    used: Bytes
    """By all processes; by the container's where it has a limit."""
    percent: Percent
    """Of the container's limit where there is one, else of the total."""
    swap_total: Bytes = 0
    swap_used: Bytes = 0
    limit: Bytes | None = None
    """A container's own limit, where there is one."""


@dataclass(frozen=True)
class Gpu:
    """One graphics processor."""

    index: Count
    name: str
    memory_total: Bytes | None
    """None, here and below: the processor does not tell."""
    memory_used: Bytes | None
    used: Percent | None
    temperature_c: float | None = None
    power_watts: float | None = None
    processes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Disk:
    """One mounted file system."""

    mount: str
    total: Bytes
    used: Bytes
    free: Bytes
    percent: Percent


@dataclass(frozen=True)
class Network:
    """One network interface; counters since the machine started."""

    interface: str
    up: bool
    sent: Bytes
    received: Bytes
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Process:
    """One process."""

    pid: Count
    name: str
    user: str
    cpu: Percent | None
    """Of one core, so that several threads can come to more than 100; None where the system keeps it to itself."""
    memory: Bytes | None
    """Resident."""


@dataclass(frozen=True)
class ResourceReport:
    """What the machine has and what is using it; only what was asked for is filled in."""

    cpu: Cpu | None = None
    memory: Memory | None = None
    gpus: list[Gpu] | None = None
    """Empty where the machine has none."""
    disks: list[Disk] | None = None
    networks: list[Network] | None = None
    processes: list[Process] | None = None


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
class Deleted:
    """Something that was deleted and can be brought back until `until`."""

    model: str
    freed: Bytes
    """Once the time to undo has passed."""
    undo: str
    """What to give `kernel.undo`."""
    until: Timestamp


@dataclass(frozen=True)
class Undone:
    """Something that was brought back."""

    kind: str
    name: str


@dataclass(frozen=True)
class Text:
    """A model's words."""

    text: str
    model: str
    tokens: Count
    seconds: Seconds
    cost: float | None = None
    """US dollars, where a provider has a price."""


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


@dataclass(frozen=True)
class Explanation:
    """What policy would say to a call, and the rule that says so."""

    syscall: str
    user: str
    role: str
    effect: str
    decision: str
    """`allow`, `confirm` or `deny`."""
    rule: str
    reason: str


@dataclass(frozen=True)
class AuditRow:
    """One decision and what became of it."""

    id: Count
    time: Timestamp
    user: str
    syscall: str
    decision: str
    rule: str
    outcome: str
    """`pending`, `confirmed` (a person said yes), `done`, `failed`, `cancelled`, `refused`, `interrupted`."""
    call: str
    door: str
    arguments: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class AuditRows:
    """Audit rows, newest first."""

    rows: list[AuditRow]
    total: Count
    """How many match; at most 50 are shown."""


@dataclass(frozen=True)
class KernelStatus:
    """The kernel and the system around it."""

    ready: bool
    model: str
    engine: str
    dtype: str
    memory: Bytes
    version: str
    pid: Count
    home: str
    uptime: Seconds
    syscalls: Count
    plans: Count
    """Sentences planned since the system started."""
    plan_ms: float | None = None
    """Median milliseconds from sentence to plan since the system started."""


@dataclass(frozen=True)
class HelpEntry:
    """One syscall in the help."""

    syscall: str
    effect: str
    does: str
    parameters: str
    example: str


@dataclass(frozen=True)
class Help:
    """What the system can do."""

    topic: str
    entries: list[HelpEntry]
