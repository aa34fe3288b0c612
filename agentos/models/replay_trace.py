"""Traces of requests for models: read from a file, or made."""

from __future__ import annotations

import csv
import hashlib
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agentos.errors import UserError

COLUMNS = {
    "time": ("time", "timestamp", "gmt_create"),
    "model": ("model", "model_id", "checkpoint_model_version_id"),
    "size": ("size", "bytes"),
    "seconds": ("seconds", "exec_time_seconds", "duration"),
}
"""What a header may call each column; only time and model must be there."""
KINDS = ((35, 2_130_000_000), (15, 4_270_000_000), (35, 6_940_000_000), (10, 11_900_000_000), (5, 23_800_000_000))
"""Per cent of models and bytes, for a trace that gives no sizes: what an image service holds. Stable Diffusion 1.5 in
half and in single precision, SDXL in half, Flux in 8 bits and in 16."""
EQUAL = 4_000_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a trace."""

    time: float
    """Seconds since whatever the trace counts from."""
    model: str
    seconds: float = 0.0
    """How long answering it keeps the model in use."""


@dataclass(frozen=True)
class Trace:
    """Requests by time, and what their models are."""

    requests: tuple[Request, ...]
    sizes: Mapping[str, int]
    notes: tuple[str, ...] = ()


def read_trace(path: Path, seed: str = "", equal: bool = False) -> Trace:
    """The requests of a CSV file with a header; rows without a model are left out, and noted.

    Args:
        path: The file. Times are seconds or ISO 8601.
        seed: Deals sizes out differently, where the file gives none.
        equal: All models have the same size.

    Raises:
        UserError: no such file, or a row that cannot be read; it names the line.
    """
    requests: list[Request] = []
    sizes: dict[str, int] = {}
    left = 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            at = _columns(path, reader.fieldnames or ())
            for row in reader:
                name = (row[at["model"]] or "").strip()
                if not name:
                    left += 1
                    continue
                try:
                    seconds = float(row[at["seconds"]] or 0) if "seconds" in at else 0.0
                    requests.append(Request(_time(row[at["time"]] or ""), name, max(0.0, seconds)))
                    if "size" in at:
                        sizes[name] = max(sizes.get(name, 1), int(float(row[at["size"]])))
                except (TypeError, ValueError) as error:
                    raise UserError(
                        f"{path}, line {reader.line_num}: {error}; nothing was replayed. A row is a time, a model, "
                        "and perhaps its size in bytes and the seconds it is in use."
                    ) from None
    except FileNotFoundError:
        raise UserError(f"there is no trace at {path}; nothing was replayed. Give the path of a CSV file.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a CSV file: {error}; nothing was replayed.") from error
    if not requests:
        raise UserError(f"{path} holds no requests; nothing was replayed. It needs a row per request.")
    requests.sort(key=lambda request: request.time)
    given = sizes or dealt((request.model for request in requests), seed, equal)
    notes = () if not left else (f"{left} rows name no model; they are left out",)
    return Trace(tuple(requests), given, notes)


def dealt(names: Iterable[str], seed: str = "", equal: bool = False) -> dict[str, int]:
    """A size in bytes for each model, by a hash of its name: the same on every machine and in every run."""
    found: dict[str, int] = {}
    for name in sorted(set(names)):
        share = int.from_bytes(hashlib.sha256(f"{seed}{name}".encode()).digest()[:8]) % 100
        kind = next(at for at in range(len(KINDS)) if share < sum(percent for percent, _ in KINDS[: at + 1]))
        found[name] = EQUAL if equal else KINDS[kind][1]
    return found


def synthetic(kind: str = "drift", count: int = 20_000, models: int = 80, seed: int = 1, equal: bool = False) -> Trace:
    """A made trace.

    `zipf`, `drift` (popularity changes hands), `bursts` (few at a time, then others),
    `scan` (a few popular ones and a walk through all) or `shift` (another tenth of the models every so often).
    """
    draw = random.Random(seed)
    ranks, weights = list(range(models)), [1 / (rank + 1) for rank in range(models)]
    active: list[int] = []
    names: list[int] = []
    for at in range(count):
        if kind in ("zipf", "drift"):
            if kind == "drift" and at % 100 == 99:
                one, other = draw.randrange(models), draw.randrange(models)
                ranks[one], ranks[other] = ranks[other], ranks[one]
            names.append(ranks[draw.choices(range(models), weights)[0]])
        elif kind == "bursts":
            if not active or draw.random() < 0.02:
                active = [*active, draw.randrange(models)][-6:]
            names.append(draw.choice(active))
        elif kind == "scan":
            names.append(at // 2 % models if at % 2 else draw.randrange(10))
        elif kind == "shift":
            names.append((draw.randrange(10) + 10 * (at // 2500)) % models)
        else:
            raise ValueError(f"{kind!r} is no kind of trace")
    requests = tuple(Request(30.0 * at, f"m{name:03}", 10.0) for at, name in enumerate(names))
    return Trace(requests, dealt([request.model for request in requests], equal=equal))


def _columns(path: Path, header: Sequence[str]) -> dict[str, str]:
    names = {name.strip().lower(): name for name in header}
    at = {what: next((names[name] for name in known if name in names), "") for what, known in COLUMNS.items()}
    missing = [what for what in ("time", "model") if not at[what]]
    if missing:
        raise UserError(
            f"{path}, line 1: the header {', '.join(header)!r} has no column {' or '.join(map(repr, missing))}; "
            "nothing was replayed. Name the columns time and model, and perhaps size (bytes) and seconds."
        )
    return {what: name for what, name in at.items() if name}


def _time(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no time")
    return number
