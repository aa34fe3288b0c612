"""The redactor on texts that its rules were not written from, and the scores themselves."""

from __future__ import annotations

from importlib import resources

import pytest

from agentos.errors import UserError
from agentos.redact import KINDS, find
from agentos.redact.suite import LANGUAGES, MASK, PARTS, Private, Text, masked, plain, read_suite, score

CASES = read_suite(resources.files("agentos.evals").joinpath("redact.yaml").read_text("utf-8"))
CARD = Text("a", "en", "chat", "first", "card 4111 1111 1111 1111, host 10.2.3.4, see 192.0.2.1",
            (Private("BANK_CARD", "4111 1111 1111 1111"),), ("192.0.2.1",))


@pytest.mark.parametrize("part", PARTS)
def test_hardly_any_value_leaks_and_hardly_anything_else_is_taken(part: str) -> None:
    cases = [case for case in CASES if case.part == part]
    scored = score(cases, [[(found.kind, found.start, found.end) for found in find(case.text)] for case in cases])
    least = 0.96 if part == "fifth" else 0.97  # no rule was written after its leaks
    assert scored.recall >= least, scored.leaks
    assert scored.precision >= 0.96, scored.wrong


def test_the_suite_has_every_kind_in_both_languages_and_texts_without_any() -> None:
    assert {(case.lang, private.kind) for case in CASES for private in case.values} >= {
        (lang, kind) for lang in ("zh", "en") for kind in KINDS
    }
    assert {case.lang for case in CASES} == {*LANGUAGES}
    assert 0.35 < sum(not case.values for case in CASES) / len(CASES) < 0.45


def test_a_value_leaks_where_its_digits_still_stand_however_they_are_written() -> None:
    start = CARD.text.index("4111")
    whole, most = [("BANK_CARD", start, start + 19)], [("BANK_CARD", start, start + 18)]
    assert score([CARD], [whole]).recall == 1 and score([CARD], [whole]).whole == 1
    assert score([CARD], [most]).recall == 1 and score([CARD], [most]).whole == 0
    assert score([CARD], [[]]).recall == 0
    again = Text("a", "en", "chat", "first", CARD.text + " or 4111-1111-1111-1111", CARD.values)
    assert score([again], [whole]).recall == 0
    assert plain("４１１１ 1111\u200b-1111%2d1111") == plain("4111111111111111")


def test_what_is_found_is_right_on_a_value_wrong_elsewhere_and_nothing_on_what_may_be_either() -> None:
    ip, either = CARD.text.index("10.2"), CARD.text.index("192")
    found = [("BANK_CARD", 5, 10), ("IP_ADDRESS", ip, ip + 8), ("IP_ADDRESS", either, either + 9)]
    scored = score([CARD], [found])
    assert scored.precision == 0.5 and scored.wrong == (("a", "IP_ADDRESS", "10.2.3.4"),)


def test_masks_cover_spans_that_overlap_and_join_nothing() -> None:
    assert masked("abcdef", [(1, 3), (2, 4), (2, 3)]) == f"a{MASK}{MASK}ef"
    assert plain(masked("12-34", [(2, 3)])) == f"12{MASK}34"


@pytest.mark.parametrize("fault", ["lang: xx", "part: ninth", "values: [{type: NAME, value: b}]",
                                   "values: [{type: EMAIL, value: c}]", "either: [c]", "text: 5"])
def test_a_fault_in_a_suite_is_named_with_its_text(fault: str) -> None:
    fields = {"lang": "zh", "form": "chat", "part": "first", "text": "b"} | dict([fault.split(": ", 1)])
    lines = "\n".join(f"  {name}: {value}" for name, value in fields.items())
    with pytest.raises(UserError, match="'t1'"):
        read_suite(f"cases:\n- id: t1\n{lines}\n")
