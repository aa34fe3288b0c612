"""A plan that a person has edited, held against the table before any of it runs."""

from __future__ import annotations

from agentos.errors import UserError
from agentos.kernel.language import MOST_STEPS, parse
from agentos.registry import Registry
from agentos.types import Json, Plan, Step
from agentos.types.calls import references


def edited(text: str, table: Registry, id: str) -> Plan:
    """The plan that a text in the plan language is.

    Args:
        text: Calls, one a line; lines that begin with `#` are left out.
        table: The syscalls.
        id: What the plan is to be called.

    Raises:
        UserError: a line cannot be read or does not fit the table; nothing was run.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise UserError("the plan has no call; nothing was run")
    if len(lines) > MOST_STEPS:
        raise UserError(f"the plan has {len(lines)} calls, and {MOST_STEPS} are the most; nothing was run")
    parsed = parse("\n".join(lines), table)
    if parsed.missing:
        lacks = parsed.missing[0]
        raise UserError(f"{lacks.syscall} needs {lacks.parameter!r}: put a value in the place of ?; nothing was run")
    if not parsed.steps:
        raise UserError("the plan has no call; nothing was run")
    calls = {step.id: step.syscall for step in parsed.steps}
    for step in parsed.steps:
        _check(step, table, calls)
    return Plan(id, parsed.steps)


def _check(step: Step, table: Registry, calls: dict[str, str]) -> None:
    entry = table[step.syscall]
    if not references(step.args):
        entry.validate(step.args)
        return
    # Its references have no values yet, so names are all that can be told of it.
    names = [param.name for param in entry.params]
    strange = next((name for name in step.args if name not in names), None)
    if strange is not None:
        raise UserError(f"{step.syscall} has no argument {strange!r}; nothing was run. It has {', '.join(names)}.")
    lacking = next((p.name for p in entry.params if p.required and p.name not in step.args), None)
    if lacking is not None:
        raise UserError(f"{step.syscall} needs {lacking!r}; nothing was run")
    for name, field in _fields(list(step.args.values())):
        known = table[calls[name]].fields
        if field not in known:
            raise UserError(
                f"{name} ({calls[name]}) gives no {field!r}; nothing was run. It gives {', '.join(known) or 'nothing'}."
            )


def _fields(value: Json) -> list[tuple[str, str]]:
    """Each step and field that a value takes from."""
    if isinstance(value, dict):
        step, _, field = str(value.get("$ref", "")).partition(".")
        return [(step, field)]
    return [found for inner in value for found in _fields(inner)] if isinstance(value, list) else []
