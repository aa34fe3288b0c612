"""What a run remembers between the steps of its graph; all of it is JSON, so that a checkpoint can hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from agentos.errors import Failed
from agentos.syscall import Syscall
from agentos.types import Call, Caller, Json, Plan, Step


class RunState(TypedDict, total=False):
    """One run."""

    run: str
    sentence: str
    """Empty where the plan was given."""
    language: str
    """`en` or `zh`: what results are shown in."""
    caller: dict[str, Any]
    yes: bool
    """Whether the caller confirmed beforehand what they may confirm."""
    plan: dict[str, Any]
    before: dict[str, Any]
    """What was said before in the conversation (context.py); absent where nothing was, or the plan was given."""
    recalled: dict[str, Any]
    """The same, where it had to be planned again."""
    in_context: bool
    """Whether the plan was made with what was said before, so that the sentence alone does not say it."""
    taken: list[dict[str, str]]
    """Arguments that came from what was said before."""
    lacking: dict[str, Any]
    """The plan as far as it goes, where the person is asked for more."""
    usage: dict[str, int]
    """Tokens that the planner's model read (`prompt`, of them `cached`) and wrote (`written`)."""
    answered: str
    """What a plan without steps is: `chat`, `declined`, `asked`, `unsure` or `unplanned`."""
    results: dict[str, dict[str, Json]]
    """By step: what it gave."""
    failures: dict[str, dict[str, str]]
    """By step: `message` and `kind`."""
    approvals: dict[str, dict[str, str]]
    """By step: who said yes, for how long, and to which held call."""
    held: dict[str, str]
    """By step: the held call that waits for a person."""
    repaired: bool
    attempt: int
    """How often the plan was made anew; part of a call's id, so that a repaired step is a new call."""


def caller_of(state: RunState) -> Caller:
    """Who asked."""
    kept = state["caller"]
    scope = kept.get("scope")  # a list by now; older checkpoints have none
    return Caller(**{**kept, "scope": None if scope is None else tuple(scope)})


def plan_of(state: RunState) -> Plan:
    """The plan so far."""
    return Plan.from_json(state["plan"])


def ready(state: RunState) -> list[Step]:
    """Steps that wait for nothing any more, in the plan's order."""
    done, failed = state.get("results", {}), state.get("failures", {})
    return [
        step for step in plan_of(state).steps
        if step.id not in done and step.id not in failed and all(name in done for name in step.after)
    ]


def call_for(state: RunState, step: Step) -> Call:
    """The step's call, references replaced by what earlier steps gave.

    Raises:
        Failed: an earlier step's result has no such field.
    """
    args = {name: _filled(value, state) for name, value in step.args.items()}
    outside = {name: source for name, value in step.args.items() if (source := _source(value, state))}
    earlier = [one for one in state.get("taken", ()) if one["step"] == step.id and one.get("source")]
    outside |= {one["parameter"]: f"{one['source']}, earlier in the conversation" for one in earlier}
    ident = f"{state['run']}.{state.get('attempt', 0)}.{step.id}"
    return Call(ident, step.syscall, args, caller_of(state), outside)


def outside(entry: Syscall, call: Call, result: Mapping[str, Json]) -> list[str]:
    """The fields of a result that text from outside may have gone into.

    Those of a syscall that gives such text, and of one that was given it, but for what only repeats an argument that
    was the person's own.
    """
    some = list(result) if entry.untrusted or call.outside else [name for name in result if name in entry.outside]
    own = {name: value for name, value in call.args.items() if name not in call.outside}
    return [name for name in some if result[name] is not None and not (name in own and own[name] == result[name])]


def _source(value: Json, state: RunState) -> str:
    """What gave the outside text in an argument; empty where there is none."""
    if isinstance(value, list):
        return next(filter(None, (_source(item, state) for item in value)), "")
    if not (isinstance(value, dict) and isinstance(value.get("$ref"), str)):
        return ""
    step, _, field = str(value["$ref"]).partition(".")
    given = state.get("results", {}).get(step, {})
    if field not in given.get("outside", [field]):  # type: ignore[operator]  # an older version did not say
        return ""
    syscall = next((one.syscall for one in plan_of(state).steps if one.id == step), "an earlier step")
    return f"{field} of {syscall} ({step})"


def _filled(value: Json, state: RunState) -> Json:
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("$ref"), str):
        step, _, field = str(value["$ref"]).partition(".")
        given: Mapping[str, Json] = state.get("results", {}).get(step, {}).get("result", {})  # type: ignore[assignment]
        if field not in given:
            raise Failed(f"step {step} gave no {field!r}; it gave {', '.join(given) or 'nothing'}")
        return given[field]
    if isinstance(value, list):
        return [_filled(item, state) for item in value]
    return value


def without_followers(state: RunState, failures: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """The failures, with every step that waits for a failed one."""
    found = dict(failures)
    for step in plan_of(state).steps:
        blocking = [name for name in step.after if name in found]
        if blocking and step.id not in found and step.id not in state.get("results", {}):
            found[step.id] = {"message": f"not run, because {blocking[0]} did not succeed", "kind": "skipped"}
    return found
