"""Placeholders stand for values, come back as they were, and are never taken for data."""

from __future__ import annotations

from agentos.redact import Redactor, find
from tests.redact.marks import marked
from tests.redact.test_find import HELD


def test_one_value_has_one_placeholder_for_as_long_as_the_redactor_lasts() -> None:
    redactor = Redactor()
    first, counts = redactor.redact("a@b.org wrote to c@d.org, then a@b.org called 13812345678")
    assert first == "<EMAIL_1> wrote to <EMAIL_2>, then <EMAIL_1> called <PHONE_1>"
    assert counts == {"EMAIL": 3, "PHONE": 1}
    assert redactor.redact("c@d.org and e@f.org")[0] == "<EMAIL_2> and <EMAIL_3>"
    assert Redactor().redact("c@d.org")[0] == "<EMAIL_1>"


def test_everything_comes_back_as_it_was() -> None:
    redactor = Redactor()
    text = "\n".join(marked(line)[0] for line in HELD)
    redacted, _ = redactor.redact(text)
    assert redacted != text and redactor.restore(redacted) == text


def test_a_redacted_text_holds_nothing_more_to_redact() -> None:
    for line in HELD:
        redacted, counts = Redactor().redact(marked(line)[0])
        assert counts and find(redacted) == [], redacted


def test_no_value_is_left_in_the_text() -> None:
    for line in HELD:
        text, wanted = marked(line)
        redacted, _ = Redactor().redact(text)
        assert not any(value in redacted for _, value in wanted), redacted


def test_placeholders_of_somebody_else_are_kept_and_not_given_again() -> None:
    redactor = Redactor()
    redacted, counts = redactor.redact("<EMAIL_1> and a@b.org")
    assert redacted == "<EMAIL_1> and <EMAIL_2>" and counts == {"EMAIL": 1}
    assert redactor.restore(redacted) == "<EMAIL_1> and a@b.org"
    assert redactor.restore("<PHONE_7> is not ours") == "<PHONE_7> is not ours"


def test_a_text_without_private_data_is_itself() -> None:
    assert Redactor().redact("nothing here, 没有") == ("nothing here, 没有", {})
