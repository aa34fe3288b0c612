"""The suite of who may do what, and that no rule is there for nothing."""

import pytest

from agentos.errors import UserError
from agentos.policy.permissions import evaluate, read_suite
from agentos.policy.rules import shipped


def test_every_case_gets_its_answer_by_its_rule(suite, table) -> None:
    report = evaluate(suite, table)
    assert report.wrong == ()
    assert report.right == len(suite.cases) >= 60


@pytest.mark.parametrize("name", sorted(shipped()))
def test_removing_any_one_policy_makes_a_case_fail(suite, table, tmp_path, name) -> None:
    (tmp_path / name).write_text("// taken away\n")
    assert evaluate(suite, table, extra=tmp_path).wrong


@pytest.mark.parametrize(
    "text",
    ["", "- a", "cases: [{user: vera}]", "users: {}\ncases: [{user: a, syscall: b, expect: maybe, rule: c}]", "a: ["],
)
def test_a_suite_that_is_incomplete_is_refused(text) -> None:
    with pytest.raises(UserError, match="Nothing was checked"):
        read_suite(text)
