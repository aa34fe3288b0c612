"""A process for one errand, told on its command line and watched by its output: what every such process shares.

It runs under a memory limit and prints one JSON object a line: `progress` as often as it likes, then `result`, or
`error` with the `errno` of what the system refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from agentos.engines.footprint import exhausted
from agentos.errors import AgentosError
from agentos.types import Json
from agentos.types.units import show_bytes


def run(arguments: list[str], do: Callable[[dict[str, Any]], dict[str, Json]], doing: str, source: str) -> int:
    """Runs one job and says its result; gives the exit code.

    Args:
        arguments: Of the command line: the job as JSON, whose `memory` is the limit in bytes.
        do: The work.
        doing: What it is called where it takes more memory than that: `reading it`.
        source: What that memory was reckoned from: `its header`.
    """
    job: dict[str, Any] = json.loads(arguments[0])
    memory = int(job["memory"])
    _limit(memory)
    try:
        say(result=do(job))
    except AgentosError as error:
        say(error=str(error))
        return 1
    except Exception as error:
        if exhausted(error):
            say(error=f"{doing} takes more than the {show_bytes(memory)} that {source} accounts for")
        elif isinstance(error, OSError):
            say(error=str(error), errno=error.errno)
        else:
            raise
        return 1
    return 0


def say(**line: Any) -> None:
    """A line to whoever started the process."""
    print(json.dumps(line), flush=True)


def _limit(memory: int) -> None:
    """Holds this process to so many bytes of its own data, where the platform can."""
    if sys.platform == "linux":
        import resource

        # RLIMIT_AS would count the file itself and torch's libraries, which are mapped and cost nothing.
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
