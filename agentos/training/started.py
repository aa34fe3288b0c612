"""A run's further processes: started by the first, ended with it."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agentos.training import building
from agentos.training.group import Group
from agentos.training.spec import RunSpec


@contextmanager
def processes(spec: RunSpec, folder: Path, rank: int, port: int) -> Iterator[Group]:
    """The process in its run's group; the first one starts the others and waits for their end."""
    if spec.processes == 1:
        yield Group()
        return
    place = building.device(rank, spec.processes)
    if rank > 0:
        _end_with_parent()
        group = Group(rank, spec.processes, port, place)
        try:
            yield group
        finally:
            group.close()
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    others = [
        subprocess.Popen(
            [sys.executable, "-m", "agentos.training.worker", str(folder), str(number), str(port)],
            stdout=subprocess.DEVNULL,
        )
        for number in range(1, spec.processes)
    ]
    try:
        group = Group(0, spec.processes, port, place)
        try:
            yield group
        finally:
            group.close()
        for other in others:
            other.wait(60)
    finally:
        for other in others:
            with suppress(OSError):
                other.kill()
            other.wait()


def _end_with_parent() -> None:
    """A process whose first one was killed would wait for it for half an hour."""
    parent = os.getppid()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)
