"""Plates of China in every series, and of other countries where words tell."""

from __future__ import annotations

import pytest

from agentos.redact import find
from tests.redact.marks import marked, told

HELD = r"""
[[LICENSE_PLATE:使014579]]停在门口
[[LICENSE_PLATE:沪·A0023领]]
[[LICENSE_PLATE:京A·1234警]]
[[LICENSE_PLATE:粤Z·K835澳]]
[[LICENSE_PLATE:临沪A12345]]
[[LICENSE_PLATE:京·X1234应急]]
[[LICENSE_PLATE:WJ·京1234X]]
[[LICENSE_PLATE:民航A1234]]
[[LICENSE_PLATE:京Q7H·L83]]
[[LICENSE_PLATE:粤 B 12345]]
[[LICENSE_PLATE:皖A-12345]]
车牌 [[LICENSE_PLATE:赣A 5528 挂]]
军车 [[LICENSE_PLATE:KA12345]]
电动车牌 [[LICENSE_PLATE:沪A123456]]
香港车牌 [[LICENSE_PLATE:AB 1234]]
澳门车牌 [[LICENSE_PLATE:MX-12-34]]
My registration is [[LICENSE_PLATE:LD68 XVJ]]; theirs reads [[LICENSE_PLATE:LO68 XVJ]]
silver van, [[LICENSE_PLATE:KT19 WVB]]
VRM: [[LICENSE_PLATE:AB12CDE]]
plates [[LICENSE_PLATE:7ABC123]] and [[LICENSE_PLATE:8XYZ456]]
plate (out of state): [[LICENSE_PLATE:FL 34T-BKW]]
[[LICENSE_PLATE:TX LWV-4472]] (truck)
the car is a blue Golf, [[LICENSE_PLATE:B-KL 4471]]
plaque [[LICENSE_PLATE:AA-123-BB]]
matrícula [[LICENSE_PLATE:1234 BCD]]
targa [[LICENSE_PLATE:AB 123 CD]]
kenteken [[LICENSE_PLATE:12-ABC-3]]
rego [[LICENSE_PLATE:1AB-2CD]]
placa [[LICENSE_PLATE:ABC1D23]]
registration number: [[LICENSE_PLATE:KA 05 MJ 4471]]
[[LICENSE_PLATE:12가 3456]]
[[LICENSE_PLATE:А123ВС77]]
[[LICENSE_PLATE:品川 300 あ 12-34]]
""".strip("\n").split("\n")
NEAR = """
Registration is open until May 2025
the plate was full, 12 pieces
the MX-5 and the F-150 are cars
BMW 3200 CSL is a car from 1961
the truck carries 1500 KG and 2000 LBS
driver 535.104 for the RTX 4090
car seat ISOFIX R129 ECE 44
使100000名用户受益，使用123456次
粤B2-20090059
Bates LH-0038271
""".strip("\n").split("\n")


@pytest.mark.parametrize("line", HELD)
def test_plates_are_found(line: str) -> None:
    text, wanted = marked(line)
    assert told(text, find(text)) == wanted


@pytest.mark.parametrize("text", NEAR)
def test_models_weights_and_numbers_are_left_alone(text: str) -> None:
    assert told(text, find(text)) == []
