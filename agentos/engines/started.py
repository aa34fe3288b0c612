"""Starts child processes so that giving up in the middle leaves neither a process nor a task that never ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio.subprocess import Process
from collections.abc import Mapping
from typing import Any

from agentos.types import Json


def cards(settings: Mapping[str, Json]) -> dict[str, str]:
    """What tells a process to use the graphics processors that were chosen for it, and no others.

    Empty where none were chosen, or where whoever started agentos chose already.
    """
    chosen = settings.get("cards")
    if not isinstance(chosen, list) or not chosen or "CUDA_VISIBLE_DEVICES" in os.environ:
        return {}
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(map(str, chosen))}


async def started(*command: str, **how: Any) -> Process:
    """`asyncio.create_subprocess_exec`, which may be cancelled at any time, along with all else in the loop.

    Where asyncio's own task that connects the pipes is cancelled too, as `asyncio.run` does at its end, asyncio
    (seen with 3.11) waits for ever for a process that it has killed; so it is cancelled until it gives in.
    """
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, **how))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.cancel()
        while not (await asyncio.wait({starting}, timeout=1))[0]:
            starting.cancel()
        if not starting.cancelled() and starting.exception() is None:
            process = starting.result()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.wait({asyncio.ensure_future(process.wait())}, timeout=5)  # so that it is reaped by this loop
        raise
