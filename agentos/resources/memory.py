"""Main memory and swap."""

from __future__ import annotations

import psutil

from agentos.resources.limits import Limit, memory_limit
from agentos.types import Memory


def read() -> Memory:
    """Memory now; inside a container, what the container may still have."""
    return within(memory_limit())


def within(limit: Limit | None) -> Memory:
    """Memory now, under a container's limit where there is one."""
    memory = psutil.virtual_memory()
    try:
        swap = psutil.swap_memory()
        swap_total, swap_used = swap.total, swap.used
    except (OSError, RuntimeError):  # Windows without its performance counters, a locked-down /proc
        swap_total, swap_used = 0, 0
    total, available = int(memory.total), int(memory.available)
    used = total - available
    ceiling = total
    if limit is not None and limit.limit < total:
        ceiling, used = limit.limit, limit.used
        available = min(available, max(0, limit.limit - limit.used))
    return Memory(
        total=total,
        available=available,
        used=used,
        percent=round(100 * used / ceiling, 1),
        swap_total=int(swap_total),
        swap_used=int(swap_used),
        limit=ceiling if ceiling < total else None,
    )
