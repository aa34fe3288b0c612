"""Evaluation suites for plans: read one, run a planner over it, and say how it did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from agentos.errors import AgentosError, UserError, unknown
from agentos.kernel.foreign import foreign, only
from agentos.kernel.report import Report, Row
from agentos.kernel.scoring import Score, Steps, score
from agentos.registry import Registry
from agentos.syscall import Syscall
from agentos.types import Json, Plan
from agentos.types.calls import references

__all__ = [
    "Case", "Planned", "Report", "Row", "Score", "Suite", "evaluate", "foreign", "load_suite", "read_suite", "score",
]

LANGUAGES = ("en", "zh", "mixed")
KINDS = ("single", "several", "decline", "missing", "help", "chat")
"""One call; several; nothing in the table answers; an argument is missing; about the system; small talk."""


@dataclass(frozen=True)
class Case:
    """One sentence and the plans that are right for it."""

    id: str
    lang: str
    kind: str
    text: str
    expected: tuple[Steps, ...]
    """Mostly one; a plan without steps is a reply in words."""


@dataclass(frozen=True)
class Suite:
    """Cases in the order in which they are run."""

    name: str
    cases: tuple[Case, ...]
    syscalls: tuple[Syscall, ...] = ()
    """What it brings along that is not installed."""

    def table(self, base: Registry) -> Registry:
        """What its sentences are planned and scored over: a copy of `base` with its own syscalls added.

        Raises:
            ValueError: two syscalls have one name.
        """
        made = Registry()
        for entry in (*base, *self.syscalls):
            made.add(entry)
        return made


@dataclass(frozen=True)
class Planned:
    """What a planner made of one sentence, and what it took."""

    plan: Plan
    seconds: float
    passes: int
    """Forward passes over the model's weights."""


def load_suite(name_or_path: str, table: Registry) -> Suite:
    """A suite by its name (`plans`, as packaged) or by the path of its file.

    Args:
        name_or_path: A name without a suffix, or a path to a YAML file.
        table: The syscalls that the expected plans may name, besides those that the suite brings along.

    Raises:
        NotFound: no packaged suite bears that name.
        UserError: there is no such file, or it is not a suite of plans; the case and the fault are named.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        try:
            return read_suite(path.stem, path.read_text(encoding="utf-8"), table)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"suite {name_or_path!r} cannot be read: {error}. Nothing was run.") from error
    files = resources.files("agentos.evals").iterdir()
    packaged = {file.name[:-5]: file for file in files if file.name.endswith(".yaml")}
    if name_or_path not in packaged:
        raise unknown("evaluation suite", name_or_path, list(packaged))
    return read_suite(name_or_path, packaged[name_or_path].read_text(encoding="utf-8"), table)


def read_suite(name: str, text: str, table: Registry) -> Suite:
    """A suite from its YAML: cases under `cases`, and under `syscalls` what it brings along (see `foreign`).

    Raises:
        UserError: it is not YAML, a field is missing or wrong, or an id or a syscall comes twice.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"suite {name!r} is not YAML: {error}. Nothing was run.") from error
    listed = data.get("cases") if isinstance(data, dict) else None
    if not isinstance(listed, list) or not listed:
        raise UserError(f"suite {name!r} has no list of cases under 'cases'; nothing was run.")
    own = tuple(foreign(data.get("syscalls", []), f"suite {name!r}"))
    try:
        table = Suite(name, (), own).table(table)
    except ValueError as error:
        raise UserError(f"suite {name!r}: {error}. Nothing was run.") from error
    cases: list[Case] = []
    seen: set[str] = set()
    for index, raw in enumerate(listed, 1):
        label = raw.get("id") if isinstance(raw, dict) else None
        where = f"suite {name!r}, case {label or f'number {index}'}"
        case = _case(raw, where, table)
        if case.id in seen:
            raise UserError(f"{where}: the id comes twice; give each case its own.")
        seen.add(case.id)
        cases.append(case)
    return Suite(name, tuple(cases), own)


