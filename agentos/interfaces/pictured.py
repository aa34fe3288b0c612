"""Results that people would rather look at than read: shares as bars, under the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agentos.interfaces.show import bar, clean, clip, width
from agentos.interfaces.words import Say

_CELLS = 30
_MOST = 12
_LEVELS = ((90.0, "31"), (70.0, "33"), (0.0, "32"))
"""From which share on what is taken is shown in which colour."""


def pictured(syscall: str, result: Any, room: int, say: Say, *, ascii_only: bool = False, colour: bool = False) -> str:
    """Bars of a result's shares, one a line, in at most so many columns; empty where it has none.

    Args:
        syscall: Which one gave the result.
        result: As its event has it.
        room: Columns.
        say: The words of the interface.
        ascii_only: Whether nothing but ASCII may be written.
        colour: Whether what is nearly used up is coloured.
    """
    if not isinstance(result, Mapping):
        return ""
    if syscall == "resources.query":
        rows, levels = list(_machine(result, say)), colour
    elif syscall == "datasets.show":
        rows, levels = [(str(row["label"]), 100.0 * row["share"]) for row in result.get("balance") or []], False
    else:
        return ""
    shown = [(clip(clean(label, lines=False), max(8, room // 3)), share) for label, share in rows[:_MOST]]
    wide = max((width(label) for label, _ in shown), default=0)
    cells = min(_CELLS, room - wide - 9)
    if cells < 4:
        return ""
    lines = []
    for label, share in shown:
        drawn = bar(share, cells, ascii_only)
        if levels:
            drawn = f"\x1b[{next(mark for least, mark in _LEVELS if share >= least)}m{drawn}\x1b[0m"
        lines.append(f"{label}{' ' * (wide - width(label))}  {drawn} {share:5.1f}%")
    if len(rows) > _MOST:
        lines.append(f"… {len(rows) - _MOST}" if not ascii_only else f"... {len(rows) - _MOST}")
    return "".join(f"{line}\n" for line in lines)


def _machine(result: Mapping[str, Any], say: Say) -> Iterator[tuple[str, float]]:
    if result.get("cpu"):
        yield say("top_cpu"), result["cpu"]["used"]
    if result.get("memory"):
        yield say("top_memory"), result["memory"]["percent"]
    for gpu in result.get("gpus") or []:
        if gpu["memory_total"] and gpu["memory_used"] is not None:
            yield f"GPU {gpu['index']}", 100.0 * gpu["memory_used"] / gpu["memory_total"]
    for disk in result.get("disks") or []:
        yield f"{say('top_disk')} {disk['mount']}", disk["percent"]
