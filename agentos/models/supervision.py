"""Keeps engines well: takes their pulse, kills what stands still, and starts again what died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from agentos.errors import AgentosError, Retry
from agentos.models.residency import Residency
from agentos.models.resident import Order, Resident
from agentos.models.watch import PATIENCE, WORKED, Seen, Watch, moved, worked_by
from agentos.types import Engine
from agentos.types.units import show_bytes

log = logging.getLogger(__name__)
EVERY = 2.0
"""Seconds between two pulses of one engine."""
WELL = 60.0
"""Seconds of health after which earlier failures are forgotten."""
LONGEST = 60.0
"""The longest wait before a restart, in seconds."""
GIVE_WAY = 3
"""Failures in a row after which callers are sent away instead of waiting for the restart."""
LOADING = 60.0
"""The patience with a load whose processes nobody can name, so that only its pulse and its memory can be seen."""
_SAVE = 60.0
"""Seconds after which what eviction knows is kept."""
_LOOK = 10.0
"""How often the memory of an idle engine is looked at; a busy one's at every pulse."""


@runtime_checkable
class Mends(Protocol):
    """An engine of several replicas."""

    async def repair(self, sick: Callable[[Engine], Awaitable[str]]) -> list[str]:
        """Starts again each that is sick, and says why."""
        ...


@dataclass
class Down:
    """A model that is about to be started again."""

    order: Order
    kernel: bool
    until: float | None
    """When its keep-alive runs out."""
    at: float
    """When the next attempt is."""
    why: str


