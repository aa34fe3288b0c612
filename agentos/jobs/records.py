"""What the database holds of a job: as it was asked for, as it stands, and each of its attempts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from agentos.errors import UserError
from agentos.jobs.executor import Reason
from agentos.sealing import Sealer, Unreadable
from agentos.types import Bytes, JobState, Json, Priority, Seconds, Timestamp

ENDED: tuple[JobState, ...] = ("succeeded", "failed", "cancelled")
LONGEST_COMMAND = 128 * 1024 - 1
"""Bytes; the kernel takes no longer argument."""
LONGEST_NAME = 200
_RUNNERS = re.compile(r"env|nohup|time|exec|sudo|(?:ba|z|da)?sh|python[\d.]*|uv|poetry|run|torchrun|accelerate|launch")
_WORD = re.compile(r"[^\s\"'();|&]+")
_ODD = re.compile(r"[^\w.+-]+")
_PRIORITIES = get_args(Priority)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Spec:
    """A job to be done."""

    command: str
    """For `/bin/sh -c`; of another kind than `command`, what people are shown."""
    user: str
    cwd: str = "/"
    name: str = ""
    """From the command where empty."""
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Names alone."""
    cpus: int = 1
    gpus: int = 0
    memory: Bytes | None = None
    priority: Priority = "normal"
    time_limit: Seconds | None = None
    retries: int = 0
    backoff: Seconds = 2.0
    """Before the first retry; twice as long before each further one."""
    kind: str = "command"
    """The part of the system that it is for (`training`), which finds its order in `payload`."""
    payload: Mapping[str, Json] = field(default_factory=dict)
    session: str = ""
    run: str = ""
    call: str | None = None
    """A user's same call never makes a second job; several jobs of one call have ids of their own (`c1.1`)."""
    after: tuple[str | int, ...] = ()
    """Jobs that must succeed first: ids, names, or the positions of others submitted with it."""
    not_before: Timestamp | None = None
    preemptible: bool = False
    """It may be ended with SIGTERM to make room, and run again: it goes on from a checkpoint of its own."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands."""

    id: str
    spec: Spec
    """With the name it goes by, and with `after` as ids."""
    state: JobState
    reason: str
    """Why it ended as it did, or is to be tried again; empty where there is nothing to say."""
    submitted: Timestamp
    ready: Timestamp | None
    """Since when it has waited for room alone; a lost attempt leaves it its place."""
    wake: Timestamp | None
    """When it becomes ready, where it waits for nothing but a time."""
    pending: int
    """Of how many jobs the success is still waited for."""
    attempts: int = 0
    failures: int = 0
    """Tries that failed, and so used up retries, since it was submitted or retried by hand."""
    losses: int = 0
    blame: str | None = None
    """The job for whose failure this one failed without having run."""
    cancelled_by: str | None = None
    """Who wants it to end, while it still runs too."""
    done: float | None = None
    total: float | None = None
    message: str = ""
    """Its progress as it says itself."""
    started: Timestamp | None = None
    ended: Timestamp | None = None
    """Of its last attempt."""
    attained: Seconds = 0.0
    """What it has run before it was set aside, which its checkpoint keeps."""

    @property
    def runtime(self) -> Seconds | None:
        """Of its last attempt, where that has ended."""
        return None if self.started is None or self.ended is None else max(0.0, self.ended - self.started)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a job; what is recorded of its end never changes."""

    job: str
    number: int
    node: str
    gpus: tuple[int, ...]
    owner: str
    """Which system looks after it."""
    until: Timestamp
    """Until when it does, unless it renews."""
    claimed: Timestamp
    outcome: Reason | None = None
    """None while it runs."""
    exit_code: int | None = None
    signal: int | None = None
    peak_memory: Bytes | None = None
    started: Timestamp | None = None
    finished: Timestamp | None = None
    detail: str = ""
    dropped: Bytes = 0

    @property
    def id(self) -> str:
        """`JOB.N`."""
        return f"{self.job}.{self.number}"


@dataclass(frozen=True, slots=True)
class Change:
    """What one step did to a job and to those that wait for it."""

    job: Job
    """As it stands now."""
    recorded: bool = True
    """False where the attempt's end was known already, and nothing was changed."""
    queued: tuple[Job, ...] = ()
    """Those that wait for room from now on, the job itself among them where it does."""
    failed: tuple[Job, ...] = ()
    """Those further down that can no longer run."""
    revived: tuple[Job, ...] = ()
    """Those further down that wait again."""


