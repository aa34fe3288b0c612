"""Verdicts that are kept follow from all that the rules in force can read of a call."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentos.policy.monitor import Monitor
from agentos.registry import Registry
from agentos.types import Allowed, Denied
from tests.policy.conftest import Calls

READING = {
    "by name": "context.args.max_tokens > 100",
    "with has": "context.args has max_tokens && context.args.max_tokens > 100",
    "as an element": 'context["args"]["max_tokens"] > 100',
}


@pytest.mark.parametrize("condition", READING.values(), ids=READING)
def test_a_rule_that_reads_what_is_asked_is_asked_each_time(
    home: Path, table: Registry, calls: Calls, condition: str
) -> None:
    (home / "policies").mkdir(parents=True)
    (home / "policies" / "own.cedar").write_text(
        f'@id("not-so-much")\n@reason("no")\nforbid (principal, action == Action::"models.generate", resource)'
        f"\nwhen {{ {condition} }};\n"
    )
    monitor = Monitor(table, {"oscar": "operator"}.get, extra=home / "policies")  # type: ignore[arg-type]
    entry = table["models.generate"]

    def said(most: int) -> type:
        args = entry.validate({"model": "m", "prompt": "hello", "max_tokens": most})
        return type(monitor.decide(calls("models.generate", args), entry, confirmed=True))

    assert [said(9), said(101), said(9), said(102)] == [Allowed, Denied, Allowed, Denied]


def test_other_callers_things_and_doors_are_other_questions(table: Registry, calls: Calls) -> None:
    monitor = Monitor(table, {"oscar": "operator", "vera": "viewer"}.get)  # type: ignore[arg-type]
    entry = table["models.load"]
    args = entry.validate({"model": "m"})
    for _ in range(2):
        assert isinstance(monitor.decide(calls("models.load", args), entry, confirmed=True), Allowed)
        assert isinstance(monitor.decide(calls("models.load", args, "vera", "viewer"), entry, confirmed=True), Denied)
