"""Jobs as people are shown them."""

from __future__ import annotations

import re
import signal

from agentos.jobs.executor import Started
from agentos.jobs.records import Attempt, Job
from agentos.types import AttemptRow, JobCard, JobRow, Percent, Seconds, Timestamp

_PERCENT = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d+)?)\s?%")
_PARTS = re.compile(r"(?<![\d./])(\d{1,9})/(\d{1,9})(?![\d./])")


def row(job: Job, now: Timestamp, progress: Percent | None = None) -> JobRow:
    """One line of a listing."""
    runtime = job.runtime
    if job.state == "running" and job.started is not None:
        runtime = max(0.0, now - job.started)
    return JobRow(
        job.id, job.spec.name, job.state, job.spec.user, job.spec.priority, job.spec.cpus, job.spec.gpus,
        job.submitted, runtime, progress, why(job, now),
    )


def why(job: Job, now: Timestamp) -> str:
    """What a job waits for, or why it ended as it did."""
    if job.state == "running":
        return f"{job.cancelled_by} wants it to end" if job.cancelled_by else job.message
    if job.state == "queued":
        return job.reason or "waits for room"
    if job.state != "waiting":
        return job.reason
    parts = [job.reason] if job.reason else []
    if job.pending:
        parts.append(f"waits for {_listed(job.spec.after)}" if job.spec.after else f"waits for {job.pending} jobs")
    elif job.wake is not None:
        parts.append(f"starts in {_span(job.wake - now)}")
    return "; ".join(parts)


def card(
    job: Job, attempts: list[Attempt], now: Timestamp, *, running: Started | None = None,
    progress: Percent | None = None, expected: Seconds | None = None,
) -> JobCard:
    """All that is known of a job."""
    spec, last = job.spec, attempts[-1] if attempts else None
    peaks = [attempt.peak_memory for attempt in attempts if attempt.peak_memory is not None]
    return JobCard(
        job.id, spec.name, job.state, why(job, now), spec.user, spec.command, spec.cwd, spec.priority, spec.cpus,
        spec.gpus, spec.memory, job.submitted, spec.not_before, tuple(str(name) for name in spec.after), spec.retries,
        spec.time_limit, spec.secrets, job.started, job.ended,
        last.exit_code if last else None, max(peaks) if peaks else None, running.pid if running else None,
        progress, expected if job.state in ("waiting", "queued", "running") else None,
        [_attempt(attempt, now) for attempt in attempts],
    )


def _attempt(attempt: Attempt, now: Timestamp) -> AttemptRow:
    started = attempt.started if attempt.started is not None else attempt.claimed
    finished = attempt.finished if attempt.outcome is not None else now
    return AttemptRow(
        attempt.number, attempt.node, attempt.outcome or "running", started,
        None if finished is None else max(0.0, finished - started), attempt.exit_code,
        "" if attempt.signal is None else signal_name(attempt.signal), attempt.peak_memory, attempt.gpus,
        attempt.detail,
    )


def signal_name(number: int) -> str:
    """`SIGKILL` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def said(text: str) -> Percent | None:
    """How far a job says that it is in the last line of its output that tells: `37%`, `step 120/400`."""
    for line in reversed(text.splitlines()):
        percents = [float(found) for found in _PERCENT.findall(line) if float(found) <= 100]
        if percents:
            return percents[-1]
        parts = [(int(done), int(total)) for done, total in _PARTS.findall(line)]
        shares = [100 * done / total for done, total in parts if total > 0 and done <= total]
        if shares:
            return shares[-1]
    return None


def _listed(jobs: tuple[str | int, ...]) -> str:
    return f"job{'s' if len(jobs) > 1 else ''} {', '.join(map(str, jobs))}"


def _span(seconds: Seconds) -> str:
    from agentos.types.units import show_seconds

    return show_seconds(max(0.0, seconds))
