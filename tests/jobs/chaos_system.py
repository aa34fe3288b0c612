"""The system that chaos.py kills: `python -m tests.jobs.chaos_system HOME` takes a job a line, says which it has."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from agentos.interfaces.place import lock
from agentos.jobs.local import LocalExecutor
from agentos.jobs.ours import OURS
from agentos.jobs.service import JobService
from agentos.secrets import Masker, Secrets
from agentos.store import Store
from agentos.types import Caller, JobRequest


async def system(home: Path) -> None:
    """Runs it until its input ends."""
    held = lock(home / "agentos.lock")
    if held is None:
        raise SystemExit("a system already runs here")
    store = Store(home / "agentos.db")
    executor = LocalExecutor(home / "jobs", cpus=8, memory=8 << 30)
    service = JobService(store, executor, OURS, home / "jobs", vault=Secrets(store), masker=Masker)
    await service.open()
    os.write(1, b"ready\n")
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks = set()

    async def take(asked: dict[str, object]) -> None:
        call = str(asked.pop("call"))
        asked["after"] = tuple(asked["after"])  # type: ignore[arg-type]
        job = await service.submit(JobRequest(**asked), Caller("ada", "operator", folder=str(home)), call)  # type: ignore[arg-type]
        os.write(1, f"{call} {job.job}\n".encode())

    while line := await reader.readline():
        task = asyncio.create_task(take(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await service.close()


if __name__ == "__main__":
    asyncio.run(system(Path(sys.argv[1])))
