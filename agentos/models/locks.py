"""A lock between processes, held by an open file and given back when its holder dies."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO


@asynccontextmanager
async def held(path: Path, waiting: Callable[[], Awaitable[None]], pause: float = 0.5) -> AsyncIterator[None]:
    """Holds the lock at `path`; `waiting` is told once where another process has it."""
    stream = _open(path)
    told = False
    try:
        while not _take(stream):
            if not told:
                await waiting()
                told = True
            await asyncio.sleep(pause)
        yield
    finally:
        stream.close()


def _open(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


def _take(stream: BinaryIO) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
