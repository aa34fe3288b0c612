from collections.abc import Iterator

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import DummyCompleter
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from agentos.interfaces.repl_keys import goes_on, session

ENTER, ALT_ENTER, CTRL_R = "\r", "\x1b\r", "\x12"


@pytest.fixture
def typed() -> Iterator[PipeInput]:
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield keys


def line(typed: PipeInput, keys: str, *before: str) -> str:
    prompt = session(InMemoryHistory(list(before)), DummyCompleter(), lambda: "")
    typed.send_text(keys)
    return prompt.prompt("> ")


def test_enter_takes_a_line(typed: PipeInput) -> None:
    assert line(typed, f"how much memory is free?{ENTER}") == "how much memory is free?"


def test_alt_enter_and_a_backslash_at_the_end_begin_another_line(typed: PipeInput) -> None:
    assert line(typed, f"one{ALT_ENTER}two\\{ENTER}three{ENTER}") == "one\ntwo\nthree"
    assert line(typed, f"C:\\\\{ENTER}") == "C:\\\\", "a backslash that stands for itself ends no line"


def test_the_shell_reads_its_own_backslash(typed: PipeInput) -> None:
    assert line(typed, f"!echo a \\{ENTER}b{ENTER}") == "!echo a \\\nb"


def test_what_is_pasted_is_not_run_line_by_line(typed: PipeInput) -> None:
    assert line(typed, f"\x1b[200~one\ntwo\n\x1b[201~three{ENTER}") == "one\ntwo\nthree"


def test_ctrl_r_finds_what_was_typed_before(typed: PipeInput) -> None:
    before = ("load smollm2-135m", "how much memory is free?", "list my jobs")
    assert line(typed, f"{CTRL_R}smol{ENTER}{ENTER}", *before) == "load smollm2-135m"
    assert line(typed, f"{CTRL_R}m{CTRL_R}{ENTER}{ENTER}", *before) == "how much memory is free?"


def test_up_goes_through_what_begins_alike(typed: PipeInput) -> None:
    assert line(typed, f"lo\x1b[A{ENTER}", "load smollm2-135m", "list my jobs") == "load smollm2-135m"


def test_ctrl_d_leaves_and_ctrl_c_gives_the_line_up(typed: PipeInput) -> None:
    with pytest.raises(EOFError):
        line(typed, "\x04")
    with pytest.raises(KeyboardInterrupt):
        line(typed, "half a line\x03")


def test_a_line_goes_on_after_an_odd_number_of_backslashes() -> None:
    assert [goes_on(text) for text in ("", "a", "a\\", "a\\\\", "a\\\\\\")] == [False, False, True, False, True]
