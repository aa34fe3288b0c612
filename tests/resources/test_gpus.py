"""NVIDIA's library as it answers on real machines: absent, whole, and in part."""

import os
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pynvml
import pytest

from agentos.resources import Machine, gpus
from agentos.types import Gpu

GIB = 1024**3


def library(**answers: Callable[..., Any]) -> ModuleType:
    """NVIDIA's module with one H100 behind it."""
    module = ModuleType("pynvml")
    vars(module).update(
        NVMLError=pynvml.NVMLError,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda handle: "NVIDIA H100 80GB HBM3",
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=80 * GIB, used=3 * GIB, free=77 * GIB),
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=37, memory=4),
        nvmlDeviceGetTemperature=lambda handle, sensor: 41,
        nvmlDeviceGetPowerUsage=lambda handle: 112_345,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [SimpleNamespace(pid=os.getpid(), usedGpuMemory=None)],
        nvmlDeviceGetGraphicsRunningProcesses=lambda handle: [SimpleNamespace(pid=os.getpid(), usedGpuMemory=None)],
    )
    vars(module).update(answers)
    return module


def fails(code: int) -> Callable[..., Any]:
    def answer(*args: object) -> Any:
        raise pynvml.NVMLError(code)

    return answer


def has_driver() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    pynvml.nvmlShutdown()
    return True


@pytest.mark.skipif(has_driver(), reason="this machine has a GPU driver")
async def test_a_machine_without_a_driver_has_no_gpus() -> None:
    assert (await Machine().report("gpu")).gpus == []


async def test_a_gpu_is_told_in_full() -> None:
    [gpu] = (await Machine(library()).report("gpu")).gpus or []
    assert gpu.index == 0
    assert gpu.name == "NVIDIA H100 80GB HBM3"
    assert (gpu.memory_total, gpu.memory_used, gpu.used) == (80 * GIB, 3 * GIB, 37.0)
    assert (gpu.temperature_c, gpu.power_watts) == (41.0, 112.345)
    assert len(gpu.processes) == 1 and gpu.processes[0].endswith(f"({os.getpid()})")


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ("nvmlDeviceGetUtilizationRates", "used"),
        ("nvmlDeviceGetMemoryInfo", "memory_used"),
        ("nvmlDeviceGetMemoryInfo", "memory_total"),
        ("nvmlDeviceGetTemperature", "temperature_c"),
        ("nvmlDeviceGetPowerUsage", "power_watts"),
    ],
)
def test_a_figure_that_a_gpu_does_not_tell_is_none(function: str, field: str) -> None:
    [gpu] = gpus.read(library(**{function: fails(pynvml.NVML_ERROR_NOT_SUPPORTED)}))
    assert getattr(gpu, field) is None
    assert gpu.name == "NVIDIA H100 80GB HBM3"


def test_a_gpu_that_was_lost_is_still_counted() -> None:
    def handle(index: int) -> int:
        if index == 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return index

    lost, whole = gpus.read(library(nvmlDeviceGetCount=lambda: 2, nvmlDeviceGetHandleByIndex=handle))
    assert lost == Gpu(0, "unknown", None, None, None)
    assert whole.memory_total == 80 * GIB


def test_processes_of_another_container_are_told_by_number() -> None:
    gone = [SimpleNamespace(pid=2**22 + 1, usedGpuMemory=None)]
    [gpu] = gpus.read(
        library(
            nvmlDeviceGetComputeRunningProcesses=lambda handle: gone,
            nvmlDeviceGetGraphicsRunningProcesses=fails(pynvml.NVML_ERROR_NOT_SUPPORTED),
        )
    )
    assert gpu.processes == (f"({2**22 + 1})",)


def test_an_older_library_names_it_in_bytes() -> None:
    [gpu] = gpus.read(library(nvmlDeviceGetName=lambda handle: b"Tesla T4"))
    assert gpu.name == "Tesla T4"


@pytest.mark.parametrize(
    "code", [pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED, pynvml.NVML_ERROR_NO_PERMISSION]
)
def test_a_driver_that_does_not_start_is_no_gpus(code: int) -> None:
    assert gpus.read(library(nvmlInit=fails(code))) == []


def test_the_library_is_closed_after_a_look() -> None:
    closed: list[bool] = []
    gpus.read(library(nvmlShutdown=lambda: closed.append(True), nvmlDeviceGetCount=fails(pynvml.NVML_ERROR_UNKNOWN)))
    assert closed == [True]
