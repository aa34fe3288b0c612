"""`agentos top`: the machine, the models and the jobs on one screen, refreshing."""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentos.config import load
from agentos.errors import AgentosError
from agentos.interfaces.live import TICK
from agentos.interfaces.session import Session
from agentos.interfaces.show import colourful, moving, plain
from agentos.interfaces.top_frame import SORTS, View, frame

if TYPE_CHECKING:
    from prompt_toolkit.formatted_text import StyleAndTextTuples

_STYLES = {"": "", "head": "bold", "green": "ansigreen", "yellow": "ansiyellow", "red": "ansired"}


def top(args: Namespace) -> int:
    """`agentos top`."""
    session = Session(load(), user=args.user, quiet=args.json)
    session.client.wait()
    session.printer.settle()
    if not args.json and not args.once and sys.stdin.isatty() and moving(sys.stdout):
        live(session)
    elif args.json:
        print(json.dumps(_second(session), ensure_ascii=False))
    else:
        once(session)
    return 0


def _second(session: Session) -> dict[str, Any]:
    _look(session)
    time.sleep(TICK)  # a rate takes two looks
    return _look(session)


def once(session: Session) -> None:
    """Prints the machine, the models and the jobs as they are."""
    seen = _second(session)
    size = shutil.get_terminal_size((100, 24)) if sys.stdout.isatty() else None
    view = View(size.columns - 1 if size else 120, 10_000, ascii=plain(sys.stdout), keys=False)
    print("\n".join(line.text for line in frame(seen, view, session.say)))


def _look(session: Session) -> dict[str, Any]:
    return session.client.request("GET", "/v1/top", start_it=False)


def live(session: Session) -> None:
    """The screen until the person leaves it; printed once, where nothing can be drawn over."""
    if moving(sys.stdout):
        Screen(session).run()
    else:
        once(session)


class Screen:
    """A full screen; the system is asked beside it, so that keys answer at once."""

    def __init__(self, session: Session) -> None:
        """Shows nothing until it runs."""
        self._session = session
        self._seen: dict[str, Any] | None = None
        self._gone = ""
        self._sort = 0
        self._paused = False
        self._ascii = plain(sys.stdout)

    def run(self) -> None:
        """Draws until `q`."""
        from prompt_toolkit.application import Application
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.layout import FormattedTextControl, Layout, Window
        from prompt_toolkit.output import ColorDepth

        keys = KeyBindings()

        @keys.add("q")
        @keys.add("Q")
        @keys.add("c-c")
        def _quit(event: Any) -> None:
            event.app.exit()

        @keys.add("p")
        @keys.add(" ")
        def _pause(event: Any) -> None:
            self._paused = not self._paused

        @keys.add("s")
        def _sorted(event: Any) -> None:
            self._sort = (self._sort + 1) % len(SORTS)

        depth = None if colourful(sys.stdout) else ColorDepth.DEPTH_1_BIT
        app: Application[None] = Application(
            layout=Layout(Window(FormattedTextControl(self._text, show_cursor=False), always_hide_cursor=True)),
            key_bindings=keys, full_screen=True, color_depth=depth,
        )

        # a thread that nobody waits for: a system that does not answer must not keep anyone from leaving
        threading.Thread(target=self._refresh, args=(app.invalidate,), daemon=True).start()
        app.run()

    def _refresh(self, invalidate: Callable[[], None]) -> None:
        while True:
            if not self._paused or self._seen is None:
                try:
                    self._seen, self._gone = _look(self._session), ""
                except AgentosError as error:
                    self._gone = str(error)
                invalidate()
            time.sleep(TICK)

    def _text(self) -> StyleAndTextTuples:
        size = shutil.get_terminal_size((80, 24))
        if self._gone or self._seen is None:
            return [("", self._session.say("top_gone", self._gone) if self._gone else "")]
        view = View(size.columns - 1, size.lines, SORTS[self._sort], self._paused, self._ascii)
        drawn = frame(self._seen, view, self._session.say)
        return [(_STYLES[line.style], line.text + ("\n" if line is not drawn[-1] else "")) for line in drawn]
