"""The kernel as its own syscalls see it: status and help."""

from __future__ import annotations

import os
import statistics
import time
from collections import deque

import agentos
from agentos.config import Settings
from agentos.errors import unknown
from agentos.kernel.tuned import Manifest
from agentos.registry import Registry
from agentos.syscall import Syscall
from agentos.types import Help, HelpEntry, KernelStatus, LoadedModel


class KernelState:
    """What is known of the running kernel; implements `KernelView`."""

    def __init__(self, settings: Settings, table: Registry) -> None:
        """A kernel whose model is not loaded yet."""
        self._settings = settings
        self._table = table
        self._started = time.monotonic()
        self._times: deque[float] = deque(maxlen=1000)
        self.model: LoadedModel | None = None
        self.adapter: Manifest | None = None
        self.adapter_name = ""
        self.plans = 0

    def planned(self, seconds: float) -> None:
        """Counts a plan."""
        self.plans += 1
        self._times.append(seconds)

    def status(self) -> KernelStatus:
        """Which model plans, and how it does."""
        model = self.model
        return KernelStatus(
            ready=model is not None,
            model=self._settings.kernel_model,
            engine=model.engine if model else "",
            dtype=model.dtype if model else "",
            memory=model.memory if model else 0,
            version=agentos.__version__,
            pid=os.getpid(),
            home=str(self._settings.home),
            uptime=time.monotonic() - self._started,
            syscalls=len(self._table),
            plans=self.plans,
            plan_ms=round(statistics.median(self._times) * 1000, 1) if self._times else None,
            adapter=self.adapter_name if self.adapter is not None else "",
        )

    def help(self, topic: str | None) -> Help:
        """The syscalls about a topic: a name, a family, or a word in their documentation; all without one.

        Raises:
            NotFound: nothing is about that.
        """
        entries = list(self._table)
        if topic:
            wanted = topic.strip().lower()
            found = [e for e in entries if wanted in (e.name, e.family)]
            found = found or [e for e in entries if any(wanted in t.lower() for t in (e.name, e.doc, *e.examples))]
            if not found:
                raise unknown("help topic", topic, sorted({entry.family for entry in entries}))
            entries = found
        return Help(topic or "all", [_help(entry) for entry in entries])


def _help(entry: Syscall) -> HelpEntry:
    shown = [p.name if p.required else f"[{p.name}]" for p in entry.params]
    return HelpEntry(entry.name, entry.effect, entry.doc, " ".join(shown), next(iter(entry.examples), ""))
