"""What the job syscalls take and give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from agentos.types.units import Bytes, Count, Percent, Seconds, Timestamp

Priority = Literal["low", "normal", "high"]
JobState = Literal["waiting", "queued", "running", "succeeded", "failed", "cancelled"]
"""`waiting`: for another job, a time, or before another try; `queued`: for room."""


@dataclass(frozen=True)
class JobRequest:
    """A job as a person asks for it; texts are read when it is submitted."""

    command: str
    """For `/bin/sh -c`."""
    name: str | None = None
    cpus: int = 1
    gpus: int = 0
    memory: str | None = None
    """A size such as `4GiB`, enforced; None: unlimited."""
    priority: Priority = "normal"
    after: tuple[str, ...] = ()
    """Jobs that must succeed first."""
    at: str | None = None
    """Not before that time, in words or ISO 8601."""
    retries: int = 0
    time_limit: str | None = None
    """A duration; the job is ended after it."""
    folder: str | None = None
    """Where it runs; the caller's own folder where None."""
    env: tuple[str, ...] = ()
    """`NAME=value`, beside a clean environment."""
    secrets: tuple[str, ...] = ()
    """Names of stored secrets that become variables of its environment."""
    preemptible: bool = False
    """It may be set aside for another job, and run again from a checkpoint of its own."""


@dataclass(frozen=True)
class JobRow:
    """One job in a listing."""

    id: str
    name: str
    state: JobState
    user: str
    priority: Priority
    cpus: Count
    gpus: Count
    submitted: Timestamp
    runtime: Seconds | None = None
    """Of its last attempt, so far or in all."""
    progress: Percent | None = None
    """As far as the job itself says."""
    reason: str = ""
    """What it waits for, or why it ended as it did."""


@dataclass(frozen=True)
class JobList:
    """Jobs, newest first."""

    jobs: list[JobRow]
    total: Count
    """How many there are in that state; the newest are shown."""


@dataclass(frozen=True)
class AttemptRow:
    """One run of a job's command; what is recorded of it never changes."""

    attempt: Count
    node: str
    outcome: str
    """`running`, `exited`, `signal`, `timeout`, `memory`, `cancelled`, `lost`, `unstartable`,
    `preempted` (set aside for another job)."""
    started: Timestamp | None
    runtime: Seconds | None
    exit_code: int | None = None
    signal: str = ""
    peak_memory: Bytes | None = None
    """Of all its processes together."""
    gpus: tuple[int, ...] = ()
    detail: str = ""


@dataclass(frozen=True)
class JobCard:
    """All that is known of one job."""

    job: str
    name: str
    state: JobState
    reason: str
    user: str
    command: str
    folder: str
    priority: Priority
    cpus: Count
    gpus: Count
    memory: Bytes | None
    submitted: Timestamp
    at: Timestamp | None = None
    after: tuple[str, ...] = ()
    retries: Count = 0
    time_limit: Seconds | None = None
    secrets: tuple[str, ...] = ()
    started: Timestamp | None = None
    ended: Timestamp | None = None
    exit_code: int | None = None
    peak_memory: Bytes | None = None
    pid: int | None = None
    """Of the command while it runs."""
    progress: Percent | None = None
    expected: Seconds | None = None
    """How long it is thought to run, from jobs like it before."""
    attempts: list[AttemptRow] = field(default_factory=list)


@dataclass(frozen=True)
class JobLog:
    """The end of a job's output."""

    job: str
    state: JobState
    text: str
    """Its last lines; bytes that are no text are shown as such."""
    size: Bytes = 0
    """Of all the output that is kept."""
    lost: Bytes = 0
    """Output that found no room on the disk, or was rotated away."""


@dataclass(frozen=True)
class JobSubmitted:
    """A job that is on disk: it runs, whatever happens to the system."""

    job: str
    name: str
    state: JobState
    reason: str = ""
    """What it waits for."""


@dataclass(frozen=True)
class JobCancelled:
    """A job that has ended, or ends now, because a person said so."""

    job: str
    name: str
    state: JobState
