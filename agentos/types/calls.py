"""Calls, decisions and plans: what goes through the system on the way of one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Effect = Literal["read", "write", "execute", "destroy"]
Role = Literal["viewer", "operator", "admin"]
Scope = Literal["once", "session", "always"]
"""How long a person's yes holds."""


@dataclass(frozen=True)
class Caller:
    """Who asks, and through which door."""

    user: str
    role: Role
    session: str = ""
    """Approvals given "for this session" hold for this one."""
    door: str = "api"
    """`repl`, `cli`, `http`, `eval`: recorded in the audit trail."""
    folder: str = ""
    """Where the caller's own process stands, which relative paths start from; "" where it is on another machine."""
    scope: tuple[str, ...] | None = None
    """What the caller's key is for (policy/scopes.py): it narrows the role. None: all that the role may."""
    service: bool = False
    """Whether it is a service account, which has keys alone and approves nothing."""


@dataclass(frozen=True)
class Call:
    """One syscall about to be made. The id is its idempotency key: it never has an effect twice."""

    id: str
    syscall: str
    args: Mapping[str, Json]
    caller: Caller
    outside: Mapping[str, str] = field(default_factory=dict)
    """Arguments that text from outside went into (logs, rows, files, a model's words), and what gave it: all others
    are the person's own words or typed results. A name such as `body.link` speaks of the links in `body` alone."""


@dataclass(frozen=True)
class Approval:
    """A person's yes to one held call."""

    by: str
    scope: Scope = "once"
    id: str = ""


@dataclass(frozen=True)
class Allowed:
    """Yes, and the rule that says so."""

    rule: str


@dataclass(frozen=True)
class NeedsPerson:
    """Yes, once a person has seen it and confirmed."""

    rule: str
    reason: str


@dataclass(frozen=True)
class Denied:
    """No, and the rule that says so. The reason names rules, never data."""

    rule: str
    reason: str


Decision = Allowed | NeedsPerson | Denied


@dataclass(frozen=True)
class Step:
    """One call of a plan; `after` names the steps it waits for, references included."""

    id: str
    syscall: str
    args: Mapping[str, Json] = field(default_factory=dict)
    after: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The step as `syscalls.md` writes it."""
        return {"id": self.id, "syscall": self.syscall, "args": dict(self.args), "after": list(self.after)}


@dataclass(frozen=True)
class Plan:
    """What the kernel makes of a sentence before anything runs: a directed acyclic graph of steps, or a reply."""

    id: str
    steps: tuple[Step, ...] = ()
    reply: str | None = None

    def to_json(self) -> dict[str, Json]:
        """The plan as one JSON object."""
        return {"id": self.id, "steps": [step.to_json() for step in self.steps], "reply": self.reply}

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Plan:
        """Reads what `to_json` wrote; missing step ids and edges are filled in from order and references."""
        steps: list[Step] = []
        listed = data.get("steps") or []
        assert isinstance(listed, list)
        for index, raw in enumerate(listed, 1):
            assert isinstance(raw, dict)
            args = raw.get("args") or {}
            after = raw.get("after") or []
            assert isinstance(args, dict) and isinstance(after, list)
            waits = [str(name) for name in after]
            waits += [name for name in references(args) if name not in waits]
            steps.append(Step(str(raw.get("id") or f"s{index}"), str(raw["syscall"]), args, tuple(waits)))
        reply = data.get("reply")
        return cls(str(data.get("id") or ""), tuple(steps), None if reply is None else str(reply))


def references(value: Json | Mapping[str, Json]) -> list[str]:
    """The ids of the steps whose results a value names, in order, each once."""
    found: list[str] = []
    if isinstance(value, Mapping):
        target = value.get("$ref")
        if len(value) == 1 and isinstance(target, str):
            return [target.split(".", 1)[0]]
        for inner in value.values():
            found += [name for name in references(inner) if name not in found]
    elif isinstance(value, list):
        for inner in value:
            found += [name for name in references(inner) if name not in found]
    return found


@dataclass(frozen=True)
class Event:
    """One line of what the system says while it works.

    Kinds: `plan`, `decision`, `held`, `progress`, `text` (a model's words as they come), `result`,
    `error`, `reply` (the last but one), `end` (the last; carries `ok` and `exit_code`).
    """

    kind: Literal["plan", "decision", "held", "progress", "text", "result", "error", "reply", "end"]
    data: dict[str, Json] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """The event as one JSON object."""
        return {"event": self.kind, **self.data}
