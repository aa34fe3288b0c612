"""One run, as the asynchronous client gives it; and work that waits in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from agentos.errors import ApprovalNeeded
from agentos.interfaces.client import Client as Wire
from agentos.interfaces.client import Event
from agentos.interfaces.python_events import ErrorEvent, HeldEvent, RunEvent
from agentos.interfaces.python_record import Record, held_html
from agentos.interfaces.python_run import Answer
from agentos.types.calls import Plan, Scope

T = TypeVar("T")


class AsyncCallHeld(ApprovalNeeded):
    """A call that waits for a person; `await error.held.approve()` answers it."""

    def __init__(self, message: str, held: AsyncHeld) -> None:
        """Takes the held call along."""
        super().__init__(message, held.call.approval)
        self.held = held


@dataclass(frozen=True)
class AsyncHeld:
    """A call that waits for a person: exactly what would run, and the way to answer."""

    call: HeldEvent
    run: AsyncRun

    async def approve(self, scope: Scope = "once") -> AsyncRun:
        """Lets it run, for once, this session or always; the run, once it has ended or waits again."""
        return await self.run.answered(self.call.approval, scope)

    async def refuse(self, reason: str = "") -> AsyncRun:
        """Says no; the run, once it has ended or waits again."""
        return await self.run.answered(self.call.approval, "no", reason)

    def _repr_html_(self) -> str:
        return held_html(self.call)


class AsyncRun:
    """A sentence or a call on its way. `async for event in run` has its events, `await run` its end; after that
    `plan`, `results`, `reply`, `errors` and `held` say what became of it. It goes on whether or not somebody reads.
    """

    def __init__(self, wire: Wire, events: Iterator[Event] | None = None) -> None:
        """Begins at once; must be made in a running event loop."""
        self._wire, self._record = wire, Record()
        self._changed, self._reading = asyncio.Event(), False
        self._error: BaseException | None = None
        self._given_up = False
        if events is not None:
            self._follow(events)

    async def __aiter__(self) -> AsyncIterator[RunEvent]:
        """Every event, from the first one on, as they come."""
        seen = 0
        while True:
            while seen < len(self._record.events):
                yield self._record.events[seen]
                seen += 1
            if not self._reading:
                break
            await self._changed.wait()
        if self._error is not None:
            raise self._error

    def __await__(self) -> Generator[Any, None, AsyncRun]:
        """The run, once it has ended or waits for a person."""
        return self._ended().__await__()

    @property
    def id(self) -> str:
        """What the audit trail calls it."""
        return self._record.run

    @property
    def plan(self) -> Plan | None:
        """What is done, once it is known."""
        return self._record.plan

    @property
    def results(self) -> Mapping[str, Any]:
        """What each step gave so far, by its id, as the syscall's own type."""
        return self._record.results

    @property
    def result(self) -> Any:
        """What the last step gave.

        Raises:
            AsyncCallHeld: it waits for a person.
            AgentosError: the run failed, as the error's type says.
        """
        fault = self._record.fault()
        if isinstance(fault, ApprovalNeeded):
            raise AsyncCallHeld(str(fault), self.held[0])
        if fault is not None:
            raise fault
        return self._record.last

    @property
    def reply(self) -> str:
        """What a person is told: the reply where there is one, else what the steps gave, as text."""
        return self._record.said

    @property
    def errors(self) -> list[ErrorEvent]:
        """What went wrong so far, step by step."""
        return self._record.errors

    @property
    def held(self) -> list[AsyncHeld]:
        """Calls that wait for a person."""
        return [AsyncHeld(call, self) for call in self._record.waiting]

    @property
    def ok(self) -> bool:
        """Whether it has ended and all was done."""
        return self._record.end is not None and self._record.end.ok

    async def cancel(self) -> bool:
        """Ends it; False where it had ended. Steps that were done stay done."""
        return await in_thread(lambda: self._wire.cancel(self.id))

    def give_up(self) -> None:
        """Ends it without waiting for its end, as soon as it has a name."""
        self._given_up = True
        if self.id and self._reading:
            threading.Thread(target=self._wire.cancel, args=(self.id,), name="agentos-cancel", daemon=True).start()

    async def answered(self, approval: str, answer: Answer, reason: str = "") -> AsyncRun:
        """Goes on with a person's answer to a held call."""
        await self
        self._follow(self._wire.answer(approval, answer, reason))
        return await self

    async def _ended(self) -> AsyncRun:
        async for _ in self:
            pass
        return self

    def _follow(self, events: Iterator[Event]) -> None:
        self._reading, self._error = True, None
        loop = asyncio.get_running_loop()

        def tell(said: Event | None, error: BaseException | None = None) -> None:
            if said is not None:
                named = bool(self.id)
                self._record.add(said)
                if self._given_up and not named:
                    self.give_up()
            else:
                self._reading, self._error = False, error
            self._changed.set()
            self._changed = asyncio.Event()

        def read() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody reads any more
                try:
                    for said in events:
                        loop.call_soon_threadsafe(tell, said)
                except Exception as error:
                    loop.call_soon_threadsafe(tell, None, error)
                else:
                    loop.call_soon_threadsafe(tell, None)

        threading.Thread(target=read, name="agentos-run", daemon=True).start()

    def __repr__(self) -> str:
        """The run in one line, as far as it is known."""
        return self._record.text("AsyncRun")

    def _repr_html_(self) -> str:
        return self._record.html()


async def in_thread(work: Callable[[], T]) -> T:
    """What a function gives, run in a thread that keeps nobody waiting at the end of the program."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(give: Callable[[], None]) -> None:
        if not done.done():
            give()

    def run() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            try:
                made = work()
            except Exception as error:
                failed = error
                loop.call_soon_threadsafe(tell, lambda: done.set_exception(failed))
            else:
                loop.call_soon_threadsafe(tell, lambda: done.set_result(made))

    threading.Thread(target=run, name="agentos-request", daemon=True).start()
    return await done
