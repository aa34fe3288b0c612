"""The processor."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import psutil

from agentos.resources.limits import cpu_quota
from agentos.types import Cpu

SAMPLE = 0.2
"""Seconds over which use is measured; a figure since the last call would be meaningless the first time."""


def read() -> Cpu:
    """The processor's use over a fifth of a second; takes that long."""
    mine = allowed()
    each = psutil.cpu_percent(interval=SAMPLE, percpu=True)
    seen = [each[number] for number in mine if number < len(each)] or each
    return Cpu(
        model=model(),
        cores=usable(len(mine) or len(each) or 1, cpu_quota()),
        used=round(sum(seen) / len(seen), 1) if seen else 0.0,
        load=load(),
        frequency_mhz=_frequency(),
    )


def usable(cores: int, quota: float | None) -> int:
    """Cores that a container's quota leaves of those it may run on; a part of one counts as one."""
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def allowed() -> list[int]:
    """The numbers of the logical cores this process may run on; empty where the platform does not say."""
    if sys.platform == "darwin":
        return []
    try:
        return psutil.Process().cpu_affinity() or []
    except (AttributeError, OSError, psutil.Error):
        return []


@lru_cache(maxsize=1)
def model() -> str:
    """The processor's name, as its maker calls it where the platform tells."""
    if sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:
                return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
        except OSError:
            return platform.processor()
    if sys.platform == "darwin":
        asked = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            said = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            said = ""
        return said or platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    parts = [line.partition(":") for line in reversed(lines)]
    named = {name.strip(): value.strip() for name, _, value in parts}
    return named.get("model name") or named.get("Model") or platform.processor() or platform.machine()


def load() -> tuple[float, ...]:
    """Runnable processes averaged over 1, 5 and 15 minutes; empty where the platform has none."""
    # psutil imitates it on Windows, and starts at 0 there: no figure is better.
    if not hasattr(os, "getloadavg"):
        return ()
    try:
        return tuple(round(value, 2) for value in os.getloadavg())
    except OSError:
        return ()


def _frequency() -> float | None:
    try:
        now = psutil.cpu_freq()
    except (AttributeError, NotImplementedError, OSError, RuntimeError):
        return None
    return round(now.current, 1) if now and now.current else None
