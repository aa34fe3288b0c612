"""What was said before in a conversation: the plans that were made, what they named and gave, what was asked back.

It is kept in memory alone. What a value came from is kept with it: one that text from outside went into stays so.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentos.errors import AgentosError
from agentos.kernel.language import Missing
from agentos.kernel.state import RunState, call_for, caller_of, plan_of
from agentos.registry import Registry
from agentos.syscall import Param, Syscall
from agentos.types import Call, Caller, Json, Step

TURNS = 6
"""How many plans a conversation goes back."""
SAID = 4
"""How many sentences are planned again where nothing is known of their runs."""
_RUNS = 4096
_LASTING = 3600.0
"""Seconds after which a session's last words are forgotten: who comes back later does not mean them by `it`."""
_MOST = 9
"""Values of one kind that a plan's results may give: with so many nobody can be meant."""
_PLACES = frozenset({"path", "output", "source", "folder", "name"})
"""Names that no `it` means: places, and what is yet to be made."""


@dataclass(frozen=True)
class Value:
    """Something that was named or given."""

    kind: str
    """What it is of: the field of results, and the parameters, that hold such a thing."""
    value: str
    source: str = ""
    """What gave it, where text from outside went into it."""


@dataclass(frozen=True)
class Taken:
    """An argument that the conversation gave, and the word that stood for it."""

    step: str
    parameter: str
    value: str
    word: str = ""
    source: str = ""

    def to_json(self) -> dict[str, Json]:
        """As events and checkpoints have it."""
        return {name: value for name, value in vars(self).items() if value}


