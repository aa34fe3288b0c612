"""NVIDIA graphics processors, through their management library."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

import psutil
import pynvml

from agentos.types import Gpu

Figure = TypeVar("Figure")
NVML: ModuleType = pynvml


def read(nvml: ModuleType = NVML) -> list[Gpu]:
    """The graphics processors; empty where there is none or no driver. What one does not tell is None."""
    try:
        nvml.nvmlInit()
    except (nvml.NVMLError, OSError):
        return []
    try:
        count = _ask(nvml, nvml.nvmlDeviceGetCount) or 0
        return [_gpu(nvml, index) for index in range(count)]
    finally:
        _ask(nvml, nvml.nvmlShutdown)


def cards() -> list[int]:
    """Bytes of memory of each graphics processor, by its index; 0 of one that does not tell."""
    return [gpu.memory_total or 0 for gpu in read()]


def _gpu(nvml: ModuleType, index: int) -> Gpu:
    handle = _ask(nvml, partial(nvml.nvmlDeviceGetHandleByIndex, index))
    if handle is None:  # fallen off the bus, or given to another container
        return Gpu(index, "unknown", None, None, None)
    name = _ask(nvml, partial(nvml.nvmlDeviceGetName, handle))
    memory = _ask(nvml, partial(nvml.nvmlDeviceGetMemoryInfo, handle))
    rates = _ask(nvml, partial(nvml.nvmlDeviceGetUtilizationRates, handle))
    temperature = _ask(nvml, partial(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU))
    milliwatts = _ask(nvml, partial(nvml.nvmlDeviceGetPowerUsage, handle))
    return Gpu(
        index=index,
        name=name.decode("utf-8", "replace") if isinstance(name, bytes) else name or "unknown",
        memory_total=None if memory is None else int(memory.total),
        memory_used=None if memory is None else int(memory.used),
        used=None if rates is None else float(rates.gpu),
        temperature_c=None if temperature is None else float(temperature),
        power_watts=None if milliwatts is None else milliwatts / 1000,
        processes=_processes(nvml, handle),
    )


def _processes(nvml: ModuleType, handle: Any) -> tuple[str, ...]:
    pids: set[int] = set()
    for running in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
        pids |= {process.pid for process in _ask(nvml, partial(running, handle)) or []}
    return tuple(_called(pid) for pid in sorted(pids))


def _called(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).name()} ({pid})"
    except (psutil.Error, ValueError):
        return f"({pid})"


def _ask(nvml: ModuleType, question: Callable[[], Figure]) -> Figure | None:
    try:
        return question()
    except nvml.NVMLError:
        return None
