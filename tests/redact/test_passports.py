"""Passports after their word, after a nationality, and in the lines that machines read."""

from __future__ import annotations

import pytest

from agentos.redact import find
from tests.redact.marks import marked, told

HELD = r"""
passport, Korean, [[PASSPORT:M482K1937]]
French passport [[PASSPORT:18CK40928]]
Passport No. (UK): [[PASSPORT:533401929]]
passport no. [[PASSPORT:X4RTBPFW5]] (DE)
Reisepass-Nr. [[PASSPORT:C4K7R19ZN]]
PP# [[PASSPORT:533401929]]
passports: [[PASSPORT:E12345678]], [[PASSPORT:G87654321]] and [[PASSPORT:EK0482617]]
护照（新）：[[PASSPORT:EK0482617]]
passport T: [[PASSPORT:T 4829 018]]
Passport | [[PASSPORT:E12345678]]
港澳通行证 [[PASSPORT:C73820165]]
[[PASSPORT:E123456784CHN9001011M2901017<<<<<<<<<<<<<<00]]
[[PASSPORT:L898902C36UTO7408122F1204159ZE184226B<<<<<10]]
I<UTO[[ID_CARD:D231458907]]<<<<<<<<<<<<<<<
""".strip("\n").split("\n")
NEAR = """
Passport photos 35x45 cost 12 EUR in 2024
passport office opened in 2019
P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<
ISO 9303 and RFC 2119
""".strip("\n").split("\n")


@pytest.mark.parametrize("line", HELD)
def test_passports_are_found(line: str) -> None:
    text, wanted = marked(line)
    assert told(text, find(text)) == wanted


@pytest.mark.parametrize("text", NEAR)
def test_what_is_only_said_of_passports_is_left_alone(text: str) -> None:
    assert told(text, find(text)) == []


def test_a_list_names_the_kind_once() -> None:
    text = "Manifest\nHart, J. - GBR - passport 533401929\nVogt, A. - DEU - C4K7R19ZN\nIyer, S. - IND - T 4829 018\n"
    assert [value for _, value in told(text, find(text))] == ["533401929", "C4K7R19ZN", "T 4829 018"]
