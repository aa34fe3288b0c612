"""A start that is given up leaves no process and never hangs, whenever that is."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

PROGRAM = """
import asyncio, sys
from agentos.engines.started import started

# all that it starts is known by this
mark, steps, everything = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "everything"


async def main():
    pipe = asyncio.subprocess.PIPE
    starting = asyncio.create_task(
        started(sys.executable, "-c", "import time; time.sleep(1000)", mark, stdin=pipe, stdout=pipe)
    )
    for _ in range(steps):
        await asyncio.sleep(0)
    if everything:  # asyncio.run cancels what is left
        return
    starting.cancel()
    try:
        process = await starting
    except asyncio.CancelledError:
        return
    process.kill()  # it was there already
    await process.wait()


asyncio.run(main())
"""


def _marked(mark: str) -> list[int]:
    """Processes that run, and have that word on their command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if mark in (process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


@pytest.mark.parametrize("who", ["one", "everything"])
@pytest.mark.parametrize("steps", range(5))
def test_giving_up_never_hangs_and_leaves_no_process(steps: int, who: str) -> None:
    mark = f"started-{steps}-{who}-{time.time_ns()}"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, mark, str(steps), who], timeout=30, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for _ in range(100):
        if not _marked(mark):
            return
        time.sleep(0.05)
    pytest.fail(f"{_marked(mark)} is left")
