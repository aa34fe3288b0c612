"""What is said rather than written is found: numbers digit by digit, addresses with dot and at."""

from __future__ import annotations

import pytest

from agentos.redact import find
from tests.redact.marks import marked, told

HELD = r"""
phone: [[PHONE:six four six, double two one, eight eight oh four]]
my cell is [[PHONE:two oh six five five one nine nine three two]]
text the office cell [[PHONE:four one five, 662, zero nine one seven]]
call me on [[PHONE:oh seven nine double one, four eight two, three oh six]]
号码是[[PHONE:幺三八，零零五七，九二一四]]
手机是[[PHONE:一三七 双零 五五二一 九八]]
[[PHONE:139零五七一8823]]
Jason 的 number 是 [[PHONE:六四六 two one eight 四四一一]]
her SSN is [[SSN:four one two, six eight, three oh nine seven]]
卡号 [[BANK_CARD:六二二二 零二八五 四二一零 一五七八]]
[[EMAIL:jane dot doe at acme dot org]]
[[EMAIL:first.last at company dot co dot uk]]
email: [[EMAIL:john underscore smith at gmail.com]]
[[EMAIL:j dot doe 42 at gmail dot com]]
my gmail is [[EMAIL:kim.lee at gmail]]
邮箱 [[EMAIL:lisi88 艾特 qq 点 com]]
[[EMAIL:kim#qq.com]]（#换成@）
[[EMAIL:wang.wu [at] corp [dot] cn]]
[[EMAIL:kim @ corp . io]]
server is [[IP_ADDRESS:10 dot 8 dot 3 dot 21]]
hxxp://[[IP_ADDRESS:45[.]148[.]122[.]9]]/x
""".strip("\n").split("\n")
NEAR = """
order two by fours, quantity four one five, length ten
part number two seven three eight eight oh one
one two three four five six seven eight nine ten
一二三四五六七八九十
第一二三四五六届
visit us at acme dot com
look at example dot com for more
find it at docs.example.com
versions 1 dot 2 dot 3 dot 4
一二三四，二二三四，三二三四
team #qq.com
""".strip("\n").split("\n")


@pytest.mark.parametrize("line", HELD)
def test_what_is_said_is_found(line: str) -> None:
    text, wanted = marked(line)
    assert told(text, find(text)) == wanted


@pytest.mark.parametrize("text", NEAR)
def test_counting_and_web_sites_are_left_alone(text: str) -> None:
    assert told(text, find(text)) == []


def test_an_address_that_a_line_breaks_is_found_whole() -> None:
    text = "write to kim.lee@\ncorp-mail.com today"
    assert told(text, find(text)) == [("EMAIL", "kim.lee@\ncorp-mail.com")]
