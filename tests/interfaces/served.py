"""A system on TCP whose words go to a file: a pipe that nobody reads would hold it up once it is full."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .conftest import Agentos, kill


@contextlib.contextmanager
def served(agentos: Agentos, said: Path) -> Iterator[str]:
    """The address of a home's system, once it is ready; it ends with the block."""
    with said.open("w") as errors, agentos.popen("serve", "--http", "127.0.0.1:0", stderr=errors) as server:
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+)(?s:.*)ready", said.read_text("utf-8"))):
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"it ended with {server.wait(0.1)}: {said.read_text('utf-8')}")
        try:
            yield found[1]
        finally:
            kill(agentos)
