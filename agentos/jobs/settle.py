"""What became of an attempt, told from its folder alone, and made true where it was open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from agentos.errors import Failed
from agentos.jobs import placed, tree
from agentos.jobs.executor import Ended
from agentos.jobs.identity import Claim, mark, read_claim, void

_PATIENCE = 10.0
"""Seconds in which a shim must have written its claim."""


def held(folder: Path) -> bool:
    """Whether a shim has the attempt's lock, and so the attempt may run."""
    import fcntl  # not on Windows, where this module must still load

    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def recorded(attempt: str, folder: Path) -> Ended | None:
    """The result that the shim wrote; None: there is none."""
    try:
        return Ended(attempt=attempt, **json.loads((folder / "result.json").read_bytes()))
    except FileNotFoundError:
        return None


def fate(attempt: str, folder: Path) -> Claim | Ended | None:
    """The claim of a shim that lives, the result of one that has ended, or None: it died or never was, nor will be.

    Raises:
        Failed: that cannot be said now, for the folder cannot be written.
    """
    deadline = time.monotonic() + _PATIENCE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (there := placed.where(folder)) is not None and not (folder / "result.json").exists():
            raise Failed(
                f"attempt {attempt} was sent to node {there.name} of a cluster and may run there; nothing was changed."
                " Start the system with that cluster: `agentos serve --cluster ADDRESS`, or the setting 'cluster'."
            )
        while time.monotonic() < deadline:
            lives = held(folder)
            if not lives and (ended := recorded(attempt, folder)) is not None:
                return ended
            if lives and (claim := read_claim(str(folder))) is not None:
                return claim
            # From here on no shim can begin; one that claimed it between the two looks is seen by another.
            if void(str(folder)) or not (lives or held(folder)):
                return recorded(attempt, folder)
            time.sleep(0.002)
    except OSError as error:
        raise Failed(f"what became of attempt {attempt} cannot be made sure: {error}. Nothing was changed.") from error
    raise Failed(f"attempt {attempt} is being started and does not get on; it was left alone. Look at {folder}.")


async def sweep(folders: Mapping[str, Path]) -> None:
    """Kills all that dead shims of these attempts left, and returns when nothing of it lives."""
    marks: dict[str, Claim | None] = {}
    for folder in folders.values():
        claim = read_claim(str(folder))
        if claim is not None and claim.here:
            marks[mark(str(folder))] = claim
    quiet = 0
    pause = 0.005
    while marks and quiet < 2:
        found = await asyncio.to_thread(_kill, marks)
        # A process amid exec bears no mark for a moment, so one empty look is not enough.
        quiet = 0 if found else quiet + 1
        await asyncio.sleep(pause)
        pause = pause if quiet else min(1.0, pause * 1.5)


def _kill(marks: dict[str, Claim | None]) -> bool:
    found = {pid for pids in tree.leftovers(marks).values() for pid in pids}
    for pid in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return bool(found)


def lost(attempt: str, folder: Path) -> Ended:
    """The end of an attempt whose shim died, once it was swept."""
    now = time.time()
    claim = read_claim(str(folder))
    detail = "its shim was killed"
    if claim is None:
        detail = "it had not begun"
    elif not claim.here:
        detail = "the machine was started again"
    cancelled = (folder / "cancel").exists()
    return Ended(
        attempt, "cancelled" if cancelled else "lost", None, None, None,
        started=now if claim is None else claim.started, finished=now, detail="" if cancelled else detail,
    )
