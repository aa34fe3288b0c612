"""A view drawn over itself each second, in place."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable

from agentos.interfaces.show import moving

TICK = 1.0
"""Seconds between two looks."""


def redraw(frame: Callable[[int, int], tuple[list[str], bool]]) -> None:
    """Draws until the frame says that it is the last one, or until Ctrl-C; once, where nothing can be drawn over.

    Args:
        frame: Given the room in columns and lines; gives its lines, and whether more will come.
    """
    if not moving(sys.stdout):
        lines, _ = frame(shutil.get_terminal_size((80, 24)).columns - 1, 10_000)
        print("\n".join(lines))
        return
    drawn = 0
    try:
        while True:
            size = shutil.get_terminal_size((80, 24))
            lines, more = frame(size.columns - 1, size.lines - 1)
            lines = lines[: size.lines - 1]
            back = f"\x1b[{drawn}F" if drawn else ""
            sys.stdout.write(back + "".join(f"\x1b[K{line}\n" for line in lines) + "\x1b[J")
            sys.stdout.flush()
            drawn = len(lines)
            if not more:
                return
            time.sleep(TICK)
    except KeyboardInterrupt:
        sys.stdout.write("\r\x1b[K")  # the terminal has shown it as ^C
