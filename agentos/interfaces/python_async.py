"""`from agentos import AsyncClient`: the same names, awaited. Each request waits in a thread of its own, so that the
one transport there is serves both clients and any event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentos.interfaces.python import Told, held_of, sendable, settings_of, wire
from agentos.interfaces.python_async_run import AsyncHeld, AsyncRun, in_thread
from agentos.interfaces.python_calls import AsyncCalls
from agentos.types.calls import Plan


class AsyncClient(AsyncCalls):
    """The system, for asynchronous Python: as `Client`, with `await` before what asks the system."""

    def __init__(
        self, url: str = "", key: str = "", *, home: str | Path = "", user: str = "", session: str = "",
        autostart: bool = True, told: Told | None = None,
    ) -> None:
        """Connects at the first request; the arguments are those of `Client`."""
        self._wire = wire(settings_of(url, key, home), user, session, autostart, told)

    def ask(self, sentence: str) -> AsyncRun:
        """Plans a sentence and runs the plan; gives the run, which has begun."""
        return AsyncRun(self._wire, self._wire.run(sentence))

    async def plan(self, sentence: str) -> Plan:
        """What a sentence comes to; nothing runs."""
        return Plan.from_json(await in_thread(lambda: self._wire.plan(sentence)))

    async def call(self, name: str, /, *, yes: bool = False, **args: Any) -> Any:
        """Makes one call and gives its result; a task that is cancelled meanwhile ends the call.

        Raises:
            AsyncCallHeld: it waits for a person; `await error.held.approve()` answers.
            AgentosError: as `Client.call`.
        """
        return await self._make(name, args, yes)

    async def approvals(self) -> list[AsyncHeld]:
        """Calls that wait for a person: everybody's for an administrator, else the caller's own."""
        await in_thread(self._wire.wait)
        rows = (await in_thread(lambda: self._wire.request("GET", "/v1/approvals")))["approvals"]
        return [AsyncHeld(held_of(row), AsyncRun(self._wire)) for row in rows]

    async def status(self) -> dict[str, Any]:
        """How the system does; never starts it."""
        return await in_thread(self._wire.status)

    async def _make(self, name: str, args: Mapping[str, Any], yes: bool) -> Any:
        run = AsyncRun(self._wire, self._wire.call(name, sendable(name, args), yes))
        try:
            async for event in run:
                if event.event == "progress" and self._wire.told is not None:
                    self._wire.told(vars(event))
        except asyncio.CancelledError:
            run.give_up()
            raise
        return run.result

    def __repr__(self) -> str:
        """Which system it is."""
        return f"<agentos.AsyncClient of {self._wire.settings.url or str(self._wire.settings.home)!r}>"