@dataclass(frozen=True)
class Turn:
    """What one sentence came to."""

    steps: tuple[Step, ...] = ()
    missing: tuple[Missing, ...] = ()
    """What its plan still lacks: the question that was asked."""
    values: tuple[Value, ...] = ()
    taken: tuple[Taken, ...] = ()
    language: str = "en"

    def to_json(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
        return {
            "steps": [step.to_json() for step in self.steps], "missing": [vars(one) for one in self.missing],
            "values": [vars(one) for one in self.values], "taken": [vars(one) for one in self.taken],
            "language": self.language,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Turn:
        """Reads what `to_json` wrote."""
        return cls(
            tuple(Step(one["id"], one["syscall"], one["args"], tuple(one["after"])) for one in kept["steps"]),
            tuple(Missing(**one) for one in kept["missing"]), tuple(Value(**one) for one in kept["values"]),
            tuple(Taken(**one) for one in kept["taken"]), kept["language"],
        )


@dataclass(frozen=True)
class Past:
    """A conversation before its next sentence."""

    turns: tuple[Turn, ...] = ()
    said: tuple[str, ...] = ()
    """Sentences of which no more is known, the oldest first."""

    @property
    def last(self) -> Turn:
        """What the last sentence came to."""
        return self.turns[-1] if self.turns else Turn()

    def plus(self, turn: Turn) -> Past:
        """With one turn more; small talk is none, and leaves a question behind it."""
        if turn.steps:
            return Past((*self.turns, turn)[-TURNS:])
        return Past((*self.turns[:-1], replace(self.last, missing=())) if self.turns else ())

    def candidates(self, kind: str) -> tuple[Value, ...]:
        """The things of a kind that were spoken of last, each once."""
        for turn in reversed(self.turns):
            found = {one.value: one for one in turn.values if one.kind == kind}
            if found:
                return tuple(found.values())
        return ()

    def to_json(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
        return {"turns": [turn.to_json() for turn in self.turns], "said": list(self.said)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Past:
        """Reads what `to_json` wrote."""
        return cls(tuple(map(Turn.from_json, kept.get("turns", ()))), tuple(kept.get("said", ())))


@dataclass(frozen=True)
class Before:
    """What a client that keeps its conversations itself says of one."""

    run: str = ""
    """The run that answered last, where the client can tell."""
    said: tuple[str, ...] = ()
    """What the person said before, the oldest first."""


def kind_of(entry: Syscall, param: Param) -> str:
    """What a parameter names; empty where no thing. Another server's things are others than ours."""
    if param.kind not in ("name", "syscall") or param.field in _PLACES or param.many:
        return ""
    return f"{entry.mount}/{param.field}" if entry.mount else param.field


def named(steps: Sequence[Step], table: Registry, taken: Sequence[Taken] = ()) -> tuple[Value, ...]:
    """The things that a plan's arguments name."""
    sources = {(one.step, one.parameter): one.source for one in taken}
    found = []
    for step in steps:
        entry = table[step.syscall]
        for param in entry.params:
            value = step.args.get(param.name)
            if (kind := kind_of(entry, param)) and isinstance(value, str):
                found.append(Value(kind, value, sources.get((step.id, param.name), "")))
    return tuple(found)


def turn_of(state: RunState, table: Registry, validated: Callable[[Call], tuple[Call, Syscall]]) -> Turn:
    """What a run has come to so far.

    Args:
        state: The run's.
        table: The syscalls.
        validated: Gives a call under the names that things go by.
    """
    taken = tuple(Taken(**one) for one in state.get("taken", ()))
    kept = state.get("lacking")
    if kept:
        steps, missing = Turn.from_json(kept).steps, Turn.from_json(kept).missing
        return Turn(steps, missing, named(steps, table, taken), taken, state.get("language", "en"))
    plan, values, kinds = plan_of(state), [], _kinds(table)
    for step in plan.steps:
        if step.syscall not in table:
            continue
        try:
            call = call_for(state, step)
            known = replace(step, args={n: v for n, v in validated(call)[0].args.items() if n in step.args})
            marks = [Taken(step.id, name, "", source=source) for name, source in call.outside.items()]
        except AgentosError:  # of which a step before has not given its argument, or that never fitted
            known, marks = step, [one for one in taken if one.step == step.id]
        own = named([known], table, marks)
        values += [*own, *_given(state, step, table[step.syscall], {one.kind: one.value for one in own}, kinds)]
    return Turn(plan.steps, (), tuple(values), taken, state.get("language", "en"))


def _given(
    state: RunState, step: Step, entry: Syscall, own: Mapping[str, str], kinds: set[str]
) -> list[Value]:
    """The things in what a step gave; in a list of them, each."""
    given = state.get("results", {}).get(step.id, {})
    result, outside = given.get("result"), given.get("outside")
    found: list[Value] = []
    for name, value in result.items() if isinstance(result, dict) else ():
        source = f"{name} of {step.syscall}" if not isinstance(outside, list) or name in outside else ""
        rows = value if isinstance(value, list) else [{name: value}]
        for row in rows[: _MOST + 1]:
            for key, item in row.items() if isinstance(row, dict) else ():
                kind = name.removesuffix("s") if key == "id" and name.endswith("s") else key
                kind = f"{entry.mount}/{kind}" if entry.mount else kind
                if isinstance(item, str) and item and kind in kinds and own.get(kind) != item:
                    found.append(Value(kind, item, source))
    return found


def _kinds(table: Registry) -> set[str]:
    return {kind for entry in table for param in entry.params if (kind := kind_of(entry, param))}


@dataclass
class _Kept:
    user: str
    time: float
    before: Past
    past: Past


class Conversations:
    """What is kept of the runs of late, each person's own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing was said; `clock` gives seconds."""
        self._clock = clock
        self._runs: OrderedDict[str, _Kept] = OrderedDict()
        self._sessions: OrderedDict[tuple[str, str], str] = OrderedDict()

    def begin(self, run: str, caller: Caller, before: Before | None) -> Past:
        """What came before a new run's sentence; by the caller's session where the client says nothing of it."""
        session = (caller.user, caller.session)
        if before is not None:
            kept = self._runs.get(before.run)
            known = kept is not None and kept.user == caller.user
            past = kept.past if known and kept is not None else Past((), before.said[-SAID:])
        else:
            kept = self._runs.get(self._sessions.get(session, "")) if caller.session else None
            past = kept.past if kept is not None and self._clock() - kept.time < _LASTING else Past()
        self._runs[run] = _Kept(caller.user, self._clock(), past, past)
        if caller.session:
            self._sessions.pop(session, None)
            self._sessions[session] = run
        for full in (self._runs, self._sessions):
            while len(full) > _RUNS:
                full.popitem(last=False)
        return past

    def keep(
        self, state: RunState, table: Registry, validated: Callable[[Call], tuple[Call, Syscall]]
    ) -> None:
        """Takes in what a run has come to so far, where it was begun here."""
        kept = self._runs.get(state["run"])
        if kept is not None and kept.user == caller_of(state).user:
            before = Past.from_json(state["recalled"]) if "recalled" in state else kept.before
            kept.past, kept.time = before.plus(turn_of(state, table, validated)), self._clock()
