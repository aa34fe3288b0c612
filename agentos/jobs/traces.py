"""Traces of what a cluster was asked for: when each job came, how long it ran, on how many GPUs."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agentos.errors import UserError

COLUMNS = {
    "submitted": (
        "timestamp",
        "submitted",
        "submission",
        "submission_time",
        "submit_time",
        "submit",
        "arrival",
        "time",
    ),
    "seconds": ("duration", "seconds", "run_time", "runtime", "duration_seconds"),
    "gpus": ("num_gpus", "gpus", "gpu", "gpu_num", "gpu_count"),
    "user": ("user", "cluster", "vc", "tenant"),
}
"""What a header may call each column; the user's may be missing."""


@dataclass(frozen=True, slots=True)
class TraceJob:
    """One job of a trace."""

    submitted: float
    """Seconds since the epoch, or since whatever the trace counts from."""
    seconds: float
    gpus: int
    user: str = ""


def read_trace(path: Path, limit: int | None = None) -> list[TraceJob]:
    """The jobs of a trace by submission time; the first `limit` of them.

    A CSV with a header that names its columns (as the Philly trace has), or without one and then submission time,
    duration in seconds, GPUs. A time is seconds or ISO 8601; without a zone it is UTC.

    Raises:
        UserError: no such file, or a row that cannot be read; it names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(number, row) for number, row in _numbered(csv.reader(file)) if any(map(str.strip, row))]
    except FileNotFoundError:
        raise UserError(f"there is no trace at {path}; nothing was simulated. Give the path of a CSV file.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a CSV file: {error}; nothing was simulated.") from error
    if not rows:
        raise UserError(f"{path} is empty; nothing was simulated. It needs a row per job: {WANTED}.")
    places = _places(path, rows[0][1])
    jobs = [_job(path, number, row, places) for number, row in (rows if places is PLAIN else rows[1:])]
    if not jobs:
        raise UserError(f"{path} has a header and no jobs; nothing was simulated.")
    jobs.sort(key=lambda job: job.submitted)
    return jobs[:limit]


WANTED = "submission time, duration in seconds, GPUs"

PLAIN = {"submitted": 0, "seconds": 1, "gpus": 2}


def _numbered(reader: csv.reader) -> list[tuple[int, list[str]]]:  # type: ignore[valid-type]
    return [(reader.line_num, row) for row in reader]  # type: ignore[attr-defined]


def _places(path: Path, first: Sequence[str]) -> dict[str, int]:
    """Where the columns are: by the header, or as in a file without one."""
    names = [name.strip().lower() for name in first]
    found = {what: next((names.index(name) for name in known if name in names), -1) for what, known in COLUMNS.items()}
    missing = [what for what in PLAIN if found[what] < 0]
    if not missing:
        return {what: at for what, at in found.items() if at >= 0}
    if len(names) >= len(PLAIN) and _time(names[0]) is not None:
        return PLAIN
    asked = " or ".join(repr(COLUMNS[what][0]) for what in missing)
    raise UserError(
        f"{path}, line 1: the header {', '.join(names)!r} has no column {asked}; nothing was simulated. "
        f"Name the columns timestamp, duration, num_gpus, or leave the header out and give {WANTED}."
    )


def _job(path: Path, number: int, row: Sequence[str], places: dict[str, int]) -> TraceJob:
    def wrong(what: str) -> UserError:
        return UserError(f"{path}, line {number}: {what}; nothing was simulated. A row is {WANTED}.")

    if len(row) <= max(places.values()):
        raise wrong(f"it has {len(row)} columns and {max(places.values()) + 1} are needed")
    when, seconds, gpus = (row[places[what]].strip() for what in PLAIN)
    submitted = _time(when)
    if submitted is None:
        raise wrong(f"{when!r} is no time (seconds, or like 2017-10-09 07:01:55)")
    try:
        long = float(seconds)
    except ValueError:
        long = math.nan
    if not math.isfinite(long) or long < 0:
        raise wrong(f"{seconds!r} is no duration (seconds, 0 or more)")
    try:
        many = float(gpus)
    except ValueError:
        many = math.nan
    if not many.is_integer() or many < 0:
        raise wrong(f"{gpus!r} is no number of GPUs (a whole number, 0 or more)")
    return TraceJob(submitted, long, int(many), row[places["user"]].strip() if "user" in places else "")


def _time(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return number if math.isfinite(number) else None
