"""Views that ask again each second: policy decides each time, and the trail notes each watcher once an hour."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from agentos.dispatch.context import CallContext, Services
from agentos.dispatch.dispatcher import Dispatcher, Judge, Trail, as_json
from agentos.errors import DeniedError, UserError
from agentos.types import Call, Denied, Event, Json, NeedsPerson

NOTED = 3600.0
"""Seconds for which one row on the trail stands for all looks of a watcher at the same thing."""
_WATCHERS = 1000
Read = Callable[[], Awaitable[Any]]


class Looks:
    """Makes reads for those who watch, by the dispatcher's own rules."""

    def __init__(
        self, dispatcher: Dispatcher, judge: Judge, trail: Trail, services: Services,
        *, clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads what the dispatcher's calls read.

        Args:
            dispatcher: Validates.
            judge: Decides, at each look anew.
            trail: Notes who watches what.
            services: What syscalls reach.
            clock: Seconds, for what was noted.
        """
        self._dispatcher, self._judge = dispatcher, judge
        self._trail, self._services, self._clock = trail, services, clock
        self._noted: dict[tuple[str, ...], float] = {}

    async def look(self, call: Call, read: Read | None = None) -> Json:
        """What a read gives, as JSON.

        Args:
            call: The syscall that policy judges.
            read: A cheaper way to the same figures; the syscall itself where None.

        Raises:
            UserError: it does not validate, or does more than read.
            DeniedError: policy says no, or wants a person asked each time.
            AgentosError: as the syscall says.
        """
        call, entry = self._dispatcher.validated(call)
        if entry.effect != "read":
            raise UserError(f"{entry.name} does more than read and cannot be watched; make it a call")
        decision = self._judge.decide(call, entry, confirmed=self._dispatcher.covered(call, entry) is not None)
        if isinstance(decision, NeedsPerson):
            self._trail.decided(call, decision)
            raise DeniedError(f"{entry.name} waits for a person each time ({decision.reason}) and cannot be watched")
        if isinstance(decision, Denied):
            self._trail.decided(call, decision)
            raise DeniedError(f"{entry.name} was denied to {call.caller.user} by {decision.rule}: {decision.reason}")
        context = CallContext(self._services, call.caller, call.id, _nobody)
        now, who = self._clock(), call.caller
        watcher = (who.user, who.role, who.session, who.door, call.syscall, repr(sorted(call.args.items())))
        known = now - self._noted.get(watcher, now - 2 * NOTED) < NOTED
        row = None if known else self._trail.decided(call, decision)
        try:
            seen = as_json(await (read() if read is not None else entry.function(context, **call.args)))
        except BaseException as error:
            if row is not None:
                self._trail.finished(row, "failed", type(error).__name__)
            raise
        if row is not None:
            self._trail.finished(row, "done", "watched")
            self._note(watcher, now)
        return seen

    def _note(self, watcher: tuple[str, ...], now: float) -> None:
        """From here on a row on the trail stands for this watcher's looks."""
        if len(self._noted) >= _WATCHERS:
            self._noted = {one: at for one, at in self._noted.items() if now - at < NOTED}
        while len(self._noted) >= _WATCHERS:
            del self._noted[min(self._noted, key=self._noted.__getitem__)]
        self._noted[watcher] = now


async def _nobody(event: Event) -> None:
    """Progress of a look, which nobody sees."""
