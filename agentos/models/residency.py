"""What is in memory: loads are joined, idle models leave when their time is up, dead engines are noticed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from agentos.errors import UserError
from agentos.models.joined import Joined
from agentos.types import Engine, LoadedModel, ModelSpec


@dataclass
class Resident:
    """One model in memory."""

    engine: Engine
    loaded: LoadedModel
    keep: float | None
    """Seconds it stays after its last use; None is for ever."""
    keep_text: str
    expires: float | None = None
    kernel: bool = False
    users: int = 0

    @property
    def alive(self) -> bool:
        """Whether its process still runs."""
        try:
            return psutil.Process(self.loaded.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:
            return True


class Residency:
    """The loaded models by name. Times come from `clock`, so that a test need not wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing in memory."""
        self._clock = clock
        self._held: dict[str, Resident] = {}
        self._loading: Joined[Resident] = Joined()
        self._changed = asyncio.Event()

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

    @property
    def memory(self) -> int:
        """Bytes that all of them took when they were loaded."""
        return sum(held.loaded.memory for held in self.all().values())

    async def load(
        self, spec: ModelSpec, make: Callable[[], Engine], keep: tuple[float | None, str], check: Callable[[], None]
    ) -> Resident:
        """The model in memory; joins a load that is under way, and refreshes the time of one that is there.

        A load goes on when one of several callers gives up, and ends when the last one does.

        Args:
            spec: What to load.
            make: Makes its engine.
            keep: Seconds to keep it after its last use, and that in words.
            check: Called before the load; raises where memory does not suffice.
        """
        if spec.name not in self._loading:
            held = self.get(spec.name)
            if held is not None:
                held.keep, held.keep_text = keep
                self._touch(held)
                return held
            check()
        return await self._loading.run(spec.name, lambda: self._load(spec, make, keep))

    async def _load(self, spec: ModelSpec, make: Callable[[], Engine], keep: tuple[float | None, str]) -> Resident:
        await self.drop(spec.name)  # what a dead engine left
        engine = make()
        try:
            loaded = await engine.load(spec)
        except BaseException:
            await engine.unload()
            raise
        held = Resident(engine, loaded, *keep)
        self._held[spec.name] = held
        self._touch(held)
        return held

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[Resident]:
        """Keeps a loaded model from leaving while it works, and starts its time afresh afterwards."""
        held = self._held[name]
        held.users += 1
        try:
            yield held
        finally:
            held.users -= 1
            self._touch(held)
            if not held.alive:
                await self.drop(name)

    def _touch(self, held: Resident) -> None:
        held.expires = None if held.keep is None or held.kernel else self._clock() + held.keep
        self._changed.set()

    def pin(self, name: str) -> None:
        """Makes a model the kernel's own: it never leaves by itself."""
        self._held[name].kernel = True
        self._touch(self._held[name])

    async def drop(self, name: str) -> Resident | None:
        """Takes a model out of memory, or what is left of a dead one; gives what was there.

        Raises:
            UserError: it is answering somebody.
        """
        held = self._held.get(name)
        if held is None:
            return None
        if held.users and held.alive:
            raise UserError(
                f"{name!r} is answering {held.users} request(s) and was left in memory. Wait for them or cancel them."
            )
        del self._held[name]
        await held.engine.unload()
        return held

    async def expire(self) -> list[str]:
        """Takes out what is past its time and not in use; gives the names."""
        now = self._clock()
        due = [
            name for name, held in self._held.items()
            if held.expires is not None and held.expires <= now and not held.users
        ]
        for name in due:
            await self.drop(name)
        return due

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Expires models as their time comes, until cancelled."""
        while True:
            await self.expire()
            times = [held.expires for held in self._held.values() if held.expires is not None and not held.users]
            self._changed.clear()
            if not times:
                await self._changed.wait()
                continue
            waiting = [asyncio.ensure_future(sleep(max(0.01, min(times) - self._clock()))),
                       asyncio.ensure_future(self._changed.wait())]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waiting:
                    task.cancel()

    async def close(self) -> None:
        """Ends every engine, also those that are still loading."""
        await self._loading.close()
        for name in list(self._held):
            self._held[name].users = 0
            await self.drop(name)
