"""What runs jobs, by the settings: a cluster, or this machine."""

from __future__ import annotations

from agentos.config import Settings
from agentos.errors import UserError
from agentos.jobs.executor import Executor
from agentos.jobs.local import LocalExecutor
from agentos.jobs.ray import RayExecutor
from agentos.types.units import size


def executor(settings: Settings, room: tuple[int, int, tuple[int, ...]]) -> Executor:
    """The executor that the settings ask for.

    Args:
        settings: The settings in force.
        room: What this machine has: processor cores, bytes of memory, indices of GPUs.

    Raises:
        UserError: a setting is no size, or no address.
    """
    if settings.cluster:
        return RayExecutor(settings.jobs, settings.cluster)
    cpus, memory, gpus = room
    try:
        memory = size(settings.job_memory) if settings.job_memory else memory
    except ValueError as error:
        raise UserError(f"the setting 'job_memory': {error}") from None
    return LocalExecutor(settings.jobs, cpus=settings.job_cpus or cpus, memory=memory, gpus=gpus)
