"""`agentos bench --only residency`: random loads, answers, unloads and kills under a budget that holds half.

What is held against the budget is the sum of what all engine processes hold (each shared page divided by its users),
looked at 20 times a second, also while they load and while they end. The nursery, which all engines are forked from
and which outlives them, is no model's and stands beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import psutil

from agentos.config import Settings
from agentos.engines.footprint import held as footprint
from agentos.engines.host import ChildEngine
from agentos.engines.nursery import Nursery
from agentos.errors import AgentosError
from agentos.models.budget import HOST, Need
from agentos.models.resident import Order
from agentos.models.service import ModelService
from agentos.models.shelf import Shelf
from agentos.policy.trash import TrashCan
from agentos.store import Store
from agentos.types import Caller, Context, Engine, Generation, ModelSpec, Prompt

OPERATIONS = 1000
TOGETHER = 8
"""Operations under way at once, at most."""
MIB = 1 << 20
BUDGET = 1000 * MIB
"""About half of what all these models take together."""
EVERY = 0.05
WRITER, EMBEDDER = "smollm2-135m", "all-minilm-l6"
SIZES = {f"scripted-{size}": size * MIB for size in (40, 80, 120, 160, 200, 240)}
"""Bytes that scripted models really take, beside their process."""
SCRIPT = '[{"when": "x", "say": "a b c d", "wait": 0.01}]'
KINDS = {"ask": 12, "load": 3, "unload": 4, "kill": 1}


@dataclass
class _Ctx:
    """What a call is given, as far as these calls reach."""

    caller: Caller = field(default_factory=lambda: Caller("bench", "admin"))

    async def text(self, delta: str) -> None:
        """Nobody reads it."""

    async def progress(
        self, message: str, done: float | None = None, total: float | None = None, unit: str = ""
    ) -> None:
        """Nobody watches it."""


class _Sampler:
    """Looks at what all processes below this one hold, in a thread of its own."""

    def __init__(self, apart: Callable[[], int | None], claimed: Callable[[], int]) -> None:
        """`apart` is a process that is not counted; `claimed` what is set aside."""
        self._apart, self._claimed = apart, claimed
        self._before = set(_below(os.getpid()))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.held: list[int] = []
        self.claims: list[int] = []

    def start(self) -> None:
        """Looks from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more."""
        self._stop.set()
        self._thread.join()

    def left(self) -> list[int]:
        """Processes of engines that are there now."""
        skip = {*self._before, self._apart()}
        return [pid for pid in _below(os.getpid()) if pid not in skip]

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self.held.append(sum(map(footprint, self.left())))
            self.claims.append(self._claimed())


class _Trial:
    """A service of models over real and scripted ones, and random operations on it."""

    def __init__(self, service: ModelService, seed: int, script: Callable[[], Engine]) -> None:
        """Operations follow from `seed`."""
        self._service, self._script = service, script
        self._draw = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self._ctx = cast(Context, _Ctx())

    async def all(self, count: int) -> None:
        """So many operations, `TOGETHER` at once."""
        drawn = [
            (self._draw.choice([*SIZES, WRITER, EMBEDDER]), self._draw.choices([*KINDS], [*KINDS.values()])[0])
            for _ in range(count)
        ]
        gate = asyncio.Semaphore(TOGETHER)

        async def gated(number: int, name: str, kind: str) -> None:
            async with gate:
                try:
                    if await self._one(number, name, kind):
                        self.counts[kind] += 1
                except AgentosError as error:  # it was killed under its caller, is in use, or is not there
                    self.counts[f"{kind}: {type(error).__name__}"] += 1
                    self.said[_shape(str(error))] += 1

        await asyncio.gather(*(gated(number, *what) for number, what in enumerate(drawn)))

    async def _one(self, number: int, name: str, kind: str) -> bool:
        service, scripted = self._service, name in SIZES
        if kind in {"unload", "kill"}:
            there = sorted(service.residency.all().items())
            if not there:
                return False
            name, held = there[number % len(there)]
            if kind == "unload":
                await service.unload(name)
            else:
                with contextlib.suppress(ProcessLookupError):  # it has just ended by itself, or was killed before
                    os.kill(held.loaded.pid, signal.SIGKILL)
        elif kind == "load":
            await (service.residency.load(self._order(name)) if scripted else service.load(name))
        elif scripted:
            async with service.residency.using(name, lambda: service.residency.load(self._order(name))) as held:
                async for _ in held.engine.generate(Generation(str(number), Prompt("", (), "x"))):
                    pass
        elif name == EMBEDDER:
            await service.predict(name, [f"text {n} of request {number}" for n in range(4)], self._ctx)
        else:
            await service.generate(name, f"Say something about {number}.", 8, self._ctx)
        return True

    def _order(self, name: str) -> Order:
        spec = ModelSpec(name, settings={"script": SCRIPT, "memory": SIZES[name]})
        return Order(spec, self._script, 600.0, "10m", Need({HOST: SIZES[name] + 40 * MIB}))


def measure(settings: Settings, operations: int = OPERATIONS) -> dict[str, Any]:
    """Whether the budget held, and what was left behind. The two real models are fetched where they are not there."""
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as kept:
        return asyncio.run(_measure(settings, Path(kept), operations))


async def _measure(settings: Settings, kept: Path, operations: int) -> dict[str, Any]:
    ours = replace(settings, home=kept, memory_budget=f"{BUDGET}B")
    ours.models.mkdir(parents=True)
    for name in (WRITER, EMBEDDER):
        if stored := Shelf(settings.models).get(name):
            (ours.models / stored.path.name).symlink_to(stored.path)
    nursery = Nursery()
    store = Store(ours.database)
    service = ModelService(
        ours, store, lambda name: ChildEngine(name, threads=1, nursery=nursery), TrashCan(store, ours)
    )
    for name in (WRITER, EMBEDDER):
        await service.pull(name)
    service.start()
    sampler = _Sampler(lambda: nursery.pid, lambda: service.residency.budget.used(HOST))
    trial = _Trial(service, 4, lambda: ChildEngine("scripted"))
    own, files = footprint(os.getpid()), _files()
    began, load = time.monotonic(), [round(load, 1) for load in os.getloadavg()]
    sampler.start()
    try:
        await trial.all(operations)
        took = time.monotonic() - began
        evictions = service.evictions
    finally:
        await service.close()
        sampler.stop()
    left = sampler.left()
    remains = sum(map(footprint, left)) + max(0, footprint(os.getpid()) - own)
    figures = _figures(sampler, remains) | {
        "load": load, "operations": operations, "seconds": round(took, 1), "evictions": evictions,
        "samples_a_second": round(len(sampler.held) / took, 1),
        "done": dict(sorted(trial.counts.items())), "errors": dict(trial.said.most_common(12)),
        "nursery": nursery.memory(),
        "left": {
            "processes": len(left), "claims": len(service.residency.budget.claims),
            "loading": len(service.residency.starting), "waiting": len(service.residency.admission.waiting),
            "files": _files() - files - (1 if nursery.pid else 0), "bytes": remains,
        },
    }
    store.close()
    nursery.close()
    return figures


def _figures(sampler: _Sampler, remains: int) -> dict[str, Any]:
    over = [held - BUDGET for held in sampler.held if held > BUDGET]
    return {
        "budget": BUDGET, "samples": len(sampler.held),
        "held": {"most": max(sampler.held), "median": int(statistics.median(sampler.held))},
        "claimed": {"most": max(sampler.claims), "over": sum(claimed > BUDGET for claimed in sampler.claims)},
        "over": {"samples": len(over), "most": max(over, default=0)},
        "given_back": round(1 - remains / max(sampler.held), 4),
    }


def _below(root: int) -> list[int]:
    """All processes below one; the system's own list, where it keeps one, takes a fraction of a millisecond."""
    found: list[int] = []
    try:
        for path in Path(f"/proc/{root}/task").glob("*/children"):
            for pid in map(int, path.read_text("ascii").split()):
                found += [pid, *_below(pid)]
    except OSError:  # it has just ended
        return found
    if not Path("/proc/self/task").is_dir():
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(root).children(recursive=True)]
    return found


def _shape(message: str) -> str:
    """What an error says, without the names and numbers that differ."""
    return re.sub(r"\d+(\.\d+)?", "N", re.sub(r"'[^']*'", "NAME", message))[:200]


def _files() -> int:
    """Files this process has open; 0 where the system does not say."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The part's lines of the table."""
    held, over, left = figures["held"], figures["over"], figures["left"]
    budget = f"{figures['budget'] // MIB} MiB"
    answered = figures["done"].get("ask", 0)
    return [
        (f"{figures['operations']} random operations on models", f"{figures['seconds']} s",
         f"{answered} answers, {figures['done'].get('kill', 0)} killed, {figures['evictions']} made room"),
        (f"memory of all engines, budget {budget}", f"{held['most'] // MIB} MiB at most",
         f"over it in {over['samples']} of {figures['samples']} looks, by {over['most'] / MIB:.0f} MiB at most"),
        ("memory given back at the end", f"{100 * figures['given_back']:.1f} %",
         f"left: {left['processes']} processes, {left['claims']} claims, {left['files']} files"),
    ]
