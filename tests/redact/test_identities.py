"""Numbers of persons as other countries write them, behind their own names."""

from __future__ import annotations

import re

import pytest

from agentos.redact import find

VALUES = """
身分證字號 [[ID_CARD:A228317745]]，手機 0937-418-205
香港身份证 [[ID_CARD:K4829176]]
HKID No. [[ID_CARD:C668668(A)]]
澳门居民身份证：[[ID_CARD:5123456(7)]]
My NRIC is [[ID_CARD:S8412345D]], hers S 8 or so
NRIC/FIN: [[ID_CARD:G1234567N]] and [[ID_CARD:F7654321K]]
Aadhaar [[ID_CARD:4821 7730 9156]] was linked
PAN: [[ID_CARD:ABCPE1234F]]
National Insurance no: [[ID_CARD:AB123456C]]
My Number [[ID_CARD:1234 5678 9012]]
주민등록번호: [[ID_CARD:900101-1234567]]
PESEL [[ID_CARD:85071204567]]
DNI: [[ID_CARD:12.345.678-Z]]
NIE [[ID_CARD:X1234567L]]
Codice fiscale [[ID_CARD:RSSMRA85T10A562S]]
BSN: [[ID_CARD:1234.56.782]]
CPR-nr. [[ID_CARD:070761-4285]]
Steuer-ID [[ID_CARD:12 345 678 901]]
Numéro de sécurité sociale : [[ID_CARD:1 85 05 78 006 084 36]]
AHV [[ID_CARD:756.1234.5678.97]]
CPF [[ID_CARD:123.456.789-09]]
RUT [[ID_CARD:12.345.678-5]]
Emirates ID [[ID_CARD:784-1984-1234567-1]]
军官证号：[[ID_CARD:南字第01234567号]]
永居证 [[ID_CARD:911840198901123456]]
Soc. Sec. #: [[SSN:318 52 7746]]
SS# [[SSN:318-52-7746]], ITIN [[SSN:912-78-1234]]
社安号（SSN）：[[SSN:318 52 7746]]
SIN [[SSN:123 456 789]]
证件号码 [[PASSPORT:H12345678]]
"""
NONE = """
order id 123 456 789
the PAN 12 section, a sin 45 degrees wide
ni 22.04 release, run 12.345 steps
SSN ends in 4821; ssn last 4: 8836
身份证后六位 310021
EIN 36-4418873
fin 2024-06-30
"""


@pytest.mark.parametrize("marked", VALUES.strip().split("\n"))
def test_a_number_behind_its_own_name_is_found(marked: str) -> None:
    text = re.sub(r"\[\[\w+:(.*?)\]\]", r"\1", marked)
    wanted = re.findall(r"\[\[(\w+):(.*?)\]\]", marked)
    found = [(each.kind, text[each.start : each.end]) for each in find(text)]
    assert [each for each in found if each[0] != "PHONE"] == wanted


@pytest.mark.parametrize("text", NONE.strip().split("\n"))
def test_a_number_of_another_kind_is_none(text: str) -> None:
    assert find(text) == []
