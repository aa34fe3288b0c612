"""What a run has told so far, and how it looks: the part that the sync and the async client share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from typing import Any

from agentos.errors import AgentosError, ApprovalNeeded, DeniedError, Failed, Retry, TooMany, UserError
from agentos.interfaces.python_events import EndEvent, ErrorEvent, HeldEvent, PlanEvent, ReplyEvent, RunEvent, typed
from agentos.interfaces.python_families import result_type
from agentos.interfaces.python_into import into
from agentos.interfaces.show import clean, value
from agentos.types.calls import Plan

_ERRORS: dict[str, type[AgentosError]] = {
    "user": UserError, "denied": DeniedError, "refused": DeniedError, "too_many": TooMany, "retry": Retry,
}
_BOX = "border:1px solid #8888;border-radius:6px;padding:.5em .8em;max-width:60em"


class Record:
    """The events of one run, added one after the other."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self.run = ""
        self.events: list[RunEvent] = []
        self.plan: Plan | None = None
        self.results: dict[str, Any] = {}
        self.texts: dict[str, str] = {}
        self.reply: str | None = None
        self.errors: list[ErrorEvent] = []
        self.end: EndEvent | None = None
        self.calls: dict[str, HeldEvent] = {}
        """Held calls by approval, answered ones too."""

    def add(self, said: Mapping[str, Any]) -> RunEvent | None:
        """Takes one line of the stream in; None where it is of no known kind."""
        event = typed(said)
        self.run = str(said.get("run") or self.run)
        if event is None:
            return None
        if event.event == "result":
            made = into(result_type(event.syscall), event.result)
            event = replace(event, result=made)
            self.results[event.step], self.texts[event.step] = made, event.text
        elif isinstance(event, PlanEvent):
            self.plan, self.errors = event.plan, [] if event.repaired else self.errors
        elif isinstance(event, HeldEvent):
            self.calls[event.approval] = event
        elif isinstance(event, ErrorEvent):
            self.errors.append(event)
        elif isinstance(event, ReplyEvent):
            self.reply = event.text
        elif isinstance(event, EndEvent):
            self.end = event
            for step, result in event.results.items():
                self.results.setdefault(step, into(result_type(self._syscall(step)), result))
        self.events.append(event)
        return event

    @property
    def waiting(self) -> list[HeldEvent]:
        """Calls that wait for a person's answer."""
        return [self.calls[name] for name in (self.end.waiting if self.end else ()) if name in self.calls]

    @property
    def last(self) -> Any:
        """What the last step gave; None where it gave nothing."""
        return self.results.get(self.plan.steps[-1].id) if self.plan and self.plan.steps else None

    @property
    def said(self) -> str:
        """What a person is told: the reply, or what the steps gave, as text."""
        return self.reply if self.reply is not None else "\n\n".join(filter(None, self.texts.values())).strip()

    def fault(self) -> AgentosError | None:
        """Why the run did not do all that it was to do, as an error that says who must act; None where it did."""
        if self.end is None or self.end.ok:
            return None
        if self.errors:
            return _ERRORS.get(self.errors[0].kind, Failed)(self.errors[0].message)
        if self.waiting:
            call = self.waiting[0]
            return ApprovalNeeded(f"{call.syscall} waits for a person: {call.reason}", call.approval)
        return Failed(self.reply or "the run ended without a result")

    def text(self, name: str) -> str:
        """The run in one line; asks the system nothing."""
        state = "running" if self.end is None else "waits for a person" if self.waiting else (
            "done" if self.end.ok else "failed"
        )
        steps = ", ".join(step.syscall for step in self.plan.steps) if self.plan else ""
        return f"<{name} {self.run} {state}{f': {steps}' if steps else ''}>"

    def html(self) -> str:
        """The run for a notebook: plan, results, errors, held calls, reply. Everything in it is escaped."""
        parts = []
        for step in self.plan.steps if self.plan else ():
            args = " ".join(f"{name}={value(said)}" for name, said in step.args.items())
            parts.append(f"<li>{self._mark(step.id)} <code>{_safe(step.syscall)}</code> {_safe(args)}</li>")
        plan = f"<ul style='list-style:none;padding-left:0;margin:0'>{''.join(parts)}</ul>" if parts else ""
        texts = "".join(f"<pre style='margin:.4em 0'>{_safe(text.strip())}</pre>" for text in self.texts.values())
        errors = "".join(f"<p style='color:#c0392b'>{_safe(error.message)}</p>" for error in self.errors)
        held = "".join(held_html(call) for call in self.waiting)
        reply = f"<p style='white-space:pre-wrap'>{_safe(self.reply)}</p>" if self.reply else ""
        return f"<div style='{_BOX}'>{plan}{texts}{errors}{held}{reply}</div>"

    def _syscall(self, step: str) -> str:
        return next((one.syscall for one in self.plan.steps if one.id == step), "") if self.plan else ""

    def _mark(self, step: str) -> str:
        if step in self.results:
            return "✓"
        if any(error.step == step for error in self.errors):
            return "✗"
        return "…" if any(call.step == step for call in self.waiting) else "·"


def held_html(call: HeldEvent) -> str:
    """A held call for a notebook."""
    rows = "".join(
        f"<tr><td>{_safe(name)}</td><td><code>{_safe(value(said))}</code></td>"
        f"<td>{_safe('from outside: ' + call.outside[name]) if name in call.outside else ''}</td></tr>"
        for name, said in call.args.items() if said is not None
    )
    return (
        f"<div><b>{_safe(call.syscall)}</b> waits for your yes ({_safe(call.effect)}; {_safe(call.reason)})"
        f"<table>{rows}</table><code>held.approve()</code> or <code>held.refuse(\"reason\")</code></div>"
    )


def _safe(text: str) -> str:
    return escape(clean(text))
