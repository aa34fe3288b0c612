"""Who comes into memory next: in order, each once there is room, and others leave for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agentos.errors import Failed
from agentos.models.budget import HOST, Budget, Need
from agentos.models.eviction import Eviction
from agentos.types import Progress
from agentos.types.units import show_bytes


class Seat(Protocol):
    """A model in memory, as far as room is concerned."""

    @property
    def idle(self) -> bool:
        """Whether nobody uses it or is about to."""
        ...

    @property
    def stays(self) -> bool:
        """Whether it never makes room: the kernel's own, or kept for ever."""
        ...


@dataclass(eq=False)
class _Ticket:
    name: str
    need: Need
    turn: asyncio.Event = field(default_factory=asyncio.Event)


class Admission:
    """Loads go in one at a time, in the order they were asked for; a model that is used is waited for.

    Whoever is first and waits names the models that shall leave: they take no new callers until they
    have gone, so that a stream of requests for one model cannot keep another out for ever.
    """

    def __init__(
        self, budget: Budget, eviction: Eviction, seats: Mapping[str, Seat],
        leave: Callable[[str], Awaitable[bool]], clock: Callable[[], float],
    ) -> None:
        """Nobody waits.

        Args:
            budget: Limits and claims.
            eviction: Chooses who leaves.
            seats: What is in memory.
            leave: Takes an idle model out; False where somebody has come to use it.
            clock: Seconds.
        """
        self.budget = budget
        self._eviction = eviction
        self._seats = seats
        self._leave = leave
        self._clock = clock
        self._queue: deque[_Ticket] = deque()
        self._changed = asyncio.Event()
        self._gates: list[asyncio.Future[None]] = []
        self.leaving: set[str] = set()
        """Models that take no new callers: the first in the queue waits for them to go."""
        self.evictions = 0
        """Models that have left memory to make room for others."""

    @property
    def waiting(self) -> dict[str, Need]:
        """Who waits for room, the first to come in first."""
        return {ticket.name: ticket.need for ticket in self._queue}

    def changed(self) -> None:
        """Tells the first in the queue that there may be room."""
        self._changed.set()

    async def gone(self, name: str) -> None:
        """Waits until a model that shall leave has left, or may stay after all."""
        while name in self.leaving:
            gate = asyncio.get_running_loop().create_future()
            self._gates.append(gate)
            await gate

    def _name_leaving(self, names: Iterable[str]) -> None:
        self.leaving = set(names)
        gates, self._gates = self._gates, []
        for gate in gates:
            if not gate.done():
                gate.set_result(None)

    async def enter(self, name: str, need: Need, progress: Progress) -> None:
        """Sets memory aside for a model, once it is its turn and there is room.

        Raises:
            Failed: it does not fit beside what stays in memory for good; nothing was loaded.
        """
        self._possible(name, need)
        ticket = _Ticket(name, need)
        self._queue.append(ticket)
        try:
            if self._queue[0] is not ticket:
                ahead = self._queue[0].name
                await progress(f"{name} waits for its turn: {ahead} comes first")
                await ticket.turn.wait()
            await self._room(name, need, progress)
        finally:
            self._queue.remove(ticket)
            self._name_leaving(())
            if self._queue:
                self._queue[0].turn.set()
            self._changed.set()

    async def _room(self, name: str, need: Need, progress: Progress) -> None:
        told = ""
        while True:
            self._changed.clear()
            short = self.budget.short(need.bytes)
            if not short:
                self.budget.claim(name, need.bytes)
                return
            self._possible(name, need)
            idle = self._choose(short, lambda seat: seat.idle)
            if idle:
                for victim in idle:
                    await progress(f"{victim} leaves memory to make room for {name}")
                    await self._evict(victim)
                continue
            wanted = self._choose(short, lambda _: True)
            self._name_leaving(wanted or ())
            kind, lack = next(iter(short.items()))
            whom = ", ".join(sorted(self.leaving)) or "loads that are under way"
            line = f"{name} waits for {show_bytes(lack)} of {kind}, until {whom} can leave"
            if line != told:
                told = line
                await progress(line)
            if not self._changed.is_set():
                await self._changed.wait()

    async def _evict(self, victim: str) -> None:
        left = await self._leave(victim)  # others count meanwhile: += would have read the sum before it waits
        self.evictions += left

    def _choose(self, short: Mapping[str, int], which: Callable[[Seat], bool]) -> list[str] | None:
        may = [name for name, seat in self._seats.items() if not seat.stays and which(seat)]
        chosen: list[str] = []
        for kind, lack in short.items():
            freed = sum(self.budget.claims.get(name, {}).get(kind, 0) for name in chosen)
            left = {name: self.budget.claims.get(name, {}).get(kind, 0) for name in may if name not in chosen}
            more = self._eviction.victims({n: size for n, size in left.items() if size}, lack - freed, self._clock())
            if more is None:
                return None
            chosen += more
        return chosen

    def _possible(self, name: str, need: Need) -> None:
        fixed = [other for other, seat in self._seats.items() if seat.stays and other != name]
        for kind, wanted in need.bytes.items():
            taken = sum(self.budget.claims.get(other, {}).get(kind, 0) for other in fixed)
            limit = self.budget.limit(kind)
            if wanted <= limit - taken:
                continue
            within = f" within the setting {self.budget.setting!r}" if kind == HOST and self.budget.setting else ""
            beside = f" beside {', '.join(fixed)} ({show_bytes(taken)}, which stay)" if taken else ""
            quantize = f"Quantize it (agentos call models.quantize --model {name} --bits 4), raise" * need.smaller
            raise Failed(
                f"{name!r} needs {show_bytes(wanted)} of {kind} and this machine can give "
                f"{show_bytes(max(0, limit - taken))}{within}{beside}; nothing was loaded. {quantize or 'Raise'} the "
                f"setting "
                f"{'memory_budget' if kind == HOST else 'gpu_memory_budget'!r}, or close other programs."
            )

    async def grow(self, name: str, claim: Mapping[str, int]) -> bool:
        """Charges a model what it turned out to hold; idle ones leave for it. False where there is no room for it."""
        mine = self._seats.get(name)
        while short := self.budget.short(claim, apart=name):
            victims = self._choose(short, lambda seat: seat.idle and seat is not mine)
            if not victims:
                return False
            for victim in victims:
                await self._evict(victim)
        if name not in self.budget.claims:  # it went while others left
            return True
        self.budget.claim(name, claim)
        self._changed.set()
        return True
