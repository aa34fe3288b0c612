"""A stream lets out what the whole text would have become, however it is cut."""

from __future__ import annotations

import random

import pytest

from agentos.redact import Redactor, Restored, Stream
from tests.redact.marks import marked
from tests.redact.test_find import HELD, NEAR

LINE = "MIIEowIBAAKCAQEA0Z3VS5JJcds3xfnBygWyF0qJbGzYwK2n7Q1s\n"
PEM = f"-----BEGIN PRIVATE KEY-----\n{LINE * 20}-----END PRIVATE KEY-----"


def streamed(text: str, size: int) -> str:
    stream = Stream(Redactor())
    return "".join(stream.feed(text[at : at + size]) for at in range(0, len(text), size)) + stream.close()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16, 64, 200, 5000])
def test_pieces_of_any_size_make_the_same(size: int) -> None:
    lines = [marked(line)[0] for line in HELD] + [line for line in NEAR if "<EMAIL_1>" not in line] + [PEM]
    random.Random(size).shuffle(lines)
    text = "\n".join(lines)
    assert streamed(text, size) == Redactor().redact(text)[0]


def test_a_text_without_lines_or_spaces_is_let_out_too() -> None:
    stream = Stream(Redactor())
    out = stream.feed("今天我们在杭州讨论模型训练的进度，" * 100)
    assert len(out) > 1500


def test_a_value_is_never_let_out_in_part() -> None:
    stream = Stream(Redactor())
    shown = ""
    for char in "please write to zhang.san@example.com about it. " + "x " * 60:
        shown += stream.feed(char)
        assert "zhang" not in shown
    assert "<EMAIL_1>" in shown + stream.close()


def test_what_is_held_back_is_bounded() -> None:
    stream = Stream(Redactor())
    fed = shown = 0
    for _ in range(100):
        fed += 4096
        shown += len(stream.feed("k" * 4096))
        assert fed - shown < 40_000
    assert shown + len(stream.close()) == fed


def test_the_placeholders_are_those_of_the_redactor() -> None:
    redactor = Redactor()
    redactor.redact("a@b.org")
    stream = Stream(redactor)
    assert stream.feed("c@d.org a@b.org") + stream.close() == "<EMAIL_2> <EMAIL_1>"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_the_way_back_puts_values_in_however_the_answer_is_cut(size: int) -> None:
    redactor = Redactor()
    redactor.redact("zhang.san@example.com and 13812345678")
    answer = "Write to <EMAIL_1> (<PHONE_1>), not <EMAIL_2>; a < b, <EMAIL and <b>, <PHONE_1><EMAIL_1"
    back = Restored(redactor)
    out = "".join(back.feed(answer[at : at + size]) for at in range(0, len(answer), size)) + back.close()
    assert out == redactor.restore(answer)
    assert "zhang.san@example.com (13812345678)" in out


def test_the_way_back_holds_nothing_that_cannot_become_a_placeholder() -> None:
    back = Restored(Redactor())
    assert back.feed("a <b> c < d") == "a <b> c < d"
    assert back.feed(" <EMAIL_") == " "
    assert back.feed("x") == "<EMAIL_x"
