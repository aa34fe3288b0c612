"""Suites are read strictly; a run is summed up honestly."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agentos.errors import Failed, NotFound, UserError
from agentos.kernel.evaluation import Planned, Report, Row, Suite, evaluate, load_suite, read_suite
from agentos.kernel.examples import Example, collect
from agentos.kernel.report import Rate
from agentos.kernel.scoring import Score
from agentos.registry import Registry, installed
from agentos.syscall import describe, syscall
from agentos.types import Name, Plan, Step, Undone

CASES = """
cases:
- {id: one, lang: en, kind: single, text: load m, steps: [{syscall: t.load, args: {model: m}}]}
- {id: two, lang: zh, kind: single, text: 加载 m, steps: [{syscall: t.load, args: {model: m}}]}
- {id: none, lang: en, kind: decline, text: sing, steps: []}
- id: both
  lang: zh
  kind: several
  text: 先加载 m，再卸载
  any_of:
  - - {id: s1, syscall: t.load, args: {model: m}}
    - {id: s2, syscall: t.unload, args: {model: {$ref: s1.name}}, after: [s1]}
  - - {id: s1, syscall: t.load, args: {model: m}}
    - {id: s2, syscall: t.unload, args: {model: m}, after: [s1]}
"""


@syscall(effect="write")
async def load(ctx: Any, model: Name) -> Undone:
    """Brings a model into memory.

    Args:
        model: Which.
    """
    return Undone("load", model)


@syscall(effect="write")
async def unload(ctx: Any, model: Name, top: int = 1) -> Undone:
    """Takes a model out of memory.

    Args:
        model: Which.
        top: How many.
    """
    return Undone("unload", model)


@pytest.fixture(scope="module")
def table() -> Registry:
    made = Registry()
    made.add(describe(load, "t"))
    made.add(describe(unload, "t"))
    return made


@pytest.fixture(scope="module")
def suite(table: Registry) -> Suite:
    return read_suite("mine", CASES, table)


def planner(plans: dict[str, tuple[Step, ...]], seconds: float = 0.2) -> Callable[[str], Awaitable[Planned]]:
    async def plan_one(text: str) -> Planned:
        if text not in plans:
            raise Failed("the engine died; nothing was planned.")
        return Planned(Plan("p", plans[text]), seconds, 7)

    return plan_one


def right(suite: Suite) -> dict[str, tuple[Step, ...]]:
    return {case.text: case.expected[0] for case in suite.cases}


def test_a_suite_keeps_its_order_and_every_right_plan(suite: Suite) -> None:
    assert [case.id for case in suite.cases] == ["one", "two", "none", "both"]
    assert suite.cases[2].expected == ((),)
    assert [plan[1].args["model"] for plan in suite.cases[3].expected] == [{"$ref": "s1.name"}, "m"]


def test_a_suite_is_read_from_a_path(tmp_path: Path, suite: Suite, table: Registry) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(CASES, encoding="utf-8")
    assert load_suite(str(file), table) == suite


def test_an_unknown_suite_lists_what_exists(table: Registry) -> None:
    with pytest.raises(NotFound, match="plans"):
        load_suite("plan", table)


def test_a_missing_file_says_that_nothing_was_run(tmp_path: Path, table: Registry) -> None:
    with pytest.raises(UserError, match=r"cannot be read.*Nothing was run"):
        load_suite(str(tmp_path / "none.yaml"), table)


GOOD = "{id: a, lang: en, kind: single, text: x, steps: [{syscall: t.load, args: {model: m}}]}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("cases: [", "is not YAML"),
        ("- 1", "no list of cases"),
        ("cases: []", "no list of cases"),
        ("cases: [7]", "number 1: a case is a mapping"),
        ("cases: [{id: a, lang: en, kind: single, steps: []}]", "case a: 'text' is missing"),
        ("cases: [{id: 4, lang: en, kind: single, text: x, steps: []}]", "'id' is missing or not a text"),
        ("cases: [{id: a, lang: fr, kind: single, text: x, steps: []}]", "lang 'fr' is none of en, zh, mixed"),
        ("cases: [{id: a, lang: en, kind: odd, text: x, steps: []}]", "kind 'odd' is none of"),
        ("cases: [{id: a, lang: en, kind: chat, text: x}]", "either 'steps'"),
        ("cases: [{id: a, lang: en, kind: chat, text: x, steps: [], any_of: []}]", "either 'steps'"),
        ("cases: [{id: a, lang: en, kind: chat, text: x, any_of: []}]", "'any_of' is a list"),
        ("cases: [{id: a, lang: en, kind: chat, text: x, step: []}]", "no field 'step'"),
        ("cases: [{id: a, lang: en, kind: single, text: x, steps: [t.load]}]", "list of mappings"),
        ("cases: [{id: a, lang: en, kind: single, text: x, steps: [{syscall: t.lod}]}]", "'t.lod'.*mean 't.load'"),
        ("cases: [{id: a, lang: en, kind: single, text: x, steps: [{syscall: t.load}]}]", "'model' is missing"),
        (
            "cases: [{id: a, lang: en, kind: single, text: x, steps: [{syscall: t.load, args: {model: 2026-11-20}}]}]",
            "'model'.*string",
        ),
        (
            "cases: [{id: a, lang: en, kind: single, text: x, steps: [{syscall: t.unload, args: {model: m, top: x}}]}]",
            "'top'",
        ),
        (
            "cases: [{id: a, lang: en, kind: single, text: x, steps: [{syscall: t.load, args: {model: {$ref: z.x}}}]}]",
            "waits for 'z', which is no earlier step",
        ),
        (f"cases: [{GOOD}, {GOOD}]", "case a: the id comes twice"),
    ],
)
def test_a_fault_in_a_suite_is_named_with_its_case(text: str, fault: str, table: Registry) -> None:
    with pytest.raises(UserError, match=f"suite 'mine'.*{fault}"):
        read_suite("mine", text, table)


OWN = """
syscalls:
- name: kiln.fire
  effect: execute
  doc: Heats a kiln.
  params:
  - {name: kiln, kind: name, required: true}
  - {name: cone, kind: choice, choices: [low, high], default: low}
  - {name: shelves, kind: int, choices: [1, 2, 3], default: 1}
  - {name: hold, kind: duration}
  gives: [kiln]
  examples:
  - {text: fire kiln-a on high, args: {kiln: kiln-a, cone: high}}
