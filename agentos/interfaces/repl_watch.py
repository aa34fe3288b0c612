"""What goes on beside the prompt: the line of figures beneath it, and jobs that end."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from agentos.errors import AgentosError
from agentos.interfaces.client import Client
from agentos.interfaces.show import bar, clean, clip, plain, width
from agentos.interfaces.words import Say

_SOON, _LATE = 1.0, 3.0
"""Seconds between two looks: while a job waits or runs, and else."""
OVER = ("succeeded", "failed", "cancelled")
"""States that a job ends in."""
_CELLS = 6


class Beside:
    """Asks the system in a thread of its own, so that typing waits for nothing."""

    def __init__(self, client: Client, say: Say) -> None:
        """Asks nothing until it is started."""
        self._client, self._say = client, say
        self.seen: dict[str, Any] = {}
        self._gone = False
        self._jobs: dict[str, str] = {}
        self._begun = False
        self._mute: set[str] = set()
        self._waiting: list[str] = []
        self._show: Callable[[str], None] | None = None
        self._changed: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._wake = threading.Event()

    def start(self) -> None:
        """Begins to look; the thread ends with the process."""
        threading.Thread(target=self._watch, name="beside", daemon=True).start()

    def mute(self, job: str) -> None:
        """The end of this job is shown elsewhere."""
        self._mute.add(job)

    def soon(self) -> None:
        """Looks again at once."""
        self._wake.set()

    @contextlib.contextmanager
    def prompting(self, changed: Callable[[], None], show: Callable[[str], None] | None) -> Iterator[None]:
        """While a line is typed: what is told is shown above it.

        Args:
            changed: Called when the line of figures is another one.
            show: Shows a line without disturbing what is typed; where None, it waits for the next prompt.
        """
        with self._lock:
            self._show, self._changed = show, changed
        try:
            yield
        finally:
            with self._lock:
                self._show, self._changed = None, lambda: None

    def told(self) -> list[str]:
        """What was told while nothing could be shown; each is given once."""
        with self._lock:
            found, self._waiting = self._waiting, []
        return found

    def look(self) -> None:
        """Asks once, and tells of the caller's jobs that have ended since the last time."""
        try:
            seen = self._client.request("GET", f"/v1/brief?session={quote(self._client.session)}", start_it=False)
        except AgentosError:
            self._gone = True
            self._changed()
            return
        changed = self._gone or self._figures(seen) != self._figures(self.seen)
        self.seen, self._gone = seen, False
        for row in reversed(seen["jobs"]):
            job, state = str(row["id"]), str(row["state"])
            before = self._jobs.get(job)
            new = self._begun and before is None
            if state in OVER and before not in OVER and (before or new) and row["user"] == seen["user"]:
                self._tell(row)
            self._jobs[job] = state
        self._begun = True
        if changed:
            self._changed()

    def line(self, columns: int) -> str:
        """The figures, the least needed ones left out where there is no room."""
        if self._gone:
            return clip(self._say("bar_gone"), columns)
        parts = self._figures(self.seen)
        while len(parts) > 1 and width(" | ".join(parts.values())) + 1 > columns:
            parts.pop(next(name for name in ("model", "queued", "gpu", "memory", "jobs", "approvals") if name in parts))
        return clip(" " + " | ".join(parts.values()), columns)

    def _figures(self, seen: dict[str, Any]) -> dict[str, str]:
        from agentos.types.units import show_bytes  # here, because the types take longer to import than all else

        parts: dict[str, str] = {}
        machine = seen.get("machine") or {}
        if memory := machine.get("memory"):
            drawn = bar(memory["percent"], _CELLS, plain(sys.stdout))
            room = show_bytes(memory["limit"] or memory["total"])
            parts["memory"] = f"{self._say('bar_memory')} {drawn} {memory['percent']:.0f}% / {room}"
        for gpu in machine.get("gpus") or []:
            said = f"GPU{gpu['index']}" + ("" if gpu["used"] is None else f" {gpu['used']:.0f}%")
            if gpu["memory_total"] and gpu["memory_used"] is not None:
                said += f" {show_bytes(gpu['memory_used'])} / {show_bytes(gpu['memory_total'])}"
            parts["gpu"] = f"{parts['gpu']}, {said}" if "gpu" in parts else said
        if seen.get("model"):
            parts["model"] = clean(str(seen["model"]), lines=False)
        if seen.get("running"):
            parts["jobs"] = self._say("bar_jobs", seen["running"])
        if seen.get("queued"):
            parts["queued"] = self._say("bar_queued", seen["queued"])
        if seen.get("approvals"):
            parts["approvals"] = self._say("bar_approvals", seen["approvals"])
        return parts

    def _tell(self, row: dict[str, Any]) -> None:
        from agentos.types.units import show_seconds

        job = str(row["id"])
        if job in self._mute:
            return
        name, state = clean(str(row["name"]), lines=False), self._say(f"state_{row['state']}")
        if row.get("runtime") is None:
            text = self._say("job_over", job, name, state)
        else:
            text = self._say("job_ended", job, name, state, show_seconds(row["runtime"]))
        if row.get("reason") and row["state"] == "failed":
            text += f": {clean(str(row['reason']), lines=False)}"
        with self._lock:
            if self._show is not None:
                self._show(text)
            else:
                self._waiting.append(text)

    def _watch(self) -> None:
        while True:
            self.look()
            busy = self.seen.get("running") or self.seen.get("queued")
            self._wake.wait(_SOON if busy else _LATE)
            self._wake.clear()
