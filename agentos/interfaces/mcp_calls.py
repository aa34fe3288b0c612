"""A tool call of another program as a run of ours: what came of it, and what a person must be asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agentos.interfaces.show import clean, value
from agentos.interfaces.words import Say

ASK = "ask"
"""The tool that takes a sentence."""
Event = dict[str, Any]
Told = Callable[[float, float | None, str], Awaitable[None]]
"""Given how far a call is: a number that grows, its total where there is one, and words."""


class Door(Protocol):
    """The system as one caller reaches it."""

    who: str
    """Tells one caller from another."""

    @property
    def say(self) -> Say:
        """Speaks the caller's language."""
        ...

    async def table(self) -> list[Event]:
        """The syscalls: `name`, `doc`, `effect`, `schema`, `mount`."""
        ...

    def call(self, name: str, args: Mapping[str, Any]) -> AsyncIterator[Event]:
        """The events of one call."""
        ...

    def ask(self, text: str) -> AsyncIterator[Event]:
        """The events of a sentence's run."""
        ...

    def answer(self, approval: str, answer: str) -> AsyncIterator[Event]:
        """The events of what follows a person's answer."""
        ...

    async def cancel(self, run: str) -> None:
        """Ends a run."""
        ...


@dataclass
class Gathered:
    """What came of a run so far."""

    run: str = ""
    ok: bool = False
    plan: Any = None
    results: dict[str, Any] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    errors: list[Event] = field(default_factory=list)
    held: dict[str, Event] = field(default_factory=dict)
    """By approval: the calls that were held."""
    waiting: list[str] = field(default_factory=list)
    """Approvals that nobody has answered."""
    reply: str = ""
    reached: float = 0.0

    async def follow(self, events: AsyncIterator[Event], told: Told) -> None:
        """Takes in events to the end."""
        async for event in events:
            kind = event.get("event")
            self.run = str(event.get("run") or self.run)
            if kind == "progress":
                await self._progress(event, told)
            elif kind == "plan":
                self.plan = event.get("plan")
            elif kind == "result":
                self.results[str(event.get("step", ""))] = event.get("result")
                self.texts.append(str(event.get("text") or ""))
            elif kind == "held":
                self.held[str(event["approval"])] = event
            elif kind == "error":
                self.errors.append(event)
            elif kind == "reply":
                self.reply = str(event.get("text") or "")
            elif kind == "end":
                self.ok = bool(event.get("ok"))
                self.waiting = [str(name) for name in event.get("waiting") or []]

    async def _progress(self, event: Event, told: Told) -> None:
        """How far it is, as a number that only grows: the protocol wants that, and a run has several parts."""
        done, total = event.get("done"), event.get("total")
        if isinstance(done, int | float) and done > self.reached:
            self.reached = float(done)
        else:
            self.reached, total = self.reached + 1, None
        await told(self.reached, total, clean(str(event.get("message") or ""), lines=False))

    @property
    def error(self) -> Event:
        """The last thing that went wrong."""
        return self.errors[-1] if self.errors else {"kind": "failed", "message": "the call ended without a result"}

    def next(self) -> Event | None:
        """The next held call that waits for a person."""
        return next((self.held[name] for name in self.waiting if name in self.held), None)

    def of_call(self) -> Any:
        """The result of a single call."""
        return next(iter(self.results.values()), None)

    def of_sentence(self) -> Event:
        """What a sentence came to."""
        errors = [{"type": one.get("kind"), "message": one.get("message")} for one in self.errors]
        return {"reply": self.reply, "plan": self.plan, "results": self.results, "errors": errors}

    def words(self) -> str:
        """What a sentence came to, for people."""
        said = [*self.texts, *(str(one.get("message")) for one in self.errors), self.reply]
        return "\n\n".join(filter(None, said))


def held_text(call: Event, say: Say) -> str:
    """A held call in full: what will run, with which arguments, to what effect, and why it waits."""
    lines = [say("mcp_asks"), "", clean(str(call.get("syscall")), lines=False)]
    for name, said in (call.get("args") or {}).items():
        if said is not None:
            source = (call.get("outside") or {}).get(name)
            told = "  " + say("outside", clean(str(source), lines=False)) if source else ""
            lines.append(f"  {name} = {value(said)}{told}")
    for key in ("effect", "reason"):
        if call.get(key):
            lines.append(f"{say('why' if key == 'reason' else key)}: {clean(str(call[key]), lines=False)}")
    return "\n".join(lines)


def waits_text(call: Event, say: Say) -> str:
    """How a person answers a held call where they cannot be asked here."""
    reason = clean(str(call.get("reason") or call.get("effect") or ""), lines=False)
    return say("mcp_waits", clean(str(call.get("syscall")), lines=False), reason, call.get("approval"))
