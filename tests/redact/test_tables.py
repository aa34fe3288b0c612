"""Values that only the head of their column names are found, and lists that only look like tables are left alone."""

from __future__ import annotations

import pytest

from agentos.redact import find

TABLES = {
    "Markdown": ("| host | root pw |\n|------|---------|\n| `db` | `Tr0ut!lake` |\n| `web` | - |", ["Tr0ut!lake"]),
    "CSV": ('name,password,note\n"Li, Na",hunter2x,\nKim,"a,b4x",old\n', ["hunter2x", "a,b4x"]),
    "tabs": ("护照号码\t姓名\nE12345678\tLIN\nEK0482617\tWU", ["E12345678", "EK0482617"]),
    "semicolons": ("id;passport_no\n1;P7420816\n2;C04918827", ["P7420816", "C04918827"]),
    "the last line of a longer text": ("hello\n\nuser,数据库密码\nroot,Xin9nian\n\nbye 3,4x", ["Xin9nian"]),
    "a table of lines": (
        "+---+-----------+\n| n | 护照号码  |\n+---+-----------+\n| 1 | E12345678 |\n+---+-----------+", ["E12345678"]
    ),
    "columns by spaces": ("name    plate     paid\nKim     8KXT393   yes\nLee     AB 12     no", ["8KXT393", "AB 12"]),
    "SQL": (
        "INSERT INTO guests (ref, name, passport_no, nat) VALUES ('QX7T2N', 'O''Neil, A', '18CK40928', 'FRA'),\n"
        "('QX7T2P', NULL, 'C4K7R19ZN', 'DEU');", ["18CK40928", "C4K7R19ZN"],
    ),
    "two after each other": ("a,ssn\n1,219099999\n\nb,pwd,c\n1,hunter2,2", ["219099999", "hunter2"]),
}
OTHERS = [
    "| SKU | qty |\n|---|---|\n| 139-0571-8824 | 3 |\n| 206-718-4404 | 2 |",
    "件,货号\n1,13905718824\n2,18602037720",
    "INSERT INTO parts (sku, name) VALUES ('18CK40928', 'clamp')",
    "names = [\n    'mtlb_pwd',\n    'xs2bmp',\n    'xs2emf',\n]",
    "| option | password |\n|---|---|\n| `--p` | none |\n| `--q` | read from stdin |",
    "user,password\nA line of prose that has no comma and 4ever.",
    "login, password and a key are what you need\nbring 2b, 4c and 5d with you",
]


@pytest.mark.parametrize("name", TABLES)
def test_values_under_a_head_that_names_them_are_found(name: str) -> None:
    text, wanted = TABLES[name]
    assert [text[entity.start : entity.end] for entity in find(text)] == wanted


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_no_table_or_no_value_is_left_alone(text: str) -> None:
    assert find(text) == []
