"""How long the attempts of a node may run on without word from their cluster: a time in a file, which is put off.

Shims import this: a few cheap modules of the standard library, and no more.
"""

from __future__ import annotations

import os
import time

from agentos.jobs.identity import content


def clock() -> float:
    """Seconds that pass while the machine sleeps, too, and the same in all its processes."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def extend(file: str, until: float) -> None:
    """Lets attempts run until then, by `clock`. OSError: it cannot be written."""
    # In place: a disk that is full must not end every job of the node.
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(fd, f"{until:24.6f}\n".encode(), 0)
    finally:
        os.close(fd)


def left(file: str) -> float:
    """Seconds that attempts may run on; none where the file is gone."""
    try:
        return float(content(file)) - clock()
    except (OSError, ValueError):
        return 0.0
