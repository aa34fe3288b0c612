import io
import re

import pytest

from agentos.interfaces.show import Printer, clean, clip, value, width
from agentos.interfaces.words import _WORDS, speaker

PLAN = {"steps": [
    {"id": "s1", "syscall": "models.pull", "args": {"model": "m"}, "after": []},
    {"id": "s2", "syscall": "models.load", "args": {"model": {"$ref": "s1.model"}, "keep_alive": "1 h"},
     "after": ["s1"]},
]}


class Tty(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


def printed(*events: dict[str, object], language: str = "en") -> tuple[str, str]:
    out, talk = io.StringIO(), io.StringIO()
    printer = Printer(out, talk, speaker(language))
    for event in events:
        printer.event(event)
    return out.getvalue(), talk.getvalue()


def test_a_plan_is_shown_with_arguments_references_and_waits() -> None:
    _, talk = printed({"event": "plan", "plan": PLAN})
    assert talk.splitlines() == [
        "plan", "|- s1 models.pull model=m", '`- s2 models.load model=<s1.model> keep_alive="1 h"  (after s1)',
    ]
    assert "在 s1 之后" in printed({"event": "plan", "plan": PLAN}, language="zh")[1]


def test_a_streamed_answer_is_shown_once() -> None:
    out, _ = printed(
        {"event": "text", "step": "s1", "text": "once "}, {"event": "text", "step": "s1", "text": "upon"},
        {"event": "result", "step": "s1", "text": "once upon"}, {"event": "end"},
    )
    assert out == "once upon\n"


def test_a_reply_that_repeats_the_result_is_shown_once() -> None:
    out, _ = printed({"event": "result", "step": "s1", "text": "5 GiB"}, {"event": "reply", "text": "5 GiB"})
    assert out == "5 GiB\n"


def test_progress_in_a_pipe_is_a_line_for_each_tenth() -> None:
    events = [{"event": "progress", "message": "fetching", "done": n, "total": 1000, "unit": "B"} for n in range(1001)]
    _, talk = printed(*events)
    assert 10 <= len(talk.splitlines()) <= 12
    assert "\r" not in talk and "\x1b" not in talk


def test_progress_on_a_terminal_is_one_line_within_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    talk = Tty()
    printer = Printer(io.StringIO(), talk, speaker("zh"))
    message = "正在下载一个名字非常非常长的模型文件" * 2
    printer.event({"event": "progress", "message": message, "done": 5, "total": 10, "unit": "B"})
    (line,) = talk.getvalue().split("\r\x1b[K")[1:]
    assert "\n" not in line and width(line) < 40
    printer.event({"event": "result", "step": "s1", "text": "x"})
    assert talk.getvalue().endswith("\r\x1b[K")


def test_a_dumb_terminal_gets_no_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    talk = Tty()
    printer = Printer(io.StringIO(), talk, speaker("en"))
    printer.event({"event": "plan", "plan": PLAN})
    printer.event({"event": "progress", "message": "m", "done": 1, "total": 2, "unit": "B"})
    assert "\x1b" not in talk.getvalue() and "\r" not in talk.getvalue()


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "\u202egnp", "\x9b31m", "\x07", "\x7f"])
def test_nothing_shown_can_move_the_cursor_or_reorder_what_is_read(text: str) -> None:
    out, talk = printed(
        {"event": "result", "step": "s", "text": text}, {"event": "error", "message": text},
        {"event": "plan", "plan": {"steps": [{"id": "s1", "syscall": "x.y", "args": {"a": text}}]}},
    )
    assert not any(mark in out + talk for mark in "\x1b\r\u202e\x9b\x07\x7f")


def test_a_held_call_is_shown_in_full() -> None:
    talk = io.StringIO()
    Printer(io.StringIO(), talk, speaker("en")).held({
        "syscall": "models.delete", "args": {"model": "m", "force": True}, "effect": "destroy", "reason": "because",
    })
    for part in ("models.delete", "model = m", "force = true", "destroy", "because"):
        assert part in talk.getvalue()


def test_widths_count_columns() -> None:
    assert width("模型a") == 5
    assert clip("模型模型", 5) == "模型…"
    assert clip("abc", 3) == "abc"


def test_values_read_as_they_were_said() -> None:
    assert value("smollm2-135m") == "smollm2-135m"
    assert value("two words") == '"two words"'
    assert value("") == '""'
    assert value(["a"]) == '["a"]'
    assert clean("a\nb", lines=False) == "a\\u000ab"


def test_every_text_is_in_both_languages_with_the_same_blanks() -> None:
    for key, (english, chinese) in _WORDS.items():
        assert english and chinese, key
        assert sorted(re.findall(r"{\d}", english)) == sorted(re.findall(r"{\d}", chinese)), key
