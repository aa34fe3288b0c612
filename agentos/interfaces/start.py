"""Starting the resident system from a client, once however many clients ask."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentos.config import Settings
from agentos.errors import Failed
from agentos.interfaces.place import answers, lock, own_folder

_LOCKED = 75
_TICK = 0.05
_LOG_LIMIT = 5 * 1024 * 1024
_PATIENCE = 120.0
"""Seconds until a process that neither ends nor listens is given up."""


def folder() -> str:
    """Where this process stands; "" where that folder is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def start(settings: Settings) -> None:
    """Returns once a system listens on the socket, started by this process or by another.

    Raises:
        Failed: it ended before it listened; the message has its last words.
    """
    own_folder(settings.home)
    own_folder(settings.logs)
    until = time.monotonic() + _PATIENCE
    while not answers(settings.socket):
        held = lock(settings.home / "start.lock")
        if held is not None:
            with held:
                if not answers(settings.socket):
                    _spawn(settings, until)
            return
        if time.monotonic() > until:
            raise Failed(f"another process has been starting the system for {_PATIENCE:.0f} s; see {settings.logs}")
        time.sleep(_TICK)


def _spawn(settings: Settings, until: float) -> None:
    import subprocess
    import sys

    path = settings.logs / "system.log"
    if path.exists() and path.stat().st_size > _LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    begun = path.stat().st_size if path.exists() else 0
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "agentos", "serve", "--detached"],
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=settings.home, start_new_session=True,
            env={**os.environ, "AGENTOS_HOME": str(settings.home)},
        )
    finally:
        os.close(file)
    while not answers(settings.socket):
        code = child.poll()
        if code is not None and code != _LOCKED:
            raise Failed(f"the system ended as it started (exit code {code}): {_last_words(path, begun)}")
        if time.monotonic() > until:
            raise Failed(f"the system does not listen after {_PATIENCE:.0f} s; see {path}")
        time.sleep(_TICK)
    child.returncode = 0  # it outlives this process on purpose, so nobody waits for it


def _last_words(path: Path, begun: int) -> str:
    with path.open("rb") as file:
        file.seek(begun)
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return f"{lines[-1] if lines else 'it said nothing'} (all of it is in {path})"


def wait(status: Callable[[], dict[str, Any]], told: Callable[[dict[str, Any]], None] | None) -> dict[str, Any]:
    """The status once the system is ready; `told` is given its progress until then.

    Raises:
        Failed: it could not start; the message is its own.
    """
    while True:
        said = status()
        if said.get("ready"):
            return said
        if said.get("boot_error"):
            raise Failed(str(said["boot_error"]))
        if told is not None and said.get("boot"):
            told({
                "event": "progress", "message": said["boot"], "done": said.get("boot_done"),
                "total": said.get("boot_total"), "unit": said.get("boot_unit", ""), "boot": True,
            })
        time.sleep(2 * _TICK)
