"""Processes, the hungriest first."""

from __future__ import annotations

import time

import psutil

from agentos.resources.cpu import SAMPLE
from agentos.types import Process


def read(top: int) -> list[Process]:
    """The `top` processes by memory, then by processor use over a fifth of a second; takes that long.

    One that ends meanwhile is left out; what another user's process keeps to itself is None.
    """
    running: list[psutil.Process] = []
    for pid in psutil.pids():
        try:
            process = psutil.Process(pid)
            _cpu(process)
        except psutil.NoSuchProcess:
            continue
        running.append(process)
    time.sleep(SAMPLE)
    found = [seen for process in running if (seen := _look(process)) is not None]
    return sorted(found, key=lambda each: (-(each.memory or 0), -(each.cpu or 0.0), each.pid))[:top]


def _look(process: psutil.Process) -> Process | None:
    try:
        with process.oneshot():
            cpu = _cpu(process)
            name = process.name()
            try:
                memory: int | None = process.memory_info().rss
            except psutil.AccessDenied:
                memory = None
            try:
                user = process.username()
            except (psutil.AccessDenied, KeyError, OSError):
                user = ""
            return Process(process.pid, name, user, cpu, memory)
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return Process(process.pid, "", "", None, None)


def _cpu(process: psutil.Process) -> float | None:
    try:
        return float(process.cpu_percent(interval=None))
    except psutil.AccessDenied:
        return None
