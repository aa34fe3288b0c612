"""Numbers that a scan or the end of a line broke are found; rows of other numbers are left alone."""

from __future__ import annotations

import pytest

from agentos.redact import find
from tests.redact.marks import marked, told

HELD = [
    "公民身份号码 [[ID_CARD:1101O5 199OO3 07OO1X]]",
    "身份证号：[[ID_CARD:1 1 0 1 0 5 1 9 9 0 0 3 0 7 0 0 1 X]]",
    "老证 [[ID_CARD:110105900307001]]",
    "card number [[BANK_CARD:4S39 4l43 3433 7O24]]",
    "卡号 [[BANK_CARD:6 2 2 2 0 2 8 5 4 2 1 0 1 5 7 8 1 0 5]]",
    "SSN: [[SSN:5l8-62-9O47]]",
    "手机 [[PHONE:138 0013 8OO0]]",
]
BROKEN = {
    "BANK_CARD": ("打这个卡：\n", "6222 0285\n4210 1578 105", "\n工行"),
    "ID_CARD": ("| 身份证号 |\n| ", "1101051990\n         0307001X", " |"),
    "IBAN": ("IBAN: ", "DE89 3704 0044\n0532 0130 00", "."),
    "PHONE": ("手机：", "139 0571\n8823", "\n"),
}
NEAR = [
    "1024 2048\n4096 8192 1024",
    "the card has 4096\n8192 tokens",
    "订单 6222028542\n101578105",
    "step 110105\n199003070012 of the run",
    "IOSOB10ZZ and SOLIDOOZ",
]


@pytest.mark.parametrize("line", HELD)
def test_letters_read_for_digits_and_gaps_hide_nothing(line: str) -> None:
    text, wanted = marked(line)
    assert told(text, find(text)) == wanted


@pytest.mark.parametrize("kind", BROKEN)
def test_a_number_that_goes_on_in_the_next_line_is_found_whole(kind: str) -> None:
    before, value, after = BROKEN[kind]
    text = before + value + after
    assert told(text, find(text)) == [(kind, value)]


@pytest.mark.parametrize("text", NEAR)
def test_other_numbers_on_two_lines_are_left_alone(text: str) -> None:
    assert told(text, find(text)) == []
