"""The line that is typed: history with search, completion, several lines, paste, and the bar beneath."""

from __future__ import annotations

import sys
from collections.abc import Callable

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.shortcuts import CompleteStyle

from agentos.interfaces.show import colourful, moving, spoken

SHELL = "!"
"""What a line begins with that is a command for the shell."""


def depth() -> ColorDepth | None:
    """Colours as far as the terminal and the person want them."""
    return None if colourful(sys.stdout) else ColorDepth.DEPTH_1_BIT


def session(history: History, completer: Completer, bar: Callable[[], str]) -> PromptSession[str]:
    """What reads lines.

    Args:
        history: What was typed before.
        completer: Gives names.
        bar: Gives the line beneath, which is shown where a line can be drawn over.
    """
    return PromptSession(
        history=history, completer=completer, complete_while_typing=False, color_depth=depth(),
        enable_history_search=True, multiline=True, key_bindings=keys(), enable_suspend=True,
        prompt_continuation=lambda columns, number, wrapped: "" if wrapped else f"{'.' * (columns - 1)} ",
        bottom_toolbar=bar if moving(sys.stdout) else None,
        complete_style=CompleteStyle.READLINE_LIKE if spoken() else CompleteStyle.COLUMN,
        reserve_space_for_menu=0 if spoken() else 6,
    )


def keys() -> KeyBindings:
    """Enter takes the line, unless it goes on: after a backslash, or with Alt."""
    made = KeyBindings()
    typing = has_focus(DEFAULT_BUFFER)  # a search takes Enter, too

    @made.add("enter", filter=typing)
    def _take(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if goes_on(buffer.document.text_before_cursor) and buffer.document.is_cursor_at_the_end:
            if not buffer.text.startswith(SHELL):  # the shell reads its own
                buffer.delete_before_cursor()
            buffer.insert_text("\n")
        elif buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None  # what was chosen from the menu stays in the line
        else:
            buffer.validate_and_handle()

    @made.add("escape", "enter", filter=typing)
    def _break(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return made


def goes_on(line: str) -> bool:
    """Whether a line ends with a backslash that stands for itself alone."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1
