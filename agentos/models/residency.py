"""What is in memory: loads are joined and admitted in order, dead engines are noticed."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from agentos.errors import Failed, UserError
from agentos.models.admission import Admission
from agentos.models.beside import silent
from agentos.models.budget import HOST, Budget
from agentos.models.clear import load
from agentos.models.eviction import Eviction, Frugal
from agentos.models.expiry import Expiry
from agentos.models.joined import Joined
from agentos.models.meter import Meter, Meters
from agentos.models.remembered import Measure, Remembered
from agentos.models.resident import Order, Resident
from agentos.types import Engine, LoadedModel, ModelSpec, Progress
from agentos.types.units import show_bytes

log = logging.getLogger(__name__)
_LOOK = 0.25
"""How often a loading engine's memory is looked at, in seconds."""


class Residency:
    """The loaded models by name. Times come from `clock`, so that a test need not wait."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, budget: Budget | None = None,
        eviction: Eviction | None = None, remembered: Remembered | None = None, meters: Meters | None = None,
    ) -> None:
        """Nothing in memory.

        Args:
            clock: Seconds.
            budget: What models may take; without one, anything.
            eviction: Who leaves when room is short.
            remembered: Where measured needs are kept.
            meters: What models are asked.
        """
        self._clock = clock
        self._held: dict[str, Resident] = {}
        self._loading: Joined[Resident] = Joined()
        self._watchers: dict[str, list[Progress]] = {}
        self._coming: Counter[str] = Counter()
        self._most: dict[str, int] = {}
        """Bytes that loading engines have held at most."""
        self.starting: dict[str, tuple[Order, Engine]] = {}
        """Engines that are loading."""
        self.budget = budget or Budget(lambda: 1 << 62)
        self.budget.held = self._holding
        self.eviction = eviction or Frugal()
        self.remembered = remembered
        if remembered is not None:
            self.eviction.restore(remembered.uses())
        self.meters = meters or Meters(clock)
        self.admission = Admission(self.budget, self.eviction, self._held, self._leave, clock)
        self.expiry = Expiry(self._held, self._leave, clock)
        self.lost: Callable[[str, Resident, str], None] = lambda name, held, why: None
        """Told of an engine that died; a supervisor starts it again."""
        self.ending: dict[str, tuple[Resident, asyncio.Future[None]]] = {}
        """Models that are being taken out."""
        self.timed: Callable[[str, float], None] = lambda engine, seconds: None
        """Told of each load: the engine, and the seconds it took."""
        self.recovered: Callable[[str], Awaitable[None]] | None = None
        """Waits until a supervisor has started a model again, where it is about to."""

    def now(self) -> float:
        """The clock that expiry goes by."""
        return self._clock()

    def get(self, name: str) -> Resident | None:
        """A model that is in memory and whose engine lives."""
        held = self._held.get(name)
        return held if held is not None and held.alive else None

    def all(self) -> dict[str, Resident]:
        """Every model in memory whose engine lives."""
        return {name: held for name, held in self._held.items() if held.alive}

    def there(self) -> list[str]:
        """Models in memory, on their way there, or leaving."""
        return list(dict.fromkeys([*self.all(), *self.starting, *self.admission.waiting, *self.ending]))

    def held(self) -> dict[str, Resident]:
        """Every model in memory, also those whose engine has died and which nobody has cleared away."""
        return dict(self._held)

    def _holding(self) -> int:
        engines = [held.engine for held in self._held.values()] + [engine for _, engine in self.starting.values()]
        # what is ending is no longer seen by its engine, and not yet free
        ending = sum(max(held.memory, held.engine.memory()) for held, _ in self.ending.values())
        return ending + sum(engine.memory() for engine in engines)

    async def load(self, order: Order, progress: Progress = silent, *, asked: bool = True) -> Resident:
        """The model in memory; joins a load or a restart under way, and refreshes the time of one that is there.

        A load goes on when one of several callers gives up, and ends when the last one does.

        Args:
            order: What to load, and how long it stays.
            progress: Told how far it is.
            asked: Whether somebody said how long it stays; one who only uses it changes nothing of that.

        Raises:
            Failed: it cannot be loaded, or does not fit; nothing is left of it.
            Retry: it has failed again and again, and is started again later.
        """
        name = order.spec.name
        if name not in self._loading:
            if self.get(name) is None and self.recovered is not None:
                await self.recovered(name)
            held = self.get(name)
            if held is None:
                self.meters.of(name).fresh()
                held = await self.join(order, progress)
        else:
            held = await self.join(order, progress)
        if asked:
            held.keep, held.keep_text = order.keep, order.keep_text
        self._touch(held)
        return held

    async def join(self, order: Order, progress: Progress = silent) -> Resident:
        """Begins a load, or joins the one under way."""
        name = order.spec.name
        watchers = self._watchers.setdefault(name, [])
        watchers.append(progress)
        try:
            return await self._loading.run(name, lambda: self._load(order))
        finally:
            watchers.remove(progress)

    async def _load(self, order: Order) -> Resident:
        name, meter = order.spec.name, self.meters.of(order.spec.name)
        await self.clear(name)

        async def tell(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
            meter.part = done / total if done is not None and total else meter.part
            for watcher in list(self._watchers.get(name, ())):
                await watcher(message, done, total, unit)

        engine: Engine | None = None
        self.eviction.used(name, self._clock())
        try:
            await self.admission.enter(name, order.need, tell)
            engine = order.make()
            self.starting[name] = (order, engine)
            loaded = await self._watched(engine, replace(order.spec, limit=self._limit(order)), tell)
            held = Resident(engine, loaded, order, order.keep, order.keep_text, self._coming)
            await self._settle(held)
        except BaseException:
            self._most.pop(name, None)
            if engine is not None:
                await asyncio.shield(engine.unload())
            self.release(name)
            raise
        finally:
            self.starting.pop(name, None)
            meter.part = None
        self._held[name] = held
        self.eviction.loaded(name, held.memory + loaded.gpu_memory, loaded.seconds, self._clock())
        self.timed(loaded.engine, loaded.seconds)
        self._touch(held)
        return held

    def _limit(self, order: Order) -> int | None:
        """What an engine is held to by force; vLLM takes all it may of a GPU, so that is what was set aside."""
        cards = [size for kind, size in self.budget.claims.get(order.spec.name, {}).items() if kind != HOST]
        return min(cards) if cards and order.engine.startswith("vllm") else self.budget.most(order.spec.name)

    async def _watched(self, engine: Engine, spec: ModelSpec, tell: Progress) -> LoadedModel:
        loading = asyncio.ensure_future(load(engine, spec, tell))
        try:
            while not (await asyncio.wait({loading}, timeout=_LOOK))[0]:
                memory = await asyncio.to_thread(engine.memory)  # it reads what /proc says of gibibytes
                self._most[spec.name] = max(memory, self._most.get(spec.name, 0))
                if not await self.fits(spec.name, memory):
                    await engine.kill("it took more memory while it was loaded than there is room for")
        except BaseException:
            loading.cancel()
            await asyncio.wait({loading})
            raise
        return loading.result()

    async def fits(self, name: str, memory: int) -> bool:
        """Whether what a model holds is within its claim, or the claim can grow to it."""
        claim = self.budget.claims.get(name, {})
        if not claim or memory <= claim.get(HOST, 0):
            return True
        return await self.admission.grow(name, {**claim, HOST: memory})

    async def _settle(self, held: Resident) -> None:
        """Charges a loaded model what it was measured to take."""
        order, name = held.order, held.order.spec.name
        held.memory = held.peak = held.engine.memory()
        held.loading = max(held.memory, self._most.pop(name, 0))
        claim = dict(self.budget.claims.get(name, {}))
        if not claim:
            return
        if not await self.fits(name, held.memory):
            raise Failed(
                f"{name!r} took {show_bytes(held.memory)}, {show_bytes(claim[HOST])} had been set aside, and there "
                "is no room for more; it was ended. Raise the setting 'memory_budget'."
            )
        expected = held.memory + order.growth
        claim[HOST] = max(expected, order.need.after)
        cards = [kind for kind in claim if kind != HOST]
        before = dict(claim)
        if held.loaded.gpu_memory:
            claim |= {card: held.loaded.gpu_memory // len(cards) for card in cards}
        # main memory it may still take is promised only where there is room; of a GPU it has taken what it takes
        if not await self.admission.grow(name, claim) and any(claim[card] > before[card] for card in cards):
            raise Failed(
                f"{name!r} took {show_bytes(held.loaded.gpu_memory)} of GPU memory, more than had been set aside, and "
                "there is no room for it; it was ended. Raise the setting 'gpu_memory_budget'."
            )
        self.remember(held)

    def remember(self, held: Resident) -> None:
        """Notes what a model was measured to take, for the next time."""
        order = held.order
        if self.remembered is not None and order.key is not None:
            seen = Measure(held.loaded.memory + order.growth, held.peak, held.loading, held.loaded.gpu_memory)
            try:
                self.remembered.put(order.key, seen)
            except Failed:  # a full disk costs the next start an estimate, and this one nothing
                log.exception("what a model takes could not be noted")

    def release(self, name: str) -> None:
        """Gives back what was set aside under a name, and tells who waits for room."""
        self.budget.release(name)
        self.admission.changed()
        self.expiry.changed()

    @asynccontextmanager
    async def using(self, name: str, load: Callable[[], Awaitable[Resident]]) -> AsyncIterator[Resident]:
        """A model in memory, brought there by `load` where need be; it stays until the caller has done."""
        meter: Meter = self.meters.of(name)
        meter.enter()
        try:
            await self.admission.gone(name)
            self._coming[name] += 1
            try:
                held = self.get(name)
                if held is None:
                    held = await load()
                else:
                    self.eviction.used(name, self._clock())
                held.users += 1
            finally:
                self._coming[name] -= 1
                self.admission.changed()
            try:
                yield held
            finally:
                held.users -= 1
                self._touch(held)
                if not held.alive and self._held.get(name) is held:
                    self.lost(name, held, "its process ended")
                    if self._held.get(name) is held:
                        await self.clear(name)
        finally:
            meter.leave()

    def _touch(self, held: Resident) -> None:
        held.expires = None if held.stays else self._clock() + (held.keep or 0.0)
        self.expiry.changed(math.inf if held.expires is None else held.expires)
        self.admission.changed()

    def pin(self, name: str) -> None:
        """Makes a model the kernel's own: it never leaves by itself."""
        self._held[name].kernel = True
        self._touch(self._held[name])

    async def _leave(self, name: str) -> bool:
        held = self._held.get(name)
        if held is None or (held.alive and not held.idle):
            return False
        await self.clear(name)
        return True

    async def clear(self, name: str) -> Resident | None:
        """Ends what is there of a model, or waits until it has ended; its room is given back once it has gone."""
        held = self._held.pop(name, None)
        if held is not None:
            self.ending[name] = held, asyncio.ensure_future(self._end(name, held))
        if name in self.ending:
            await asyncio.shield(self.ending[name][1])
        return held

    async def _end(self, name: str, held: Resident) -> None:
        try:
            await held.engine.unload()
        finally:
            del self.ending[name]
            self.release(name)

    async def drop(self, name: str) -> Resident | None:
        """Takes a model out of memory, or what is left of a dead one; gives what was there.

        Raises:
            UserError: it is answering somebody.
        """
        held = self._held.get(name)
        users = held.users + self._coming[name] if held is not None else 0
        if held is not None and users and held.alive:
            raise UserError(
                f"{name!r} is answering {users} request(s) and was left in memory. Wait for them or cancel them."
            )
        return await self.clear(name)

    async def close(self) -> None:
        """Ends every engine, also those that are still loading."""
        await self._loading.close()
        await asyncio.gather(*(self.clear(name) for name in [*self._held, *self.ending]))
        self.save()

    def save(self) -> None:
        """Keeps what eviction knows of each model's use, for the next start."""
        if self.remembered is not None:
            self.remembered.keep(self.eviction.save())
