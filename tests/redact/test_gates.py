"""What saves a look at a text changes nothing of what is found in it."""

from __future__ import annotations

import unicodedata
from importlib import resources

import pytest

from agentos.redact import find
from agentos.redact.finder import FAMILIES, RULES
from agentos.redact.rules import Rule
from agentos.redact.shadow import Shadow
from agentos.redact.suite import read_suite

GATED = [
    rule for rule in (*RULES, *(each for family in FAMILIES for each in family.rules))
    if isinstance(rule, Rule) and (rule.gate is not None or rule.cues)
]
OWN = """
git clone https://a1B2c3D4e5F6g7H8i9J0kk@host.example/x.git
GET HTTPS://q9w8e7r6t5y4u3:@api.example.com/v1
dsn: amqp://svc:p/4#Kx9!tt@mq.example.net/jobs
write to Lena.Ott AT Gmail, or lena dot ott at corp dot example dot com
my mail is lena_ott # QQ.com, replace # by @
variable "db_password" { type = string
 default = "q7RmX2pLd9" }  # DEFAULT = none
variable "api_token" { Default  = "f81kd0a7Qm3vXz55" default = "" }
Gate *4471, keypad 4471#, press #90210#, 门禁按8842#, 单元门密码 8842
IBAN: de89 3704 0044 0532 0130 00
INSERT INTO users (login, password) VALUES ('lena', 'q7RmX2pLd9');
COPY users (login, password) FROM stdin;
lena\tq7RmX2pLd9
使123456 的车停在门口, 0049 171 5528 3360
"""
TEXTS = [
    OWN, OWN.swapcase(), *OWN.split("\n"),
    *(case.text for case in read_suite(resources.files("agentos.evals").joinpath("redact.yaml").read_text("utf-8"))),
]


def test_no_gate_shuts_out_what_its_pattern_matches() -> None:
    matched = set()
    for text in TEXTS:
        data = Shadow(text).data
        for place, rule in enumerate(GATED):
            if rule.pattern.within(data) and rule.needs in data and (rule.about is None or rule.about.anywhere(data)):
                assert rule.suits(data), (rule, text)
                matched.add(place)
    assert {place for place, rule in enumerate(GATED) if rule.gate is not None} <= matched


@pytest.mark.parametrize(("text", "value"), [
    ("INSERT INTO users (login, password) VALUES ('lena', 'q7RmX2pLd9');", "q7RmX2pLd9"),
    ("copy users (login, password) from stdin;\nlena\tq7RmX2pLd9\n", "q7RmX2pLd9"),
    ("press *4471# at the gate", "*4471#"),
    ("token https://a1B2c3D4e5F6g7H8i9J0kk@host.example/x.git", "a1B2c3D4e5F6g7H8i9J0kk"),
])
def test_what_stands_behind_a_gate_is_found(text: str, value: str) -> None:
    assert value in [text[each.start : each.end] for each in find(text)]


def test_characters_that_stand_for_themselves_are_those_that_no_rule_folds() -> None:
    for code in (*range(0x4E00, 0xA000), 0x3001, 0x3002, 0xFF0C):
        char = chr(code)
        assert Shadow(char).data.decode() == char
        assert unicodedata.category(char) in ("Lo", "Po", "Cn")
    assert Shadow("电话１３８\u200b：\u00a0٣、“ａ”，！").data.decode() == "电话138: 3、“a”，！"
