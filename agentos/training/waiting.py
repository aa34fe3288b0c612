"""A run awaited by what called for it, its progress told."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agentos.training import views
from agentos.training.beside import Queue
from agentos.training.following import Follower
from agentos.training.records import Record, Records
from agentos.types import Progress

_LOOK = 0.3
"""Seconds between two looks at a run's events."""


async def follow(record: Record, records: Records, jobs: Queue, folder: Path, progress: Progress) -> Record:
    """A run that has ended well; what it tells goes to `progress`.

    Raises:
        UserError: it could not be done with these data or this model.
        Failed: it broke off.
    """
    follower, told = Follower(folder), ""
    while True:
        now = records.get(record.run)
        for event in follower.news():
            steps = event.get("steps")
            line = follower.line(event)
            if line:
                done = event.get("step") if steps else None
                unit = "trials" if now.kind == "search" else "updates"
                await progress(f"{now.model}: {line}", done, steps, unit if steps else "")
        if now.state not in ("queued", "running"):
            return views.ended_well(now)
        if now.state == "queued" and now.job:
            said = await jobs.card(now.job)
            line = f"job {now.job} {said.state}: {said.reason}".rstrip(": ")
            if line != told:
                told = line
                await progress(f"{now.run}, {line}")
        await asyncio.sleep(_LOOK)
