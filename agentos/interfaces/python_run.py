"""One run, as the synchronous client gives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agentos.errors import ApprovalNeeded
from agentos.interfaces.client import Client as Wire
from agentos.interfaces.client import Event
from agentos.interfaces.python_events import ErrorEvent, HeldEvent, RunEvent
from agentos.interfaces.python_record import Record, held_html
from agentos.types.calls import Plan, Scope

Answer = Literal["once", "session", "always", "no"]


class CallHeld(ApprovalNeeded):
    """A call that waits for a person; `held` answers it."""

    def __init__(self, message: str, held: Held) -> None:
        """Takes the held call along."""
        super().__init__(message, held.call.approval)
        self.held = held


@dataclass(frozen=True)
class Held:
    """A call that waits for a person: exactly what would run, and the way to answer."""

    call: HeldEvent
    run: Run

    def approve(self, scope: Scope = "once") -> Run:
        """Lets it run; gives the run, which goes on.

        Args:
            scope: Whether the yes holds `once`, for this `session`, or `always`.

        Raises:
            DeniedError: another person must answer.
            NotFound: it was answered already.
        """
        return self.run.answered(self.call.approval, scope)

    def refuse(self, reason: str = "") -> Run:
        """Says no; gives the run, which goes on without it.

        Raises:
            DeniedError: another person must answer.
            NotFound: it was answered already.
        """
        return self.run.answered(self.call.approval, "no", reason)

    def __str__(self) -> str:
        """The call in one line, and why it waits."""
        args = ", ".join(f"{name}={said!r}" for name, said in self.call.args.items() if said is not None)
        return f"{self.call.syscall}({args}): {self.call.effect}; {self.call.reason}"

    def _repr_html_(self) -> str:
        return held_html(self.call)


class Run:
    """A sentence or a call on its way. It goes on at the system whether or not somebody reads; what is asked of it
    that is not known yet waits for it. Ctrl-C ends it.
    """

    def __init__(self, wire: Wire, events: Iterator[Event] | None = None) -> None:
        """Takes the first event, so that the run has begun when this returns."""
        self._wire, self._record = wire, Record()
        self._events: Iterator[Event] | None = None
        self._follow(events)

    def __iter__(self) -> Iterator[RunEvent]:
        """Every event, from the first one on, as they come."""
        seen = 0
        while True:
            while seen < len(self._record.events):
                yield self._record.events[seen]
                seen += 1
            if not self._next():
                return

    @property
    def id(self) -> str:
        """What the audit trail calls it."""
        return self._record.run

    @property
    def plan(self) -> Plan | None:
        """What is done, as soon as it is known; None where there was no plan."""
        while self._record.plan is None and self._next():
            pass
        return self._record.plan

    @property
    def results(self) -> Mapping[str, Any]:
        """What each step gave, by its id, as the syscall's own type."""
        return self.wait()._record.results

    @property
    def result(self) -> Any:
        """What the last step gave.

        Raises:
            CallHeld: it waits for a person.
            AgentosError: the run failed, as the error's type says.
        """
        return self.check()._record.last

    @property
    def reply(self) -> str:
        """What a person is told: the reply where there is one, else what the steps gave, as text."""
        return self.wait()._record.said

    @property
    def errors(self) -> list[ErrorEvent]:
        """What went wrong, step by step."""
        return self.wait()._record.errors

    @property
    def held(self) -> list[Held]:
        """Calls that wait for a person."""
        return [Held(call, self) for call in self.wait()._record.waiting]

    @property
    def ok(self) -> bool:
        """Whether all was done."""
        end = self.wait()._record.end
        return end is not None and end.ok

    @property
    def exit_code(self) -> int:
        """As of the command line: 0 done, 1 failed, 2 wrong usage, 3 denied, 4 waiting for a person."""
        end = self.wait()._record.end
        return end.exit_code if end is not None else 1

    def wait(self) -> Run:
        """Returns once the run has ended or waits for a person.

        Raises:
            Failed: the system went away.
        """
        while self._next():
            pass
        return self

    def check(self) -> Run:
        """Returns where all was done.

        Raises:
            CallHeld: a call waits for a person.
            AgentosError: the run failed, as the error's type says.
        """
        fault = self.wait()._record.fault()
        if isinstance(fault, ApprovalNeeded):
            raise CallHeld(str(fault), self.held[0])
        if fault is not None:
            raise fault
        return self

    def cancel(self) -> bool:
        """Ends it; False where it had ended. Steps that were done stay done."""
        return self._wire.cancel(self.id)

    def answered(self, approval: str, answer: Answer, reason: str = "") -> Run:
        """Goes on with a person's answer to a held call."""
        self.wait()
        self._follow(self._wire.answer(approval, answer, reason))
        return self

    def _follow(self, events: Iterator[Event] | None) -> None:
        self._events = events
        self._next()

    def _next(self) -> bool:
        """Whether another event came."""
        if self._events is None:
            return False
        try:
            said = next(self._events, None)
        except KeyboardInterrupt:
            if self.id:
                self.cancel()
            raise
        except BaseException:
            self._events = None
            raise
        if said is None:
            self._events = None
            return False
        self._record.add(said)
        return True

    def __repr__(self) -> str:
        """The run in one line, as far as it is known."""
        return self._record.text("Run")

    def _repr_html_(self) -> str:
        return self.wait()._record.html()

