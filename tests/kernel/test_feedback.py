"""Corrections are kept as they were given, and learned from with others like them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentos.errors import AgentosError
from agentos.kernel.feedback import VARIANTS, Feedback
from agentos.kernel.sheets import tail
from agentos.registry import Registry


def test_a_correction_is_kept_and_read_again(syscalls: Registry, tmp_path: Path) -> None:
    kept = Feedback(tmp_path / "kernel" / "feedback.jsonl")
    kept.add(" wake zeta-7b ", 'models.load(model="zeta-7b")', "ada", syscalls)
    kept.add("sing", "none()", "ada", syscalls)
    found = Feedback(tmp_path / "kernel" / "feedback.jsonl").all()
    assert [(one.text, one.plan, one.user) for one in found] == [
        ("wake zeta-7b", 'models.load(model="zeta-7b")', "ada"), ("sing", "none()", "ada"),
    ]


def test_of_one_sentence_the_last_correction_counts(syscalls: Registry, tmp_path: Path) -> None:
    kept = Feedback(tmp_path / "feedback.jsonl")
    kept.add("wake zeta", "none()", "ada", syscalls)
    kept.add("wake zeta", 'models.load(model="zeta")', "ada", syscalls)
    assert [one.plan for one in kept.all()] == ['models.load(model="zeta")']


def test_half_a_line_loses_nothing_else(syscalls: Registry, tmp_path: Path) -> None:
    kept = Feedback(tmp_path / "feedback.jsonl")
    kept.add("wake zeta", "none()", "ada", syscalls)
    with (tmp_path / "feedback.jsonl").open("a") as file:
        file.write('{"text": "torn')
    assert len(kept.all()) == 1


@pytest.mark.parametrize(
    ("text", "plan", "why"),
    [
        ("", "none()", "letters"), ("x" * 2000, "none()", "letters"), ("wake it", "wake it", "syscall"),
        ("wake it", "models.load()", "needs 'model'"), ("wake it", 'models.load(model="a", colour="red")', "colour"),
        ("wake it", "", "empty"),
    ],
)
def test_what_is_no_plan_is_refused(syscalls: Registry, tmp_path: Path, text: str, plan: str, why: str) -> None:
    kept = Feedback(tmp_path / "feedback.jsonl")
    with pytest.raises(AgentosError, match=why):
        kept.add(text, plan, "ada", syscalls)
    assert kept.all() == []


def test_rows_are_the_correction_and_the_same_about_other_things(syscalls: Registry, tmp_path: Path) -> None:
    kept = Feedback(tmp_path / "feedback.jsonl")
    kept.add("wake zeta-7b on the gpu", 'models.load(model="zeta-7b", device="gpu")', "ada", syscalls)
    rows = kept.rows(syscalls)
    assert rows[0].tail == tail("wake zeta-7b on the gpu")
    assert rows[0].plan == 'models.load(model="zeta-7b", device="gpu")'
    assert 6 <= len(rows) <= VARIANTS
    assert all(row.plan.startswith("models.load(model=") and 'device="gpu"' in row.plan for row in rows)
    assert len({row.plan for row in rows}) > 3


def test_a_missing_argument_may_be_corrected_to_be_asked_for(syscalls: Registry, tmp_path: Path) -> None:
    kept = Feedback(tmp_path / "feedback.jsonl")
    assert kept.add("wake one", "models.load(model=?)", "ada", syscalls).plan == "models.load(model=?)"
    assert kept.rows(syscalls)[0].plan == "models.load(model=?)"
