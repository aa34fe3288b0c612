"""The suites of plans are what they say: enough cases, both languages, every expectation possible and exact."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agentos.kernel.evaluation import KINDS, Case, Suite, load_suite
from agentos.kernel.scoring import Steps, ancestors, normalise, score
from agentos.registry import Registry, installed
from agentos.types import Json, Plan, Step
from agentos.types.calls import references

SUITE = load_suite("plans", installed())
UNSEEN = load_suite("unseen", installed())
TABLE = UNSEEN.table(installed())
PLANS = [
    pytest.param(case, plan, id=f"{start}{case.id}-{i}")
    for start, suite in (("", SUITE), ("unseen-", UNSEEN))
    for case in suite.cases
    for i, plan in enumerate(case.expected)
]


@pytest.fixture
def table() -> Registry:
    return TABLE


@pytest.fixture
def suite() -> Suite:
    return SUITE


def test_there_are_at_least_200_cases_in_every_kind(suite: Suite) -> None:
    assert len(suite.cases) >= 200
    kinds = Counter(case.kind for case in suite.cases)
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 10


def test_half_of_the_cases_are_chinese(suite: Suite) -> None:
    langs = Counter(case.lang for case in suite.cases)
    assert abs(langs["zh"] - langs["en"]) <= 0.05 * len(suite.cases)
    assert langs["mixed"] >= 10
    for case in suite.cases:
        written = any("\u4e00" <= char <= "\u9fff" for char in case.text)
        assert written == (case.lang != "en"), case.id


def test_no_sentence_comes_twice(suite: Suite) -> None:
    assert len({case.text for case in suite.cases}) == len(suite.cases)


def test_every_syscall_is_asked_for_in_both_languages(suite: Suite, table: Registry) -> None:
    for lang in ("en", "zh"):
        asked = {s.syscall for case in suite.cases if case.lang == lang for plan in case.expected for s in plan}
        assert {entry.name for entry in table if entry.owner == "agentos"} <= asked


def test_every_value_of_every_choice_is_asked_for(suite: Suite, table: Registry) -> None:
    asked = {
        (step.syscall, name, f"{value:g}" if isinstance(value, float) else value)
        for case in suite.cases
        for plan in case.expected
        for step in plan
        for name, value in normalise(step.syscall, step.args, table).items()
        if not isinstance(value, list)
    }
    choices = {
        (entry.name, param.name, choice)
        for entry in table
        for param in entry.params
        if entry.owner == "agentos" and not param.many
        for choice in param.choices
    }
    assert choices - asked == set()


@pytest.mark.parametrize("suite", [SUITE, UNSEEN], ids=["plans", "unseen"])
def test_a_case_has_steps_unless_it_is_to_be_answered_in_words(suite: Suite) -> None:
    for case in suite.cases:
        for plan in case.expected:
            wanted = {"single": 1, "help": 1, "several": len(plan)}.get(case.kind, 0)
            assert len(plan) == wanted, case.id
            assert case.kind != "several" or len(plan) > 1, case.id


@pytest.mark.parametrize("suite", [SUITE, UNSEEN], ids=["plans", "unseen"])
def test_what_is_copied_from_a_sentence_stands_in_it(suite: Suite, table: Registry) -> None:
    for case in suite.cases:
        for plan in case.expected:
            for step in plan:
                for param in table[step.syscall].params:
                    value = step.args.get(param.name)
                    if isinstance(value, str) and param.kind in {"name", "private"} and param.name != "syscall":
                        assert value in case.text, case.id


def test_the_unseen_package_is_asked_for_in_both_languages_and_beside_what_is_installed() -> None:
    counts = Counter((case.lang, case.kind) for case in UNSEEN.cases)
    assert counts == {
        (lang, kind): count
        for lang in ("en", "zh")
        for kind, count in {"single": 20, "several": 4, "missing": 3, "decline": 3}.items()
    }
    own = {entry.name for entry in UNSEEN.syscalls}
    for lang in ("en", "zh"):
        asked = {s.syscall for case in UNSEEN.cases if case.lang == lang for plan in case.expected for s in plan}
        assert own < asked


@pytest.mark.parametrize(("case", "plan"), PLANS)
def test_a_right_plan_is_exact_renamed_and_in_another_order(case: Case, plan: Steps, table: Registry) -> None:
    expected = case.expected
    assert score(expected, Plan("p", plan), table).exact
    names = {step.id: f"x{9 - index}" for index, step in enumerate(plan)}
    renamed = list(Plan.from_json({"steps": [_renamed(step.to_json(), names) for step in plan]}).steps)
    for seed in range(3):
        random.Random(seed).shuffle(renamed)
        assert score(expected, Plan("p", tuple(renamed)), table).exact


@pytest.mark.parametrize(("case", "plan"), PLANS)
def test_a_right_plan_with_one_thing_changed_is_not_exact(case: Case, plan: Steps, table: Registry) -> None:
    for what, changed in _mutants(plan, table):
        assert not score(case.expected, Plan("p", changed), table).exact, what


def _renamed(value: Json, names: dict[str, str]) -> Json:
    """A step as JSON with every step id in it replaced."""
    if isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str):
            step, _, field = target.partition(".")
            return {"$ref": f"{names[step]}.{field}"}
        return {key: _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    return names.get(value, value) if isinstance(value, str) else value


def _mutants(plan: Steps, table: Registry) -> Iterator[tuple[str, Steps]]:
    yield "a step added", (*plan, Step("extra", "kernel.status"))
    for index, step in enumerate(plan):
        before, behind = plan[:index], plan[index + 1 :]
        other = "kernel.help" if step.syscall == "kernel.status" else "kernel.status"
        yield f"{step.id} calls {other}", (*before, replace(step, syscall=other), *behind)
        yield f"{step.id} dropped", (*before, *behind)
        kinds = {param.name: param for param in table[step.syscall].params}
        for name, value in step.args.items():
            rest = {key: kept for key, kept in step.args.items() if key != name}
            if normalise(step.syscall, rest, table) != normalise(step.syscall, step.args, table):
                yield f"{step.id}.{name} dropped", (*before, replace(step, args=rest), *behind)
            wrong = _other(value, kinds[name].choices)
            yield f"{step.id}.{name} is {wrong!r}", (*before, replace(step, args={**rest, name: wrong}), *behind)
        for edge in step.after:
            fewer = replace(step, after=tuple(name for name in step.after if name != edge))
            changed = (*before, fewer, *behind)
            if ancestors(changed) != ancestors(plan):
                yield f"{step.id} no longer waits for {edge}", changed
        for earlier in before:
            if earlier.id not in ancestors(plan)[step.id]:
                yield f"{step.id} waits for {earlier.id}", (
                    *before, replace(step, after=(*step.after, earlier.id)), *behind,
                )


def _other(value: Json, choices: tuple[str, ...]) -> Json:
    if choices:
        return next(choice for choice in reversed(choices) if choice not in {str(value), "auto"})
    if isinstance(value, int):
        return value + 1
    return {"$ref": "nowhere.model"} if references([value]) else f"{value} 2"
