"""Whether a plan is the one that was asked for: names, normalised arguments, graph."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agentos.registry import Registry
from agentos.syscall import Param
from agentos.types import Json, Plan, Step
from agentos.types.calls import references
from agentos.types.units import seconds, size

Steps = tuple[Step, ...]

_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "「": "」", "『": "』", "《": "》"}
_ENDS = " \t\r\n.,;:!?。，、；：！？…"
_AROUND = re.compile(
    r"^(?:since|from|after|in|over|within|for)\s+|^(?:the\s+)?(?:last|past)\s+|^the\s+|\s+(?:ago|on)$"
    r"|^(?:从|自从|自|最近|过去|近)|(?:以来|以后|之后|开始|之前|以前|以内|之内|前|内|起)$"
)


@dataclass(frozen=True)
class Score:
    """What was right in one plan. `exact` is the figure that counts; the others say what went wrong."""

    exact: bool
    syscalls: bool
    """The right syscalls, each as often as it should be."""
    arguments: bool
    """The right syscalls with the right arguments, whatever waits for what."""
    over_acted: bool = False
    """It has steps where every right answer has none."""
    over_declined: bool = False
    """It has no steps where every right answer has some."""


@dataclass(frozen=True)
class Ref:
    """A value that another step gives: `{"$ref": "s1.model"}`."""

    step: str
    field: str


@dataclass(frozen=True)
class Moment:
    """A time, in words or as seconds since the epoch (a time without a zone is read as UTC)."""

    words: str
    at: float | None = None


@dataclass(frozen=True)
class Wrong:
    """A value that its parameter does not take, and that nothing equals but itself."""

    value: str


def score(expected: Sequence[Sequence[Step]], plan: Plan, table: Registry) -> Score:
    """How a plan compares with what was expected.

    Two plans are the same when they make the same calls with the same arguments in the same order of
    waiting, whatever the steps are called and in whatever order independent ones are listed. A default
    that is written out equals one that is left out; durations and sizes are compared as amounts; names
    and private texts as written, less the quotes around them; a time in the person's words is met by
    those words or by an ISO 8601 time, whose moment cannot be checked without that person's clock.

    Args:
        expected: The plans that are right, mostly one; a plan without steps is a reply.
        plan: What the kernel made.
        table: Gives the parameters' kinds and defaults.
    """
    tried = [_compare(tuple(steps), plan.steps, table) for steps in expected]
    best = max(tried, key=lambda one: (one.exact, one.arguments, one.syscalls))
    acts = [bool(steps) for steps in expected]
    return Score(
        best.exact,
        best.syscalls,
        best.arguments,
        over_acted=bool(plan.steps) and not any(acts),
        over_declined=not plan.steps and all(acts),
    )


def normalise(syscall: str, args: Mapping[str, Json], table: Registry) -> dict[str, Any]:
    """A call's arguments in the form in which they are compared, defaults filled in."""
    if syscall not in table:
        return {name: Wrong(repr(value)) for name, value in args.items()}
    params = {param.name: param for param in table[syscall].params}
    values: dict[str, Any] = {name: Wrong(repr(value)) for name, value in args.items() if name not in params}
    for name, param in params.items():
        given = args.get(name)
        values[name] = _value(param, param.default if given is None else given)
    return values


def ancestors(steps: Sequence[Step]) -> dict[str, frozenset[str]]:
    """For each step, every step that it waits for, directly or through others."""
    waits = {step.id: frozenset(step.after) | frozenset(references(step.args)) for step in steps}
    for _ in steps:
        waits = {
            name: direct.union(*(waits.get(other, frozenset()) for other in direct)) for name, direct in waits.items()
        }
    return waits


def _compare(expected: Steps, got: Steps, table: Registry) -> Score:
    same_syscalls = Counter(step.syscall for step in expected) == Counter(step.syscall for step in got)
    if not same_syscalls or len({step.id for step in got}) != len(got):
        return Score(False, same_syscalls, False)
    before, after = ancestors(expected), ancestors(got)
    ordered = sorted(expected, key=lambda step: len(before[step.id]))
    arguments = False
    for names in _assignments(ordered, got, {}, table):
        arguments = True
        if all({names[one] for one in before[step.id]} == after[names[step.id]] for step in expected):
            return Score(True, True, True)
    return Score(False, True, arguments)


