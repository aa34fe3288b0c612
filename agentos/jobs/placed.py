"""Attempts that run on another machine, as they are on the system's own disk: where they were sent, and what came back.

The claim of such an attempt says `placed NODE NAME SINCE`; a system that finds no claim writes `void`, as for a shim.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from agentos.errors import Failed
from agentos.jobs.executor import Ended
from agentos.jobs.identity import content

log = logging.getLogger(__name__)

_LOG = re.compile(r"log(\.[1-9][0-9]{0,9})?")


@dataclass(frozen=True)
class Place:
    """Where an attempt was sent."""

    id: str
    """The node's, which no other node ever has."""
    name: str
    since: float
    """Seconds since the epoch."""


def place(folder: Path, id: str, name: str) -> None:
    """Notes, on disk, that an attempt is about to be sent there. Failed: it may not be."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(folder / "claim", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, f"placed {id} {name} {time.time()!r}\n".encode())
            os.fsync(fd)
        finally:
            os.close(fd)
    except FileExistsError as error:
        raise Failed(f"the attempt of {folder} has not begun: it was given up, or begun before.") from error
    except OSError as error:
        raise Failed(f"{folder} cannot be written ({error}); the job has not begun.") from error


def where(folder: Path) -> Place | None:
    """Where it was sent; None: nowhere."""
    try:
        words = content(str(folder / "claim")).decode().split()
    except FileNotFoundError:
        return None
    return Place(words[1], words[2], float(words[3])) if words[:1] == ["placed"] and len(words) == 4 else None


def record(folder: Path, ended: Ended) -> bool:
    """Keeps an end as a shim does; False: the disk refuses."""
    result = {key: value for key, value in asdict(ended).items() if key != "attempt"}
    try:
        with open(folder / "result.new", "w", encoding="utf-8") as file:
            json.dump(result, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(folder / "result.new", folder / "result.json")
    except OSError:
        log.exception("the end of attempt %s could not be kept", ended.attempt)
        return False
    return True


class Incoming:
    """A log's file that comes in pieces, and takes its name when it is whole."""

    def __init__(self, folder: Path, name: str) -> None:
        """Nothing is written yet. OSError: that is no log's name."""
        if not _LOG.fullmatch(name):
            raise OSError(f"{name!r} is no log's name")
        self._part, self._whole = folder / f"part.{name}", folder / name

    def __enter__(self) -> Incoming:
        self._file = open(self._part, "wb")
        return self

    def write(self, data: bytes) -> None:
        """Appends it. OSError: the disk is full."""
        self._file.write(data)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self._file.close()
        finally:
            if kind is None:
                os.rename(self._part, self._whole)
            else:
                self._part.unlink(missing_ok=True)
