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
    adapter: str = ""
    """What its model was trained to plan with; empty where it plans as published."""


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
