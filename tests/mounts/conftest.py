"""Real servers as child processes."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest_asyncio

from agentos.mounts.server import Mounted
from agentos.mounts.spec import Spec, read

SERVERS, RUDE = Path(__file__).with_name("servers.py"), Path(__file__).with_name("rude.py")


def command(kind: str) -> list[str]:
    """A server's command; those that are none start faster."""
    rude = kind in ("silent", "dead", "endless")
    return [sys.executable, *(["-I", "-S", str(RUDE)] if rude else [str(SERVERS)]), kind]


@pytest_asyncio.fixture
async def mounted(tmp_path: Path) -> AsyncIterator[Callable[..., Mounted]]:
    """Makes servers of a kind; all have ended after the test."""
    made: list[Mounted] = []

    def make(kind: str, start: float = 30.0, clock: Callable[[], float] | None = None, **more: Any) -> Mounted:
        spec: Spec = read({"command": list(command(kind)), "folder": str(tmp_path), **more})
        made.append(Mounted(kind, lambda: spec, start=start, **({"clock": clock} if clock else {})))
        return made[-1]

    yield make
    for server in made:
        await server.close()