def _assignments(
    expected: Sequence[Step], free: Sequence[Step], names: dict[str, str], table: Registry
) -> Iterator[dict[str, str]]:
    """Every way to pair the steps so that syscalls and arguments agree."""
    if not expected:
        yield names
        return
    step, *rest = expected
    wanted = normalise(step.syscall, step.args, table)
    for index, other in enumerate(free):
        if other.syscall != step.syscall:
            continue
        found = normalise(other.syscall, other.args, table)
        if wanted.keys() == found.keys() and all(_same(wanted[key], found[key], names) for key in wanted):
            yield from _assignments(rest, [*free[:index], *free[index + 1 :]], {**names, step.id: other.id}, table)


def _same(wanted: Any, found: Any, names: Mapping[str, str]) -> bool:
    if isinstance(wanted, Ref):
        return isinstance(found, Ref) and Ref(names.get(wanted.step, ""), wanted.field) == found
    if isinstance(wanted, Moment):
        if not isinstance(found, Moment):
            return False
        return wanted.at == found.at if wanted.at is not None else found.at is not None or wanted.words == found.words
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and _same_items(wanted, found, names)
    return type(wanted) is type(found) and bool(wanted == found)


def _same_items(wanted: list[Any], found: list[Any], names: Mapping[str, str]) -> bool:
    left = list(found)
    for item in wanted:
        match = next((index for index, other in enumerate(left) if _same(item, other, names)), None)
        if match is None:
            return False
        left.pop(match)
    return True


def _value(param: Param, value: Json) -> Any:
    if isinstance(value, list):
        return [_item(param, item) for item in value]
    single = _item(param, value)
    return [single] if param.many and single is not None else single


def _item(param: Param, value: Json) -> Any:
    if value is None:
        return None
    if isinstance(value, dict):
        target = value.get("$ref")
        if len(value) == 1 and isinstance(target, str):
            step, _, name = target.partition(".")
            return Ref(step, name)
    if isinstance(value, dict | list):
        return Wrong(repr(value))
    return _single(param, value)


def _single(param: Param, value: bool | int | float | str) -> Any:
    said = str(value).strip()
    try:
        if param.kind == "choice":
            return said if said in param.choices else Wrong(repr(value))
        return _READERS[param.kind](said)
    except (ValueError, KeyError):
        return Wrong(repr(value))


def _whole(said: str) -> float:
    number = float(said)
    if not number.is_integer():
        raise ValueError(f"{said!r} is not a whole number")
    return number


def _duration(said: str) -> float:
    amount = seconds(unquoted(said))
    return math.inf if amount is None else amount


def _moment(said: str) -> Moment:
    try:
        when = datetime.fromisoformat(said)
        return Moment("", (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    except ValueError:
        pass
    words = re.sub(r"\s+", " ", said.strip(_ENDS)).casefold()
    bare = words
    while (shorter := _AROUND.sub("", bare).strip()) != bare:
        bare = shorter
    try:
        ago = seconds(bare if bare[:1].isdigit() or len(bare.split()) > 1 else f"1 {bare}" if bare.isascii() else bare)
    except ValueError:
        return Moment(bare)
    return Moment("forever" if ago is None else f"{ago:g}s")


def unquoted(said: str) -> str:
    """A text without the pair of quotes around it."""
    text = said.strip()
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        inner = text[1:-1].strip()
        if text[0] in inner or text[-1] in inner:
            break
        text = inner
    return text


_READERS: dict[str, Callable[[str], Any]] = {
    "int": _whole,
    "float": float,
    "bool": lambda said: {"true": True, "false": False}[said.lower()],
    "duration": _duration,
    "size": lambda said: size(unquoted(said)),
    "time": lambda said: _moment(unquoted(said)),
    "name": unquoted,
    "private": unquoted,
    "text": lambda said: unquoted(said.strip(_ENDS)).strip(_ENDS),
}
"""By a parameter's kind: the form in which its values are compared."""
