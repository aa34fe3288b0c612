"""Shows a run's events to people: results on standard output, everything else beside it."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from typing import Any, TextIO

from agentos.interfaces.words import Say

_NO_WIDTH = ("Mn", "Me", "Cf")
"""What stands over or between other letters."""
_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def colourful(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours and moves its cursor."""
    return stream.isatty() and "NO_COLOR" not in os.environ and moving(stream)


def moving(stream: TextIO) -> bool:
    """Whether a stream is a terminal where a line can be drawn over."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "") and not spoken()


def plain(stream: TextIO) -> bool:
    """Whether a stream takes no more than ASCII, or what is drawn with more would be read aloud."""
    return "utf" not in (getattr(stream, "encoding", "") or "").lower() or spoken()


def spoken() -> bool:
    """Whether a screen reader reads what is shown: the setting `plain`, which a session puts into its environment."""
    return os.environ.get("AGENTOS_PLAIN", "").lower() in ("1", "true", "yes")


def bar(share: float, cells: int, plain: bool) -> str:
    """A share of 0 to 100 as so many cells."""
    filled = round(cells * min(100.0, max(0.0, share)) / 100)
    full, empty = ("#", ".") if plain else ("█", "░")
    return full * filled + empty * (cells - filled)


def clean(text: str, *, lines: bool = True) -> str:
    """Text without control and direction characters: nothing shown may move the cursor or reorder what is read."""
    return "".join(
        mark if mark >= " " and unicodedata.category(mark) not in ("Cc", "Cf") or lines and mark in "\n\t"
        or mark in "\u200d\u200c" else f"\\u{ord(mark):04x}"
        for mark in text.replace("\r\n", "\n")
    )


def value(said: Any) -> str:
    """An argument as a person reads it: a plain word as it is, anything else as JSON."""
    if isinstance(said, dict) and set(said) == {"$ref"}:
        return clean(f"<{said['$ref']}>", lines=False)
    if isinstance(said, str) and said and not any(mark.isspace() or mark in "\"'{}[]=" for mark in said):
        return clean(said, lines=False)
    return clean(json.dumps(said, ensure_ascii=False), lines=False)


def width(text: str) -> int:
    """Columns that a text takes in a terminal; Chinese takes two each."""
    return sum(
        0 if unicodedata.category(mark) in _NO_WIDTH else 1 + (unicodedata.east_asian_width(mark) in "WF")
        for mark in text
    )


def clip(text: str, columns: int) -> str:
    """A text cut to so many columns."""
    if width(text) <= columns:
        return text
    used, kept = 0, []
    for mark in text:
        used += width(mark)
        if used > columns - 1:
            break
        kept.append(mark)
    return "".join(kept) + "…"


class Printer:
    """Prints the events of one run after the other."""

    def __init__(self, out: TextIO, talk: TextIO, say: Say) -> None:
        """`out` takes results and replies, `talk` plans, progress and errors."""
        from agentos.interfaces.bars import Bars  # which draws with the functions above, as the tree does
        from agentos.interfaces.tree import Tree

        self._out, self._talk, self._say = out, talk, say
        self._colour = colourful(talk)
        self._ascii = plain(talk)
        self._bars, self._tree = Bars(talk, say), Tree(talk, say)
        self._midline = False
        self._streamed: set[str] = set()
        self._shown: list[str] = []
        self._several = False

    def event(self, event: dict[str, Any]) -> None:
        """Shows one event."""
        kind = event.get("event")
        shown = self._tree.event(event)
        if kind == "progress":
            if not shown:
                self.progress(event)
            return
        if kind in ("decision", "held"):
            self._tell(event)
            return
        if kind in ("result", "error"):
            self._bars.ended(str(event.get("step", "")))
        if kind in ("result", "error", "text"):  # the other steps go on
            self._bars.lift()
            self._end_line(kind != "text")
        else:
            self.settle()
        self._show(kind, event)
        if kind in ("result", "error") and not self._midline:
            self._bars.draw()

    def _show(self, kind: Any, event: dict[str, Any]) -> None:
        if kind == "plan":
            self._streamed.clear()
            self._shown.clear()
            plan = event.get("plan") or event
            self._several = len(plan.get("steps") or []) > 1
            if self._tree.able:
                self._tree.show(plan, str(event.get("run") or ""))
            else:
                self.plan(plan)
        elif kind == "text":
            self._stream(str(event.get("step", "")), str(event.get("text", "")))
        elif kind == "result":
            self._result(event)
        elif kind == "error":
            self._error(str(event.get("message", "")))
        elif kind == "reply":
            self._reply(str(event.get("text") or ""))
        elif kind == "end":
            self._streamed.clear()
            self._shown.clear()
            self._several = self._several and bool(event.get("waiting"))

    def plan(self, plan: dict[str, Any]) -> None:
        """Shows a plan as a tree: one line a step, its arguments and what it waits for."""
        steps = plan.get("steps") or []
        if not steps:
            return
        corner, branch = ("`- ", "|- ") if self._ascii else ("└─ ", "├─ ")
        self.talk(self._styled(self._say("plan"), "dim"))
        for index, step in enumerate(steps):
            mark = corner if index == len(steps) - 1 else branch
            args = " ".join(f"{name}={value(said)}" for name, said in (step.get("args") or {}).items())
            waits = ", ".join(step.get("after") or [])
            tail = f"  ({self._say('after', waits)})" if waits else ""
            head = f"{mark}{step.get('id', '')} "
            line = f"{self._styled(head, 'dim')}{self._styled(clean(str(step.get('syscall')), lines=False), 'cyan')}"
            self.talk(f"{line} {args}{self._styled(tail, 'dim')}".rstrip())

    def held(self, event: dict[str, Any]) -> None:
        """Shows a held call in full: what will run, with which arguments, to what effect and why it waits."""
        self.settle()
        self._tree.leave()
        self.talk(self._styled(self._say("held"), "yellow"))
        self.talk(f"  {self._styled(clean(str(event.get('syscall')), lines=False), 'bold')}")
        for name, said in (event.get("args") or {}).items():
            if said is not None:
                source = (event.get("outside") or {}).get(name)
                told = self._say("outside", clean(str(source), lines=False)) if source else ""
                self.talk(f"    {name} = {value(said)}  {self._styled(told, 'red')}".rstrip())
        for key in ("effect", "reason"):
            if event.get(key):
                name = self._say("why" if key == "reason" else key)
                self.talk(f"  {name}: {clean(str(event[key]), lines=False)}")

    def progress(self, event: dict[str, Any]) -> None:
        """Shows how far something is: bars on a terminal, now and then a line elsewhere."""
        if not self._midline:
            self._bars.event(event)

    def error(self, message: str) -> None:
        """Shows what went wrong."""
        self.settle()
        self._error(message)

    def _error(self, message: str) -> None:
        self.talk(f"{self._styled('agentos:', 'red')} {clean(message)}")

    def note(self, message: str) -> None:
        """Says something that is neither a result nor an error."""
        self.settle()
        self.talk(message)

    def settle(self, *, whole: bool = True) -> None:
        """Takes the progress bars away; ends a line of streamed text where `whole`."""
        self._bars.clear()
        self._end_line(whole)

    def _end_line(self, whole: bool) -> None:
        if whole and self._midline:
            self._write("\n")
            self._midline = False

    def talk(self, line: str) -> None:
        """One line beside the results."""
        self._talk.write(f"{line}\n")
        self._talk.flush()
        self._tree.wrote(f"{line}\n")

    def _stream(self, step: str, text: str) -> None:
        if text:
            self._streamed.add(step)
            self._write(clean(text))
            self._midline = not text.endswith("\n")

    def _result(self, event: dict[str, Any]) -> None:
        text = str(event.get("text") or "").strip("\n")
        self._shown.append(text)
        if self._several:
            step = clean(f"{event.get('step', '')} {event.get('syscall', '')}", lines=False)
            self.talk(self._styled(f"{step}: {self._say('step_done')}" if spoken() else step, "dim"))
        if text and str(event.get("step", "")) not in self._streamed:
            self._write(f"{clean(text)}\n")
        if moving(self._out):
            from agentos.interfaces.pictured import pictured

            size = shutil.get_terminal_size((80, 24))
            self._write(pictured(
                str(event.get("syscall", "")), event.get("result"), size.columns - 1, self._say,
                ascii_only=self._ascii, colour=colourful(self._out),
            ))

    def _reply(self, text: str) -> None:
        said = text.strip()
        if said and said not in "\n".join(self._shown) and said != "\n\n".join(self._shown):
            self._write(f"{clean(said)}\n")

    def _tell(self, event: dict[str, Any]) -> None:
        """Says that a step begins or waits, where nothing is drawn over and somebody listens."""
        key = {"allow": "step_runs", "confirm": "step_waits"}.get(str(event.get("decision")))
        if key and self._several and spoken():
            self.talk(f"{clean(str(event.get('step', '')), lines=False)}: {self._say(key)}")

    def again(self) -> None:
        """Other programs have had the terminal: nothing that was drawn before is drawn over."""
        self._tree.leave()
        self._bars.forget()

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
        if self._out.isatty():
            self._tree.wrote(text)

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._colour and text else text
