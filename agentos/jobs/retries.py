"""What follows when an attempt has ended: success, failure, another try, and when. Pure."""

from __future__ import annotations

import hashlib
import signal
from dataclasses import dataclass

from agentos.jobs.executor import Ended
from agentos.types import JobState, Seconds
from agentos.types.units import show_bytes, show_seconds

LONGEST = 3600.0
"""Seconds; no wait between two tries is longer, jitter aside."""
MOST_LOST = 10
"""So often may a job be lost in a row: one that takes the system down each time must not run for ever."""


@dataclass(frozen=True)
class Verdict:
    """The job's next state and why."""

    state: JobState
    reason: str
    wait: Seconds | None
    """Until the next try, where the state is `waiting`."""
    failures: int
    """Tries that failed so far, this one included."""
    losses: int
    """Tries lost in a row, this one included."""


def verdict(
    ended: Ended, *, retries: int, failures: int, losses: int, backoff: Seconds, cancelled_by: str | None
) -> Verdict:
    """What becomes of a job whose attempt has ended.

    Every failure takes one of the retries, whatever its reason. A lost attempt is nobody's fault, nor is one that
    was set aside: it takes none, and the job is ready again at once; it may be lost up to `MOST_LOST` times in a
    row. A job that a person wants cancelled does not run again, unless it had succeeded before the wish reached it.
    """
    if ended.reason == "exited" and ended.exit_code == 0:
        return Verdict("succeeded", "", None, failures, 0)
    if cancelled_by is not None or ended.reason == "cancelled":
        return Verdict("cancelled", f"cancelled by {cancelled_by}" if cancelled_by else "cancelled", None, failures, 0)
    losses = losses + 1 if ended.reason == "lost" else 0
    if losses >= MOST_LOST:
        why = f"lost {losses} times in a row: each time the system, its node or its keeper died while it ran"
        return Verdict("failed", why, None, failures, losses)
    if ended.reason in ("lost", "preempted"):
        why = "its last attempt was lost" if losses else "set aside for another job"
        return Verdict("queued", why, None, failures, losses)
    said = describe(ended)
    if failures < retries:
        wait = delay(ended.attempt, failures + 1, backoff)
        return Verdict("waiting", f"tries again after a failure: {said}", wait, failures + 1, 0)
    return Verdict("failed", said, None, failures + 1, 0)


def describe(ended: Ended) -> str:
    """Why an attempt did not succeed, for a person."""
    peak = "" if ended.peak_memory is None else f" (it had {show_bytes(ended.peak_memory)})"
    said = {
        "exited": f"exit code {ended.exit_code}",
        "signal": f"ended by {signal_name(ended.signal)}",
        "timeout": f"ran into its time limit after {show_seconds(max(0.0, ended.finished - ended.started))}",
        "memory": f"ran out of memory{peak}",
        "cancelled": "cancelled",
        "preempted": "set aside",
        "lost": "lost",
        "unstartable": "could not start",
    }[ended.reason]
    return f"{said}: {ended.detail}" if ended.detail else said


def signal_name(number: int | None) -> str:
    """`SIGKILL` for 9; the number where the platform has no name for it."""
    try:
        return signal.Signals(number or 0).name
    except ValueError:
        return f"signal {number}"


def delay(attempt: str, failures: int, base: Seconds) -> Seconds:
    """How long to wait after so many failures: twice as long each time, give or take a quarter.

    The quarter depends on the attempt alone: many jobs that failed together do not come back together,
    and the same history gives the same times.
    """
    share = int.from_bytes(hashlib.blake2b(attempt.encode(), digest_size=8).digest()) / 2**64
    return float(min(base * 2.0 ** min(failures - 1, 60), LONGEST) * (0.75 + share / 2))
