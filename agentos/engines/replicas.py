"""Several engines of one model behind one: each request goes to the one that owes least."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from agentos.errors import Failed, UserError
from agentos.types import (
    Bytes,
    Completed,
    Engine,
    Generation,
    LoadedModel,
    ModelSpec,
    Predicted,
    Progress,
    Pulse,
    Token,
)


@dataclass
class _Replica:
    engine: Engine
    owed: int = 0
    turn: int = 0
    """When it was last chosen, so that equals take turns."""
    healthy: bool = False
    progress: int = 0
    mending: asyncio.Lock = field(default_factory=asyncio.Lock)


class Replicas:
    """Engines that serve one model. Implements `Engine`; it lives as long as one of them does."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        """Engines that are not running yet, all of one kind, at least one."""
        self.name = engines[0].name
        self._loaded: LoadedModel | None = None
        self._spec: ModelSpec | None = None
        self._replicas = [_Replica(engine) for engine in engines]
        self._asked: set[str] = set()
        self._loading = False
        self._turns = self._progress = 0

    @property
    def loaded(self) -> LoadedModel | None:
        """All of them together; None where none can answer."""
        return self._loaded if self.healthy else None

    @property
    def alive(self) -> bool:
        """Whether one of them can answer, or is being loaded."""
        return any(self._fit(replica) or (self._loading and replica.engine.alive) for replica in self._replicas)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._replicas)

    @property
    def healthy(self) -> int:
        """How many can answer now."""
        return sum(map(self._fit, self._replicas))

    async def load(self, spec: ModelSpec, progress: Progress | None = None) -> LoadedModel:
        """Loads one after another, since each takes the whole processor while it loads; on failure none is left.

        `spec.limit` is of all of them together.
        """
        await self.unload()
        share = None if spec.limit is None else spec.limit // len(self._replicas)
        own = self._spec = replace(spec, limit=share)
        self._loading = True
        try:
            for number, replica in enumerate(self._replicas, 1):
                if progress is not None and len(self._replicas) > 1:
                    await progress(f"{spec.name}: replica {number} of {len(self._replicas)}")
                await replica.engine.load(own, progress)
                self._still(own)
                replica.healthy = True
        except BaseException:
            await self.unload()
            raise
        finally:
            self._loading = False
        return self._sum()

    async def generate(self, request: Generation) -> AsyncIterator[Token | Completed]:
        """Tokens as they come, then one `Completed`; closing the iterator cancels the request.

        A replica that dies before its first token hands the request to another.

        Raises:
            Failed: the replica died in the middle of the answer, or no replica is left.
            UserError: the request cannot be met, or one of that id is under way.
        """
        if request.id in self._asked:
            raise UserError(f"request {request.id!r} is already under way; give each its own id")
        self._asked.add(request.id)
        try:
            async with aclosing(self._stream(request)) as stream:
                async for item in stream:
                    if isinstance(item, Completed):
                        self._asked.discard(request.id)
                    yield item
        finally:
            self._asked.discard(request.id)

    async def _stream(self, request: Generation) -> AsyncGenerator[Token | Completed, None]:
        tried: list[_Replica] = []
        while True:
            replica = self._choose(tried)
            tried.append(replica)
            begun = False
            replica.owed += 1
            try:
                async with aclosing(replica.engine.generate(request)) as stream:  # type: ignore[type-var]
                    async for item in stream:
                        begun = True
                        yield item
                return
            except Failed:
                replica.healthy = replica.healthy and replica.engine.alive
                if begun or not any(self._fit(other) for other in self._replicas if other not in tried):
                    raise
            finally:
                replica.owed -= 1

    async def predict(self, texts: Sequence[str]) -> Predicted:
        """Labels with probabilities, or vectors; a replica that dies hands the texts to another."""
        tried: list[_Replica] = []
        while True:
            replica = self._choose(tried)
            tried.append(replica)
            replica.owed += 1
            try:
                return await replica.engine.predict(texts)
            except Failed:
                replica.healthy = replica.healthy and replica.engine.alive
                if not any(self._fit(other) for other in self._replicas if other not in tried):
                    raise
            finally:
                replica.owed -= 1

    async def adapt(self, folder: Path | None) -> bool:
        """False: vLLM has no adapter that acts on the end of a prompt alone."""
        return False

    async def pulse(self) -> Pulse:
        """All of them together, for as long as one can answer; `repair` is what looks at each.

        Raises:
            Failed: none of them gives a sign of life.
        """
        fit = [replica for replica in self._replicas if self._fit(replica)]
        if self._loading:
            fit = [replica for replica in self._replicas if replica.engine.alive]
        pulses = await asyncio.gather(*(replica.engine.pulse() for replica in fit), return_exceptions=True)
        alive = [pulse for pulse in pulses if isinstance(pulse, Pulse)]
        if not alive:
            raise Failed(f"no replica of the {self.name} engine gives a sign of life")
        for replica, pulse in zip(fit, pulses, strict=True):
            if isinstance(pulse, Pulse) and pulse.progress != replica.progress:
                replica.progress = pulse.progress
                self._progress += 1
        return Pulse(self._progress, any(pulse.busy for pulse in alive))

    def memory(self) -> Bytes:
        """What they hold now."""
        return sum(replica.engine.memory() for replica in self._replicas)

    async def kill(self, why: str) -> None:
        """Ends all of them at once."""
        self._loaded = self._spec = None
        await self._each(lambda replica: replica.engine.kill(why))

    async def unload(self) -> None:
        """Ends all of them."""
        self._loaded = self._spec = None
        await self._each(lambda replica: replica.engine.unload())

    async def repair(self, sick: Callable[[Engine], Awaitable[str]]) -> list[str]:
        """Ends and loads again each replica that has ended or is sick, while the others serve.

        Args:
            sick: Why a running replica is to be ended; empty where it is well. Supervision's own judgement.

        Returns:
            Why each that was loaded again had to be.

        Raises:
            Failed: one could not be loaded again; it stays left out, and the next repair tries it again. Or all of
                them were ended meanwhile, and none was left running.
        """
        own = self._spec
        if own is None or self._loading:
            return []
        mended = []
        for replica in self._replicas:
            if replica.mending.locked():
                continue
            async with replica.mending:
                why = await sick(replica.engine) if self._fit(replica) else "its process ended"
                if not why:
                    continue
                replica.healthy = False
                await replica.engine.kill(why)
                self._still(own)
                try:
                    await replica.engine.load(own)
                    self._still(own)
                except BaseException:
                    await replica.engine.unload()
                    raise
                replica.healthy = True
                mended.append(why)
        if mended:
            self._sum()
        return mended

    def _still(self, spec: ModelSpec) -> None:
        """Failed: whoever loads was overtaken by an end of all of them."""
        if self._spec is not spec:
            raise Failed(f"the {self.name} engine was ended while it loaded")

    async def _each(self, end: Callable[[_Replica], Awaitable[None]]) -> None:
        for replica in self._replicas:
            replica.healthy = False
        await asyncio.gather(*map(end, self._replicas))

    def _fit(self, replica: _Replica) -> bool:
        return replica.healthy and replica.engine.alive

    def _choose(self, tried: list[_Replica]) -> _Replica:
        fit = [replica for replica in self._replicas if self._fit(replica) and replica not in tried]
        if not fit:
            raise Failed(f"no replica of the {self.name} engine is running; load the model again")
        self._turns += 1
        chosen = min(fit, key=lambda replica: (replica.owed, replica.turn))
        chosen.turn = self._turns
        return chosen

    def _sum(self) -> LoadedModel:
        each = [replica.engine.loaded for replica in self._replicas if replica.engine.loaded is not None]
        self._loaded = replace(
            each[0], memory=sum(one.memory for one in each), seconds=sum(one.seconds for one in each),
            gpu_memory=sum(one.gpu_memory for one in each), grammar=all(one.grammar for one in each),
        )
        return self._loaded