COLUMNS = (
    "id, command, name, cwd, env, secrets, cpus, gpus, memory, priority, time_limit, retries, backoff, user, kind,"
    " payload, session, run, call, after, not_before, state, reason, submitted, ready, wake, pending, attempts,"
    " failures, losses, blame, cancelled_by, done, total, message, started, ended, preemptible, attained"
)
GONE = "echo 'agentos: this command was sealed with a key that is gone' >&2; exit 1"
"""What is run in the place of a command that no key opens any more."""
ATTEMPT_COLUMNS = (
    "job, attempt, node, gpus, owner, until, claimed, outcome, exit_code, signal, peak_memory, started, finished,"
    " detail, dropped"
)


class Rows:
    """Jobs as rows. What a person wrote is sealed in them.

    That is done here and by no function of the database's: one in Python needs the interpreter's lock while the
    database holds its own, and another thread that waits for the database with that lock in hand never lets go.
    """

    def __init__(self, sealer: Sealer) -> None:
        """Seals and opens with it."""
        self._sealer = sealer

    def job(self, row: tuple[Any, ...]) -> Job:
        """The job in a row of `COLUMNS`.

        Raises:
            Failed: the key cannot be read.
        """
        (number, command, name, cwd, env, secrets, cpus, gpus, memory, priority, limit, retries, backoff, user, kind,
         payload, session, run, call, after, not_before, state, reason, submitted, ready, wake, pending, attempts,
         failures, losses, blame, cancelled_by, done, total, message, started, ended, preemptible, attained) = row
        spec = Spec(
            self._opened(command, number, GONE), user, cwd, name, _mapping(self._opened(env, number, "")),
            _list(secrets), cpus, gpus, memory, priority, limit, retries, backoff,
            kind, _mapping(payload), session, run, call, _list(after), not_before, bool(preemptible),
        )
        return Job(
            str(number), spec, state, reason, submitted, ready, wake, pending, attempts, failures, losses,
            None if blame is None else str(blame), cancelled_by, done, total, message, started, ended, attained,
        )

    def row(self, job: Job) -> tuple[object, ...]:
        """A row of `COLUMNS` for a job.

        Raises:
            Failed: the key is missing or cannot be read.
        """
        spec, sealed = job.spec, self._sealer.text
        env = _text(spec.env)
        return (
            int(job.id), sealed(spec.command, job.id), spec.name, spec.cwd, sealed(env, job.id) if env else "",
            _text(spec.secrets), spec.cpus, spec.gpus, spec.memory, spec.priority, spec.time_limit, spec.retries,
            spec.backoff, spec.user, spec.kind, _text(spec.payload), spec.session, spec.run, spec.call,
            _text(spec.after), spec.not_before, job.state, job.reason, job.submitted, job.ready, job.wake, job.pending,
            job.attempts, job.failures, job.losses, None if job.blame is None else int(job.blame), job.cancelled_by,
            job.done, job.total, job.message, job.started, job.ended, int(spec.preemptible), job.attained,
        )

    def _opened(self, kept: str, job: int, gone: str) -> str:
        try:
            return self._sealer.plain(kept, str(job))
        except Unreadable:
            return gone


def attempt_of(row: tuple[Any, ...]) -> Attempt:
    """The attempt in a row of `ATTEMPT_COLUMNS`."""
    job, number, node, gpus, *rest = row
    return Attempt(str(job), number, node, _list(gpus), *rest)


