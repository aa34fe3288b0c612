"""What a run tells, as types: `event.event` is the kind, by which a type checker knows the rest.

The fields are those of the stream of `POST /v1/runs`; kinds that this version does not know are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from agentos.types.calls import Plan


@dataclass(frozen=True)
class PlanEvent:
    """What will be done."""

    plan: Plan
    repaired: bool = False
    """Whether it takes the place of one in which a call was wrong."""
    run: str = ""
    event: Literal["plan"] = "plan"


@dataclass(frozen=True)
class DecisionEvent:
    """What policy says to a step: `allow`, `deny` or `confirm`, and by which rule."""

    step: str
    decision: str
    rule: str = ""
    run: str = ""
    event: Literal["decision"] = "decision"


@dataclass(frozen=True)
class HeldEvent:
    """A call that waits for a person, exactly as it would run."""

    approval: str
    """What to answer to; `Run.held` does it."""
    step: str
    syscall: str
    args: Mapping[str, Any] = field(default_factory=dict)
    effect: str = ""
    reason: str = ""
    outside: Mapping[str, str] = field(default_factory=dict)
    """Arguments that text from outside went into, and what gave it."""
    run: str = ""
    event: Literal["held"] = "held"


@dataclass(frozen=True)
class ProgressEvent:
    """How far something is; `done` and `total` count `unit`, and are None where nobody knows."""

    message: str
    done: float | None = None
    total: float | None = None
    unit: str = ""
    step: str = ""
    syscall: str = ""
    boot: bool = False
    """Whether it is the system's own start."""
    run: str = ""
    event: Literal["progress"] = "progress"


@dataclass(frozen=True)
class TextEvent:
    """A piece of text as it comes: a model's words, a job's output."""

    text: str
    step: str = ""
    syscall: str = ""
    run: str = ""
    event: Literal["text"] = "text"


@dataclass(frozen=True)
class ResultEvent:
    """What a step gave."""

    step: str
    syscall: str
    result: Any = None
    """As the syscall's own type, where this installation knows it."""
    text: str = ""
    """The same for people."""
    run: str = ""
    event: Literal["result"] = "result"


@dataclass(frozen=True)
class ErrorEvent:
    """What went wrong; `kind` says who must act."""

    message: str
    kind: str
    """`user`, `denied`, `refused`, `retry`, `failed`, `held` or `cancelled`."""
    step: str = ""
    syscall: str = ""
    run: str = ""
    event: Literal["error"] = "error"


@dataclass(frozen=True)
class ReplyEvent:
    """What is said to the person at the end."""

    text: str
    run: str = ""
    event: Literal["reply"] = "reply"


@dataclass(frozen=True)
class EndEvent:
    """The last event, until a held call is answered."""

    ok: bool
    exit_code: int
    """As of the command line: 0 done, 1 failed, 2 wrong usage, 3 denied, 4 waiting for a person."""
    results: Mapping[str, Any] = field(default_factory=dict)
    waiting: tuple[str, ...] = ()
    """Held calls that nobody has answered."""
    run: str = ""
    event: Literal["end"] = "end"


RunEvent = (
    PlanEvent | DecisionEvent | HeldEvent | ProgressEvent | TextEvent | ResultEvent | ErrorEvent | ReplyEvent | EndEvent
)
_KINDS: dict[str, type[Any]] = {
    "plan": PlanEvent, "decision": DecisionEvent, "held": HeldEvent, "progress": ProgressEvent, "text": TextEvent,
    "result": ResultEvent, "error": ErrorEvent, "reply": ReplyEvent, "end": EndEvent,
}


def typed(said: Mapping[str, Any]) -> RunEvent | None:
    """One line of a stream as its type; None where this version does not know the kind."""
    kind = _KINDS.get(str(said.get("event")))
    if kind is None:
        return None
    given = {item.name: said[item.name] for item in fields(kind) if item.name in said and item.name != "event"}
    if kind is PlanEvent:
        given["plan"] = Plan.from_json(said.get("plan") or {})
    if kind is EndEvent:
        given["waiting"] = tuple(map(str, said.get("waiting") or ()))
    made: RunEvent = kind(**given)
    return made
