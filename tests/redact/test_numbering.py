"""Numbers as the countries write them at home are phones; other grouped numbers are not."""

from __future__ import annotations

import pytest

from agentos.redact import find
from tests.redact.marks import marked, told

HELD = r"""
联系人老周 [[PHONE:0086-13955127734]]
打 [[PHONE:(0086)139-5512-7734]] 找我
callback [[PHONE:0049 171 5528 3361]]
[[PHONE:8610-58273640]]
[[PHONE:001-415-273-8801]]
Zentrale [[PHONE:+49 (0) 171 / 552 - 8391]]
Büro: [[PHONE:089/4521-7763]]
landline [[PHONE:030 / 4417 52 83]]
Handy: [[PHONE:0171 / 552 83 91]]
it is [[PHONE:07911 482 306]] now
ring [[PHONE:0161 496 0337]] after six
appelle-moi au [[PHONE:06.52.18.94.37]]
Lyon, Inès, [[PHONE:07 52 18 94 37]]
Wien [[PHONE:0664/1234567]]
Zürich: [[PHONE:079 123 45 67]]
[[PHONE:070-123 45 67]] Anna (Stockholm)
Dublin, Niamh [[PHONE:087 123 4567]]
Rotterdam [[PHONE:06-12345678]]
Istanbul [[PHONE:0532 123 45 67]]
Tokyo: [[PHONE:090-5512-7734]]
Seoul office [[PHONE:02-771-5523]]
Taipei [[PHONE:0912-738-405]]
Sydney [[PHONE:0412 558 773]] or [[PHONE:(02) 6555 4471]]
Jakarta [[PHONE:0812-3456-7890]]
Manila [[PHONE:0917 123 4567]]
Hanoi [[PHONE:0903 123 456]]
KL [[PHONE:012-345 6789]]
Cairo [[PHONE:0101 234 5678]]
Karachi [[PHONE:0300-1234567]]
Tel Aviv [[PHONE:054-123-4567]]
[[PHONE:8 (912) 558-73-21]]
São Paulo [[PHONE:(11) 91234-5678]]
Singapore: [[PHONE:9182 5537]]
Hong Kong, [[PHONE:6473 5518]]
Mumbai, Rohit [[PHONE:98201 44731]]
Madrid [[PHONE:612 558 773]]
Warsaw [[PHONE:512 345 678]]
Milan: [[PHONE:345 678 9012]]
[[PHONE:559/214-8837]]
call me: [[PHONE:4 1 5 8 2 7 3 9 9 1]]
snap me at [[PHONE:6 4 6-2 1 8-5 5 9 1]]
收件人号码 [[PHONE:1 5 9 2 7 3 3 8 8 1 2]]
https://wa.me/[[PHONE:447911482306]]
[[PHONE:13905718823]]vx同号
""".strip("\n").split("\n")
NEAR = """
AWB 176-38271946, seal CN8827364
NDC 0378-0018-91, DUNS 07-842-1936
dossier number 0800-382-7719/B
Meeting ID: 839 2716 4405
lottery 05 12 18 23 31 + 07
bytes 01 02 03 04 05
date 01/02/2024 and 12.03.2024 10:20
ratio 030/40 and 1024/2048
git show 0049 1122 3344 5566
India 1947 2024
Hong Kong flight CX 4112
Singapore invoice 9182 5537
ISBN 0-262-03384-4
GPU use 98 97 96 95 94 93
VAT BE 0123.456.789
Rechnung Nr. 030/2024-1183 vom 12.03.2024
Kundennummer 0171 552 8391
Customer number: 0161 496 0337
N° de commande 06 52 18 94 37
Zoom 839 2716 4405
labels: 1 3 9 0 5 7 1 8 8 2 3 4 4 2
13900571*x + 15434501766*y
""".strip("\n").split("\n")


@pytest.mark.parametrize("line", HELD)
def test_a_number_is_known_by_how_its_country_groups_it(line: str) -> None:
    text, wanted = marked(line)
    assert told(text, find(text)) == wanted


@pytest.mark.parametrize("text", NEAR)
def test_numbers_of_things_are_left_alone(text: str) -> None:
    assert told(text, find(text)) == []