class Supervisor:
    """Looks after everything in a `Residency`. `clock` and `sleep` are parameters, so that a test need not wait."""

    def __init__(
        self, residency: Residency, clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Looks after `residency` from now on; `run` does it by itself."""
        self._residency = residency
        self._clock = clock
        self._sleep = sleep
        self._watches: dict[str, Watch] = {}
        self._failures: dict[str, tuple[int, float]] = {}
        self.down: dict[str, Down] = {}
        self._restarts: dict[str, asyncio.Task[None]] = {}
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._replicas: WeakKeyDictionary[Engine, Watch] = WeakKeyDictionary()
        self._saved = clock()
        residency.lost = self._lost
        residency.recovered = self._recovered

    async def run(self) -> None:
        """Takes pulses until cancelled; one engine that does not answer holds up no other."""
        try:
            while True:
                self._begin()
                await self._sleep(EVERY)
        finally:
            await self.close()

    async def tick(self) -> None:
        """One round, to its end."""
        self._begin()
        while self._checks:
            await asyncio.wait(list(self._checks.values()))

    def _begin(self) -> None:
        self._residency.admission.changed()  # other programs may have given memory back
        for name, held in self._residency.held().items():
            if name not in self._checks:
                self._check_soon(name, self._check(name, held))
        for name, (_, engine) in self._residency.starting.items():
            if name not in self._checks:
                self._check_soon(name, self._check_load(name, engine))
        gone = [name for name in self._watches if name not in self._residency.starting]
        for name in [name for name in gone if self._residency.get(name) is None]:
            del self._watches[name]
        if self._clock() - self._saved >= _SAVE:
            self._saved = self._clock()
            try:
                self._residency.save()
            except AgentosError:  # a full disk must not end the care for engines
                log.exception("how models are used could not be noted")

    def _check_soon(self, name: str, check: Coroutine[Any, Any, None]) -> None:
        task = self._checks[name] = asyncio.create_task(check)
        task.add_done_callback(lambda _: self._checks.pop(name, None))

    async def _check(self, name: str, held: Resident) -> None:
        try:
            why = await self._ill(name, held)
            if why and self._residency.held().get(name) is held:
                await held.engine.kill(why)
                self._lost(name, held, why)
        except AgentosError:
            log.exception("an engine could not be looked after")

    async def _check_load(self, name: str, engine: Engine) -> None:
        """Ends a load that stands still: no pulse that moves, no processor time, no memory that comes or goes."""
        now = self._clock()
        watch = self._watches.get(name)
        if watch is None or watch.engine is not engine:
            watch = self._watches[name] = Watch(engine, now, now, now, now)
        watch.look(now)
        if not engine.alive:
            watch.moved = now  # its process is being started
            return
        if await asyncio.to_thread(moved, watch, engine):
            watch.moved = now
        else:
            with contextlib.suppress(AgentosError):  # a library that is being loaded can keep it from answering
                pulse = await engine.pulse()
                if pulse.progress != watch.progress:
                    watch.progress, watch.moved = pulse.progress, now
        still = self._clock() - watch.moved
        there = self._residency.starting.get(name)
        if there is None or there[1] is not engine:
            return
        if still >= (PATIENCE if isinstance(engine, Seen) else LOADING):
            log.warning("the load of %s stood still and was ended", name)
            await engine.kill(f"its load stood still for {still:.0f} s")

    async def _ill(self, name: str, held: Resident) -> str:
        if not held.alive:
            return "its process ended"
        now = self._clock()
        watch = self._watches.get(name)
        if watch is None or watch.engine is not held.engine:
            watch = self._watches[name] = Watch(held.engine, now, now, now, now)
        failures, since = self._failures.get(name, (0, 0.0))
        if failures and now - since >= WELL:
            del self._failures[name]
        mending = f"{name} replicas"
        if isinstance(held.engine, Mends) and mending not in self._checks:
            self._check_soon(mending, self._mend(name, held.engine))
        why = await self._unwell(watch, held.engine)
        if not why and (watch.busy or self._clock() - watch.looked >= _LOOK):
            watch.looked = self._clock()
            return await self._grown(name, held)
        return why

    async def _unwell(self, watch: Watch, engine: Engine) -> str:
        watch.look(self._clock())
        try:
            pulse = await engine.pulse()
        except AgentosError as error:
            if not engine.alive:
                return "its process ended"
            watch.look(now := self._clock())
            silent = now - watch.heard
            wedged = await self._wedged(watch, engine, silent)
            return f"it gave no sign of life for {silent:.0f} s ({error})" if wedged else ""
        watch.look(now := self._clock())
        watch.heard = now
        watch.busy = pulse.busy
        if pulse.progress != watch.progress or not pulse.busy:
            watch.progress, watch.moved, watch.since = pulse.progress, now, None
        wedged = await self._wedged(watch, engine, now - watch.moved)
        return f"it owes an answer and has stood still for {now - watch.moved:.0f} s" if wedged else ""

    async def _mend(self, name: str, engine: Mends) -> None:
        """Starts again each replica of a model that is not well, while the others answer."""

        async def sick(replica: Engine) -> str:
            now = self._clock()
            why = await self._unwell(self._replicas.setdefault(replica, Watch(None, now, now, now, now)), replica)
            if why:
                del self._replicas[replica]  # its next process begins afresh
            return why

        try:
            mended = await engine.repair(sick)
        except AgentosError as error:
            log.warning("a replica of %s could not be started again (%s)", name, error)
            return
        for why in mended:
            log.warning("a replica of %s was started again (%s)", name, why)
            self._residency.meters.of(name).restarts += 1

    async def _wedged(self, watch: Watch, engine: Engine, still: float) -> bool:
        """Whether it stands still for another reason than that others take the processor.

        It does where it slept all the time, or had as much of the processor as should do.
        """
        if still < EVERY:
            return False
        if not isinstance(engine, Seen):
            return still >= PATIENCE
        worked = await asyncio.to_thread(worked_by, engine.pids())
        if watch.since is None:
            watch.since = worked
        had = worked - watch.since
        return still >= PATIENCE and (had < WORKED or had >= PATIENCE or still >= LOADING)

    async def _grown(self, name: str, held: Resident) -> str:
        held.memory = await asyncio.to_thread(held.engine.memory)
        if held.memory > held.peak:
            held.peak = held.memory
            self._residency.remember(held)
        claim = self._residency.budget.claims.get(name, {}).get("memory", 0)
        if await self._residency.fits(name, held.memory):
            return ""
        return (
            f"it grew to {show_bytes(held.memory)}, {show_bytes(claim)} had been set aside for it, and there is no "
            "room for more; ask for less at a time, or raise the setting 'memory_budget'"
        )

    def _lost(self, name: str, held: Resident, why: str) -> None:
        if name in self.down or self._residency.held().get(name) is not held:
            return
        now = self._clock()
        until = None if held.stays else now + (held.keep or 0.0) if held.users else held.expires
        wait = self._failed(name)
        log.warning("engine of %s ended (%s); it is started again in %g s", name, why, wait)
        order = replace(held.order, keep=held.keep, keep_text=held.keep_text)
        self.down[name] = Down(order, held.kernel, until, now + wait, why)
        task = self._restarts[name] = asyncio.create_task(self._restart(name))
        task.add_done_callback(lambda _: (self.down.pop(name, None), self._restarts.pop(name, None)))

    def _failed(self, name: str) -> float:
        failures = self._failures.get(name, (0, 0.0))[0]
        self._failures[name] = (failures + 1, self._clock())
        return float(min(LONGEST, 2.0**failures))

    async def _restart(self, name: str) -> None:
        down = self.down[name]
        await self._residency.clear(name)
        while down.until is None or self._clock() < down.until or self._residency.meters.of(name).asking:
            await self._sleep(max(0.0, down.at - self._clock()))
            try:
                await self._residency.join(down.order)
            except AgentosError as error:
                down.why = str(error)
                down.at = self._clock() + self._failed(name)
                continue
            if down.kernel:
                self._residency.pin(name)
            self._residency.meters.of(name).restarts += 1
            self._failures[name] = (self._failures.get(name, (1, 0.0))[0], self._clock())
            return

    async def _recovered(self, name: str) -> None:
        while (down := self.down.get(name)) is not None:
            failures = self._failures.get(name, (0, 0.0))[0]
            if failures > GIVE_WAY:
                left = max(0.0, down.at - self._clock())
                raise Retry(
                    f"{name!r} has failed {failures} times in a row, the last time because {down.why}. It is started "
                    f"again in {left:.0f} s; ask after that, or unload it."
                )
            await asyncio.wait({self._restarts[name]}, timeout=0.25)

    async def forget(self, name: str) -> bool:
        """Starts a model again no more; whether it was about to be."""
        task = self._restarts.get(name)
        self._failures.pop(name, None)
        if task is None:
            return False
        task.cancel()
        await asyncio.wait({task})
        return True

    async def close(self) -> None:
        """Ends restarts and checks under way."""
        tasks = [*self._restarts.values(), *self._checks.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
