"""Loads a model whose weights are sealed: they are in clear while the engine reads them, and gone when it has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from agentos.sealing.private import in_clear
from agentos.types import Engine, LoadedModel, ModelSpec, Progress


async def load(engine: Engine, spec: ModelSpec, progress: Progress) -> LoadedModel:
    """Loads it, from folders that last as long as this does where its own are sealed.

    What an engine maps into memory stays there when its file has gone. Started again, it is given them anew.

    Raises:
        Failed: as the engine's own, or what is sealed does not open, or there is no room for it.
    """
    async with AsyncExitStack() as stack:
        path = await stack.enter_async_context(_clear(spec.path))
        adapter = await stack.enter_async_context(_clear(spec.adapter))
        if (path, adapter) != (spec.path, spec.adapter):
            spec = replace(spec, path=path, adapter=adapter)
        return await engine.load(spec, progress)


@asynccontextmanager
async def _clear(folder: Path | None) -> AsyncIterator[Path | None]:
    if folder is None:
        yield None
        return
    opened = in_clear(folder)
    place = await asyncio.to_thread(opened.__enter__)
    try:
        yield place
    finally:
        await asyncio.shield(asyncio.to_thread(opened.__exit__, None, None, None))
