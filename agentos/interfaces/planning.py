"""A planner alone, with a kernel model of its own, for suites and measurements: no system need run."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from agentos.config import Settings
from agentos.kernel.planner import Planner
from agentos.registry import Registry
from agentos.system import System
from agentos.types import Engine, Progress


@contextlib.asynccontextmanager
async def planning(
    settings: Settings, progress: Progress, table: Registry | None = None
) -> AsyncIterator[tuple[Planner, Engine, Registry]]:
    """The planner, its model's engine and the table.

    Args:
        settings: The settings in force.
        progress: Told how the model's arrival goes.
        table: What is planned over, such as a suite's own table; the installed syscalls by default.

    Raises:
        AgentosError: the model cannot be fetched or loaded.
    """
    system = System(settings, table)
    try:
        planner = await system.plan_only(progress)
        yield planner, await system.kernel_engine(), system.registry
    finally:
        await system.stop()