- {name: kiln.vent, effect: write, doc: Opens a kiln's flap., params: [{name: kiln, kind: name, required: true}]}
cases:
- {id: fire, lang: en, kind: single, text: heat k1 for 2h, steps: [{syscall: kiln.fire, args: {kiln: k1, hold: 2h}}]}
- id: both
  lang: en
  kind: several
  text: load m, fire k2 and then vent it
  steps:
  - {id: s1, syscall: t.load, args: {model: m}}
  - {id: s2, syscall: kiln.fire, args: {kiln: k2}}
  - {id: s3, syscall: kiln.vent, args: {kiln: {$ref: s2.kiln}}, after: [s2]}
"""


def test_a_suite_brings_syscalls_as_an_installed_package_would(table: Registry) -> None:
    suite = read_suite("mine", OWN, table)
    fire, vent = suite.syscalls
    assert (fire.name, fire.effect, fire.fields, fire.owner) == ("kiln.fire", "execute", ("kiln",), "suite 'mine'")
    assert [(p.name, p.kind, p.required, p.default, p.choices) for p in fire.params] == [
        ("kiln", "name", True, None, ()),
        ("cone", "choice", False, "low", ("low", "high")),
        ("shelves", "int", False, 1, ("1", "2", "3")),
        ("hold", "duration", False, None, ()),
    ]
    assert fire.validate({"kiln": 7, "shelves": "2"}) == {"kiln": "7", "cone": "low", "shelves": 2, "hold": None}
    assert "kiln.fire" not in table
    assert [entry.name for entry in suite.table(table)] == ["kiln.fire", "kiln.vent", "t.load", "t.unload"]
    beside = Example("fire kiln-a on high", 'kiln.fire(kiln="kiln-a", cone="high")', frozenset({"kiln.fire"}))
    assert beside in collect(suite.table(installed()))
    with pytest.raises(UserError, match="hold: .*not a duration"):
        fire.validate({"kiln": "k", "hold": "soon"})


async def test_a_suites_own_syscalls_cannot_be_called(table: Registry) -> None:
    with pytest.raises(NotImplementedError, match="never called"):
        await read_suite("mine", OWN, table).syscalls[1].function(None, kiln="k")


async def test_plans_of_a_suites_own_syscalls_are_scored_like_any_other(table: Registry) -> None:
    suite = read_suite("mine", OWN, table)
    said = {**right(suite), "heat k1 for 2h": (Step("s1", "kiln.fire", {"kiln": "k1", "cone": "low", "hold": "120m"}),)}
    assert (await evaluate(suite, suite.table(table), planner(said))).total.exact == Rate(2, 2)
    said = {**right(suite), "heat k1 for 2h": (Step("s1", "kiln.fire", {"kiln": "k1", "cone": "high", "hold": "2h"}),)}
    report = await evaluate(suite, suite.table(table), planner(said))
    assert [(row.id, row.score.syscalls) for row in report.failed] == [("fire", True)]


VENT = "name: kiln.vent, effect: write, doc: x"


@pytest.mark.parametrize(
    ("syscalls", "fault"),
    [
        ("7", "'syscalls' is a list of mappings"),
        ("[7]", "'syscalls' is a list of mappings"),
        ("[{name: vent, effect: write, doc: x}]", "syscall 'vent': 'name' is a family and a name"),
        ("[{effect: write, doc: x}]", "'name' is a family and a name"),
        ("[{name: kiln.vent, effect: burn, doc: x}]", "'kiln.vent': effect 'burn' is none of read, write"),
        ("[{name: kiln.vent, effect: write}]", "'kiln.vent': 'doc' is missing"),
        (f"[{{{VENT}, returns: [a]}}]", "no field 'returns' in a syscall"),
        (f"[{{{VENT}, gives: kiln}}]", "'gives' is a list"),
        (f"[{{{VENT}, params: [kiln]}}]", "'params' is a list of mappings"),
        (f"[{{{VENT}, params: [{{name: Kiln, kind: name}}]}}]", "parameter 'Kiln': 'name' is a word"),
        (f"[{{{VENT}, params: [{{name: a, kind: kiln}}]}}]", "parameter 'a': kind 'kiln' is none of name"),
        (f"[{{{VENT}, params: [{{name: a, kind: [int]}}]}}]", "parameter 'a': kind .* is none of name"),
        (f"[{{{VENT}, params: [{{name: a, kind: name, many: true}}]}}]", "no field 'many' in a parameter"),
        (f"[{{{VENT}, params: [{{name: a, kind: name, required: 1}}]}}]", "'required' is true or false"),
        (f"[{{{VENT}, params: [{{name: a, kind: int, required: true, default: 2}}]}}]", "required has no default"),
        (f"[{{{VENT}, params: [{{name: a, kind: choice}}]}}]", "'choices' is a list, which a choice needs"),
        (f"[{{{VENT}, params: [{{name: a, kind: name, choices: [b]}}]}}]", "'choices' is a list"),
        (f"[{{{VENT}, params: [{{name: a, kind: choice, choices: [on, off]}}]}}]", "not all of it"),
        (f"[{{{VENT}, params: [{{name: a, kind: choice, choices: [b], default: c}}]}}]", "does not fit.*'a'"),
        (f"[{{{VENT}, params: [{{name: a, kind: duration, default: soon}}]}}]", "does not fit.*not a duration"),
        (f"[{{{VENT}, params: [{{name: a, kind: int}}, {{name: a, kind: name}}]}}]", "two parameters have one name"),
        (f"[{{{VENT}, examples: [{{text: vent}}]}}]", "an example has a 'text' and 'args'"),
        (f"[{{{VENT}, examples: [{{text: vent, args: {{a: b}}}}]}}]", "does not fit.*no argument 'a'"),
        ("[{name: t.load, effect: write, doc: x}]", "'t.load' is defined twice: by agentos and by suite 'mine'"),
        (f"[{{{VENT}}}, {{{VENT}}}]", "'kiln.vent' is defined twice"),
    ],
)
def test_a_fault_in_a_suites_own_syscalls_is_named(syscalls: str, fault: str, table: Registry) -> None:
    with pytest.raises(UserError, match=f"suite 'mine'.*{fault}"):
        read_suite("mine", f"syscalls: {syscalls}\ncases: [{GOOD}]", table)


def test_the_packaged_unseen_suite_brings_a_package_that_is_not_installed() -> None:
    table = installed()
    suite = load_suite("unseen", table)
    assert len(suite.cases) == 60
    assert len(suite.syscalls) == 5
    assert not {entry.family for entry in suite.syscalls} & {entry.family for entry in table}
    assert all(len(entry.examples) == 2 for entry in suite.syscalls)


async def test_a_planner_that_is_always_right_scores_everything(suite: Suite, table: Registry) -> None:
    report = await evaluate(suite, table, planner(right(suite)), model="m")
    assert report.total.exact == Rate(4, 4)
    assert not report.failed
    assert (report.over_acting, report.over_declining) == (Rate(0, 1), Rate(0, 3))
    assert (report.total.median_ms, report.total.p95_ms, report.total.passes) == (200.0, 200.0, 7)


async def test_every_group_counts_its_own_cases(suite: Suite, table: Registry) -> None:
    plans = {**right(suite), "加载 m": (), "sing": (Step("s1", "t.load", {"model": "m"}),)}
    report = await evaluate(suite, table, planner(plans))
    exact = {group.name: group.exact for group in report.groups}
    assert exact["single"] == Rate(1, 2)
    assert exact["en"] == Rate(1, 2)
    assert exact["zh"] == Rate(1, 2)
    assert exact["single/zh"] == Rate(0, 1)
    assert "decline/zh" not in exact
    assert (report.over_acting, report.over_declining) == (Rate(1, 1), Rate(1, 3))


async def test_a_planner_that_fails_is_counted_and_the_run_goes_on(suite: Suite, table: Registry) -> None:
    plans = right(suite)
    del plans["load m"], plans["sing"]
    seen: list[Row] = []
    report = await evaluate(suite, table, planner(plans), on_row=seen.append)
    assert tuple(seen) == report.rows
    assert [row.id for row in report.failed] == ["one", "none"]
    assert "engine died" in report.failed[0].error
    assert report.over_declining == Rate(1, 3)
    assert report.over_acting == Rate(0, 1)


async def test_a_bug_in_a_planner_is_not_swallowed(suite: Suite, table: Registry) -> None:
    async def broken(text: str) -> Planned:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await evaluate(suite, table, broken)


async def test_the_table_fits_80_columns_and_shows_what_was_wanted_and_got(suite: Suite, table: Registry) -> None:
    plans = {**right(suite), "先加载 m，再卸载": (Step("s1", "t.load", {"model": "很长的名字" * 20}),)}
    text = (await evaluate(suite, table, planner(plans), model="m")).table()
    for line in text.splitlines():
        assert sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line) <= 80, line
    assert "75.0%" in text
    assert "wanted s1: t.load(model=\"m\"); s2: t.unload" in text
    assert "got    t.load(model=\"很长" in text


async def test_the_json_holds_every_row_and_every_failure(suite: Suite, table: Registry) -> None:
    report = await evaluate(suite, table, planner({**right(suite), "load m": ()}), model="m")
    data = json.loads(json.dumps(report.to_json(), ensure_ascii=False))
    assert [row["exact"] for row in data["rows"]] == [False, True, True, True]
    (failed,) = data["failed"]
    assert failed["expected"] == [[{"id": "s1", "syscall": "t.load", "args": {"model": "m"}, "after": []}]]
    assert (failed["id"], failed["got"]) == ("one", [])
    assert data["total"]["exact"]["share"] == 0.75


async def test_a_report_names_every_threshold_that_it_misses(suite: Suite, table: Registry) -> None:
    plans = {**right(suite), "加载 m": (), "sing": (Step("s1", "t.load", {"model": "m"}),)}
    report = await evaluate(suite, table, planner(plans))
    assert report.shortfalls() == []
    assert report.shortfalls(exact=0.5) == []
    missed = report.shortfalls(exact=0.51, over_acting=0.02, over_declining=0.03)
    assert [line.split(":")[0] for line in missed] == [
        "exact plans", "acted on what should be declined", "declined what should be acted on",
    ]


def test_the_interval_is_wilsons() -> None:
    low, high = Rate(45, 50).interval
    assert (round(low, 4), round(high, 4)) == (0.7864, 0.9565)
    assert Rate(0, 0).interval == (0.0, 1.0)
    assert Rate(0, 10).interval[0] == 0.0
    assert Rate(10, 10).interval[1] == pytest.approx(1.0)


def test_the_95th_percentile_is_a_time_that_was_seen() -> None:
    rows = tuple(
        Row(str(n), "en", "chat", "x", ((),), Plan("p"), Score(True, True, True), n / 1000, 1) for n in range(1, 101)
    )
    total = Report("s", "m", rows).total
    assert (total.median_ms, total.p95_ms) == (50.5, 95.0)
