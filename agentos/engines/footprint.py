"""How much memory a process holds, and holding it to a limit."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from pathlib import Path

from agentos.types import Bytes

EXHAUSTED = 77
"""Exit code of an engine that ran out of the memory it was given."""
_WORDS = ("not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory", "bad_alloc")
_MARGIN = 64 * 1024 * 1024
_MARGIN_OF_A_CORE = 16 * 1024 * 1024
"""Reserved and hardly touched: the stacks of threads that start later, the allocator's arenas."""


def held(pid: int) -> Bytes:
    """Bytes that a process holds, each page it shares counted once among its holders; 0 where it has ended.

    Where the system does not say how pages are shared: what is the process's alone, or else what is resident.
    """
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/smaps_rollup", "rb") as rollup:
        for line in rollup:
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    import psutil

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        with contextlib.suppress(psutil.AccessDenied):
            return int(process.memory_full_info().uss)
        return int(process.memory_info().rss)
    return 0


def fetched() -> int:
    """How often this process had to wait for a disk, or wrote to one, so far: grows while files come and go slowly."""
    if sys.platform == "win32":
        return 0
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_majflt + used.ru_inblock + used.ru_oublock


def restrict(limit: Bytes | None, mapped: Bytes = 0) -> None:
    """Holds this process to a limit, where the system can, and offers it first when memory runs out.

    What the process has reserved and not touched is no memory that it holds, and is allowed on top. Called again,
    it counts anew what that is.

    Args:
        limit: Most bytes it may hold.
        mapped: Bytes of files that it is about to map privately: the system counts them as if they were its own.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")
    if limit is None:
        return
    import resource

    status = Path("/proc/self/status").read_text("ascii").splitlines()
    sizes = {name: int(value.split()[0]) * 1024 for name, _, value in (line.partition(":") for line in status)
             if name in ("VmData", "RssAnon")}
    most = limit + sizes["VmData"] - sizes["RssAnon"] + mapped + _MARGIN + _MARGIN_OF_A_CORE * (os.cpu_count() or 1)
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def exhausted(error: BaseException) -> bool:
    """Whether an error says that memory ran out, or was raised because of one that does."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    told = isinstance(error, RuntimeError) or type(error).__name__ == "SafetensorError"
    if told and any(word in str(error).lower() for word in _WORDS):
        return True
    return error.__cause__ is not None and exhausted(error.__cause__)
