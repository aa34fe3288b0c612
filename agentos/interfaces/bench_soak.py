"""`agentos bench --only soak`: many users at once for a while, each of whom must get their own answer and no other.

Each user has a key, and asks again and again with a marker of its own that the upstream says again; every other answer
is streamed. Counted are answers that hold another's marker, errors other than a refusal for now (429), and how much
more memory the system's processes hold at the end than once all had asked.
"""

from __future__ import annotations

import os
import secrets
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from agentos.config import Settings
from agentos.interfaces.bench_gateway_doors import Asking, Door, ours, upstream

USERS = 50
SECONDS = 30.0
_MARK = "marker"
_EVERY = 1.0
"""Seconds between two looks at the memory."""
_SETTLING = 0.2
"""Share of the time after which memory counts: until then it is laid in."""


def measure(settings: Settings, seconds: float = 0.0) -> dict[str, Any]:
    """What came of it.

    Args:
        settings: Whose caches are used; the home is another.
        seconds: How long; `SECONDS` where 0.

    Raises:
        Failed: the system does not start.
    """
    seconds = seconds or SECONDS
    users = [f"user{number}" for number in range(USERS)]
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as kept:
        folder = Path(kept)
        with upstream() as before, ours(settings, folder, before, users) as (door, keys):
            return _soak(door, keys, seconds)


def _soak(door: Door, keys: list[str], seconds: float) -> dict[str, Any]:
    counts = {"answers": 0, "others": 0, "lost": 0, "busy": 0, "errors": 0}
    took: list[float] = []
    lock, over = threading.Lock(), threading.Event()

    def one(key: str) -> None:
        asking, number = Asking(door, key), 0
        mark = f"{_MARK}-{secrets.token_hex(8)}"
        while not over.is_set():
            said = f"{mark}-{number} and nothing else"
            try:
                answer = asking.ask(said, stream=bool(number % 2))
            except Exception:  # whatever it is, the answer did not come
                kind, spent = "errors", 0.0
                asking.close()
                asking = Asking(door, key)
            else:
                kind, spent = _kind(answer.status, answer.text, said, mark), answer.seconds
            number += 1
            with lock:
                counts[kind] += 1
                if kind == "answers":
                    took.append(spent)
        asking.close()

    threads = [threading.Thread(target=one, args=(key,), daemon=True) for key in keys]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    seen: list[tuple[float, int]] = []
    while (now := time.monotonic() - began) < seconds:
        seen.append((now, door.memory()))
        time.sleep(_EVERY)
    over.set()
    for thread in threads:
        thread.join(60)
    return {
        "users": len(keys), "seconds": seconds, "load": [round(load, 1) for load in os.getloadavg()], **counts,
        "median_ms": round(1000 * statistics.median(took), 1) if took else None, **_memory(seen, seconds),
    }


def _kind(status: int, text: str, said: str, mark: str) -> str:
    if status == 429:
        return "busy"
    if status != 200:
        return "errors"
    if text == said:
        return "answers"
    return "others" if _MARK in text.replace(mark, "") else "lost"


def _memory(seen: list[tuple[float, int]], seconds: float) -> dict[str, float]:
    """MiB held once it has settled and at the end, each the median of a fifth of the time."""
    part = [held for at, held in seen if _SETTLING * seconds <= at < 2 * _SETTLING * seconds] or [seen[0][1]]
    last = [held for at, held in seen if at >= (1 - _SETTLING) * seconds] or [seen[-1][1]]
    first, end = statistics.median(part) / 2**20, statistics.median(last) / 2**20
    return {"memory_mib": round(first, 1), "grown_mib": round(end - first, 1)}


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The part's lines of the table."""
    return [(
        f"{figures['users']} users for {figures['seconds']:g} s", f"{figures['others']} wrong answers",
        f"{figures['answers']} right, {figures['lost']} broken, {figures['errors']} errors, {figures['busy']} told to "
        f"come back; memory {figures['grown_mib']:+} MiB on {figures['memory_mib']}",
    )]