def _text(value: Mapping[str, Json] | Mapping[str, str] | tuple[str | int, ...]) -> str:
    if not value:
        return ""
    return json.dumps(value if isinstance(value, tuple) else dict(value), ensure_ascii=False)


def _mapping(text: str) -> dict[str, Any]:
    return json.loads(text) if text else {}


def _list(text: str) -> tuple[Any, ...]:
    return tuple(json.loads(text)) if text else ()


def name_for(command: str) -> str:
    """What to call a job that was given no name: its program, or the script or module that it runs."""
    for found in _WORD.finditer(command, 0, 1000):
        word = found[0]
        plain = word.rsplit("/", 1)[-1]
        if plain and word[0] not in "-#$" and "=" not in word and not _RUNNERS.fullmatch(plain):
            stem = _ODD.sub("-", plain.removesuffix(".py").removesuffix(".sh")).strip("-.")
            return "job" if not stem or stem.isdigit() else stem[:40]
    return "job"


def check(spec: Spec) -> None:
    """Nothing, where the job can be put on disk.

    Raises:
        UserError: it cannot; the message says what to change.
    """
    for right, why in _RULES:
        if not right(spec):
            said = why.format(spec=spec)
            raise UserError(f"the job {spec.name or spec.command[:60]!r} cannot be submitted: {said}. Nothing was.")


def _plain(text: str) -> bool:
    if "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def _positive(number: float | None) -> bool:
    return number is None or (math.isfinite(number) and number > 0)


def _texts(spec: Spec) -> bool:
    return _plain("".join((spec.command, spec.name, spec.cwd, spec.user, *spec.env, *spec.env.values())))


_RULES: tuple[tuple[Callable[[Spec], bool], str], ...] = (
    (_texts, "it has a null character, or is not valid text"),
    (lambda spec: bool(spec.command.strip()), "its command is empty"),
    (lambda spec: len(spec.command) * 4 <= LONGEST_COMMAND or len(spec.command.encode()) <= LONGEST_COMMAND,
     f"its command is longer than {LONGEST_COMMAND} bytes; put it into a script"),
    (lambda spec: len(spec.name) <= LONGEST_NAME and (not spec.name or spec.name.isprintable()),
     f"its name is longer than {LONGEST_NAME} characters or cannot be printed"),
    (lambda spec: not spec.name.isdigit(), "its name is a number, which would pass for a job's id"),
    (lambda spec: spec.name == spec.name.strip(), "its name begins or ends with a space"),
    (lambda spec: spec.cwd.startswith("/"), "its folder {spec.cwd!r} is not an absolute path"),
    (lambda spec: 0 <= spec.cpus <= 1_000_000, "it asks for {spec.cpus} CPUs"),
    (lambda spec: 0 <= spec.gpus <= 1_000_000, "it asks for {spec.gpus} GPUs"),
    (lambda spec: spec.memory is None or 0 < spec.memory < 2**62, "it asks for {spec.memory} bytes of memory"),
    (lambda spec: spec.priority in _PRIORITIES, "its priority {spec.priority!r} is not low, normal or high"),
    (lambda spec: _positive(spec.time_limit), "its time limit is {spec.time_limit} seconds"),
    (lambda spec: 0 <= spec.retries <= 1000, "it asks for {spec.retries} retries; the most is 1000"),
    (lambda spec: math.isfinite(spec.backoff) and spec.backoff >= 0, "its backoff is {spec.backoff} seconds"),
    (lambda spec: spec.not_before is None or math.isfinite(spec.not_before), "its time is not a number"),
    (lambda spec: not (spec.env or spec.secrets) or all(map(_VARIABLE.fullmatch, [*spec.env, *spec.secrets])),
     "a variable's name has other characters than letters, digits and _, or begins with a digit"),
    (lambda spec: not any(name in spec.env for name in spec.secrets),
     "a variable is given both in the clear and as a secret"),
)