async def evaluate(
    suite: Suite,
    table: Registry,
    plan_one: Callable[[str], Awaitable[Planned]],
    *,
    model: str = "",
    on_row: Callable[[Row], None] | None = None,
) -> Report:
    """Plans every sentence, one after the other, and scores it.

    A sentence that the planner fails on (an `AgentosError`) counts as wrong and is reported with its
    error; anything else is a bug and ends the run.

    Args:
        suite: What to run.
        table: The syscalls that the planner has, for the scorer: `Suite.table`.
        plan_one: Makes a plan of one sentence.
        model: The kernel model's name, for the report.
        on_row: Told each row as it is done, for a progress bar.
    """
    rows: list[Row] = []
    for case in suite.cases:
        try:
            planned, error = await plan_one(case.text), ""
        except AgentosError as fault:
            planned, error = Planned(Plan(case.id), 0.0, 0), str(fault)
        result = Score(False, False, False) if error else score(case.expected, planned.plan, table)
        row = Row(
            case.id, case.lang, case.kind, case.text, case.expected, planned.plan, result, planned.seconds,
            planned.passes, error,
        )
        rows.append(row)
        if on_row:
            on_row(row)
    return Report(suite.name, model, tuple(rows))


def _case(raw: Any, where: str, table: Registry) -> Case:
    if not isinstance(raw, dict):
        raise UserError(f"{where}: a case is a mapping with id, lang, kind, text and steps, not {raw!r}.")
    for key in ("id", "lang", "kind", "text"):
        if not isinstance(raw.get(key), str) or not raw[key].strip():
            hint = "YAML reads 7, no and 2026-11-20 as something else: quote it"
            raise UserError(f"{where}: {key!r} is missing or not a text ({hint}).")
    only(raw, {"id", "lang", "kind", "text", "steps", "any_of"}, "a case", where)
    for key, allowed in (("lang", LANGUAGES), ("kind", KINDS)):
        if raw[key] not in allowed:
            raise UserError(f"{where}: {key} {raw[key]!r} is none of {', '.join(allowed)}.")
    if ("steps" in raw) == ("any_of" in raw):
        raise UserError(f"{where}: give either 'steps' (an empty list for a reply) or 'any_of', a list of such lists.")
    plans = raw["any_of"] if "any_of" in raw else [raw["steps"]]
    if not isinstance(plans, list) or not plans:
        raise UserError(f"{where}: 'any_of' is a list of lists of steps.")
    return Case(raw["id"], raw["lang"], raw["kind"], raw["text"], tuple(_steps(plan, where, table) for plan in plans))


def _steps(listed: Any, where: str, table: Registry) -> Steps:
    if not isinstance(listed, list) or not all(isinstance(raw, dict) for raw in listed):
        raise UserError(f"{where}: the steps are a list of mappings with syscall, args and, for several, id and after.")
    for raw in listed:
        only(raw, {"id", "syscall", "args", "after"}, "a step", where)
        if raw.get("syscall") not in table:
            known = [entry.name for entry in table]
            raise UserError(f"{where}: {unknown('syscall', str(raw.get('syscall')), known)}")
        if not isinstance(raw.get("args", {}), dict) or not isinstance(raw.get("after", []), list):
            raise UserError(f"{where}: 'args' is a mapping and 'after' a list of step ids.")
        _check_args(raw["syscall"], raw.get("args", {}), where, table)
    steps = Plan.from_json({"steps": listed}).steps
    earlier: set[str] = set()
    for step in steps:
        if step.id in earlier:
            raise UserError(f"{where}: two steps are called {step.id!r}.")
        late = [name for name in step.after if name not in earlier]
        if late:
            raise UserError(f"{where}: step {step.id!r} waits for {late[0]!r}, which is no earlier step.")
        earlier.add(step.id)
    return steps


def _check_args(syscall: str, args: Mapping[str, Json], where: str, table: Registry) -> None:
    """Holds the arguments to the schema; a reference stands for whatever its parameter takes."""
    entry = table[syscall]
    given = dict(args)
    for param in entry.params:
        value = given.get(param.name)
        if references([value]):
            del given[param.name]
            if param.required:
                single = param.choices[0] if param.choices else "1"
                given[param.name] = [single] if param.many else single
    try:
        entry.validate(given)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
