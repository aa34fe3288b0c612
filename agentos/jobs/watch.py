"""Learning of the end of processes that need not be our children, as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable

from agentos.jobs.identity import starttime

_PERIOD = 0.2
"""Seconds between two looks at those that the system does not tell us about."""


class Watch:
    """Tells the end of processes: by pidfd on Linux, by kqueue on macOS, and by looking where there is neither."""

    def __init__(self, gone: Callable[[str], None]) -> None:
        """`gone(name)` is called once for each, from the event loop."""
        self._gone = gone
        self._fds: dict[str, int] = {}
        self._looked: dict[str, tuple[int, int]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, name: str, pid: int, start: int) -> None:
        """Watches the process of that number and start time; one that is gone already is told at once."""
        loop = asyncio.get_running_loop()
        fd = _open(pid)
        if starttime(pid) != start:
            if fd is not None:
                os.close(fd)
            loop.call_soon(self._gone, name)
        elif fd is not None:
            self._fds[name] = fd
            loop.add_reader(fd, self._readable, name)
        else:
            self._looked[name] = (pid, start)
            if self._timer is None:
                self._timer = loop.call_later(_PERIOD, self._look)

    def signal(self, name: str, pid: int, number: int) -> None:
        """A signal to one that is watched, and to no other process that came to bear its number."""
        fd = self._fds.get(name)
        with contextlib.suppress(ProcessLookupError):
            if fd is not None and sys.platform == "linux":
                signal.pidfd_send_signal(fd, number)
            elif fd is not None or name in self._looked:
                os.kill(pid, number)

    def close(self) -> None:
        """Watches no more."""
        loop = asyncio.get_running_loop()
        for fd in self._fds.values():
            loop.remove_reader(fd)
            os.close(fd)
        self._fds.clear()
        self._looked.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _readable(self, name: str) -> None:
        fd = self._fds.pop(name)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
        self._gone(name)

    def _look(self) -> None:
        self._timer = None
        for name, (pid, start) in list(self._looked.items()):
            if starttime(pid) != start:
                del self._looked[name]
                self._gone(name)
        if self._looked:
            self._timer = asyncio.get_running_loop().call_later(_PERIOD, self._look)


def _open(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None: this system has none, or no more of them."""
    if sys.platform == "linux":
        try:
            return os.pidfd_open(pid)
        except OSError:
            return None
    if sys.platform == "darwin":
        queue = select.kqueue()
        try:
            event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            queue.control([event], 0)
            return os.dup(queue.fileno())
        except OSError:
            return None
        finally:
            queue.close()
    return None
