"""Corrections are kept as they were given, and learned from with others like them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentos.errors import AgentosError
from agentos.kernel.feedback import VARIANTS, Feedback, spoken_for
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


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ({"results": {"s1": {}}}, None),
        ({"results": {"s1": {}}, "approvals": {"s1": {"id": "--yes"}}}, None),
        ({"results": {"s1": {}}, "approvals": {"s1": {"id": "a1"}}}, "confirmed"),
        ({"results": {"s1": {}}, "repaired": True}, "repaired"),
        ({"results": {"s1": {}}, "repaired": True, "failures": {"s2": {"kind": "user"}}}, None),
        ({"failures": {"s1": {"kind": "refused"}}}, "refused"),
        ({"failures": {"s1": {"kind": "failed"}}, "approvals": {"s1": {"id": "a1"}}}, None),
        ({}, None),
    ],
)
def test_what_the_end_of_a_run_says_of_its_plan(state: Any, kind: str | None) -> None:
    assert spoken_for(state) == kind


def test_what_was_refused_is_not_learned_and_unlearns_what_was_confirmed(syscalls: Registry, tmp_path: Path) -> None:
    kept = Feedback(tmp_path / "feedback.jsonl")
    plan = 'models.unload(model="zeta")'
    kept.add("drop zeta", plan, "ada", syscalls, "confirmed")
    assert kept.rows(syscalls)
    kept.add("drop zeta", plan, "ada", syscalls, "refused")
    assert kept.rows(syscalls) == []


def test_private_values_are_taken_out_of_both_before_anything_is_written(syscalls: Registry, tmp_path: Path) -> None:
    def redact(text: str) -> tuple[str, dict[str, int]]:
        return text.replace("eve@example.org", "<EMAIL_1>"), {}

    kept = Feedback(tmp_path / "feedback.jsonl", lambda: redact)
    made = kept.add("what did eve@example.org do", 'audit.search(user="eve@example.org")', "ada", syscalls)
    assert (made.text, made.plan) == ("what did <EMAIL_1> do", 'audit.search(user="<EMAIL_1>")')
    assert "eve@" not in (tmp_path / "feedback.jsonl").read_text("utf-8")


def test_each_agrees_for_themselves_and_what_they_gave_is_forgotten_alone(syscalls: Registry, tmp_path: Path) -> None:
    kept = Feedback(tmp_path / "feedback.jsonl")
    assert not kept.agreed("ada")
    kept.agree("ada", True)
    kept.agree("bo", True)
    kept.agree("bo", False)
    assert kept.agreed("ada") and not kept.agreed("bo")
    for user in ("ada", "bo", "ada"):
        kept.add(f"sing {user}", "none()", user, syscalls)
    assert kept.forget("ada") == 2 and kept.forget("ada") == 0
    assert [one.user for one in kept.all()] == ["bo"]
    assert (tmp_path / "feedback.jsonl").stat().st_mode & 0o77 == 0
