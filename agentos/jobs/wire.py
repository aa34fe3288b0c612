"""What goes between the system and the driver of its cluster, over a socket that no one else has."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentos.jobs.scheduling import Node


@dataclass(frozen=True)
class Terms:
    """What the agents of a system are made with."""

    folder: Path
    """Of all attempts, on the system's own disk."""
    home: str
    """By which nodes tell systems apart."""
    lease: float
    """Seconds that attempts go on after their node has lost touch with the cluster."""
    log_size: int
    """Bytes after which a log is rotated."""
    log_count: int
    """Files that are kept of a log."""


@dataclass(frozen=True)
class Nodes:
    """Who is in the cluster."""

    all: tuple[Node, ...]
    free: tuple[Node, ...]
    """What of those that answer is not held by Ray's other users."""


def pack(message: object) -> bytes:
    """A message as it goes over the wire."""
    data = pickle.dumps(message)
    return len(data).to_bytes(4, "big") + data


async def receive(reader: asyncio.StreamReader) -> Any:
    """The next message. EOFError: there is none any more."""
    try:
        return pickle.loads(await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big")))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise EOFError from error
