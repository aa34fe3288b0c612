"""A plan as a tree that fills in while its steps run: a mark for each, and how far it is."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from agentos.interfaces.bars import Bar, line
from agentos.interfaces.show import clean, clip, colourful, moving, plain, value, width
from agentos.interfaces.words import Say

_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_DRAW = 0.08
"""Seconds between two drawings of the same message."""
_TOLD = 1.0
"""Seconds from which on a step's time is worth telling."""
_OVER = ("done", "failed", "skipped")
_MARKS = {  # state: in a terminal, in ASCII, colour
    "waiting": ("○", ".", "2"), "running": ("●", ">", "36"), "held": ("?", "?", "33"),
    "done": ("✔", "+", "32"), "failed": ("✘", "x", "31"), "skipped": ("–", "-", "2"),
}


@dataclass
class Node:
    """One step, where it stands in the tree and how it is."""

    id: str
    syscall: str
    args: str
    prefix: str
    """What is drawn before it, a branch at the end."""
    after: str
    """What it waits for beside the step it hangs from."""
    state: str = "waiting"
    bar: Bar = field(default_factory=Bar)
    began: float | None = None
    took: float | None = None


def nodes(steps: Sequence[dict[str, Any]], ascii_only: bool) -> list[Node]:
    """The steps of a plan from top to bottom, each under the last of those that it waits for."""
    corner, branch, pipe = ("`- ", "|- ", "|  ") if ascii_only else ("└─ ", "├─ ", "│  ")
    under: dict[str, list[dict[str, Any]]] = {}
    known: list[str] = []
    for step in steps:
        waits = step.get("after") or []
        under.setdefault(next((name for name in reversed(known) if name in waits), ""), []).append(step)
        known.append(str(step.get("id", "")))
    made: list[Node] = []

    def add(parent: str, lead: str) -> None:
        children = under.get(parent, [])
        for step in children:
            last = step is children[-1]
            ident = str(step.get("id", ""))
            args = " ".join(f"{name}={value(said)}" for name, said in (step.get("args") or {}).items())
            others = [name for name in step.get("after") or [] if name != parent]
            syscall = clean(str(step.get("syscall")), lines=False)
            made.append(Node(ident, syscall, args, lead + (corner if last else branch), ", ".join(others)))
            add(ident, lead + ("   " if last else pipe))

    add("", "")
    return made


class Tree:
    """Draws one plan at a time, and changes its lines in place for as long as they are on the screen."""

    def __init__(self, stream: TextIO, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        """Draws on that stream, if a line can be drawn over there."""
        self._stream, self._say, self._clock = stream, say, clock
        self.able = moving(stream)
        self._ascii, self._colour = plain(stream), colourful(stream)
        self._nodes: list[Node] = []
        self._run = ""
        self._live = False
        self._size = (80, 24)
        self._row, self._column = 0, 0
        self._drawn_at = float("-inf")

    def show(self, plan: dict[str, Any], run: str) -> None:
        """Draws a new plan; steps of the same run that were done already stay so."""
        before = {node.id: node for node in self._nodes if run and run == self._run and node.state == "done"}
        self._nodes = nodes(plan.get("steps") or [], self._ascii)
        for node in self._nodes:
            if node.id in before:
                node.state, node.took = "done", before[node.id].took
        self._run = run
        self._draw()

    def event(self, event: dict[str, Any]) -> bool:
        """Takes an event in; whether the tree shows what it says of its step's progress."""
        if not self._nodes or str(event.get("run") or "") != self._run:
            return False
        if event.get("event") == "end":
            self._end(event)
            return False
        node = next((one for one in self._nodes if one.id == event.get("step")), None)
        if node is None:
            return False
        state = _state(event) or node.state
        if node.state in _OVER:
            return self._live
        changed = state != node.state
        if changed:
            self._turn(node, state)
        if event.get("event") == "progress":
            changed = node.bar.take(event, self._clock()) or changed
        late = self._clock() - self._drawn_at >= _DRAW
        if changed or node.bar.share == 1.0 or (event.get("event") == "progress" and late):
            self._update(node, anew=state != "waiting" and changed)
        return self._live

    def wrote(self, text: str) -> None:
        """Follows where the cursor goes while a text is written beneath the tree."""
        columns = self._size[0]
        for mark in _ESCAPE.sub("", text):
            if mark == "\n":
                self._row, self._column = self._row + 1, 0
            elif mark == "\t":
                self._column = min((self._column // 8 + 1) * 8, columns - 1)
            else:
                wide = width(mark)
                if self._column + wide > columns:
                    self._row, self._column = self._row + 1, 0
                self._column += wide

    def leave(self) -> None:
        """What is drawn stays as it is: something else has the terminal now."""
        self._live = False

    def _turn(self, node: Node, state: str) -> None:
        now = self._clock()
        if state == "running":
            node.began = now
        elif state in ("done", "failed") and node.began is not None:
            node.took = now - node.began
        node.state = state

    def _end(self, event: dict[str, Any]) -> None:
        for node in self._nodes:
            if node.state in ("waiting", "running") and not event.get("waiting"):
                self._turn(node, "skipped" if node.state == "waiting" else "failed")
                self._update(node, anew=False)
        self._live = self._live and bool(event.get("waiting"))

    def _update(self, node: Node, anew: bool) -> None:
        """Draws a step's line again; where it is out of reach and there are several, the whole tree."""
        size = _size()
        up = len(self._nodes) - self._nodes.index(node) + self._row
        if self._live and (size != self._size or up >= size[1]):
            self._live = False
        if self._live:
            self._stream.write(f"\x1b7\x1b[{up}A\r\x1b[K{self._line(node)}\x1b8")
            self._stream.flush()
            self._drawn_at = self._clock()
        elif anew and len(self._nodes) > 1 and node.state == "running" and not self._column:
            self._draw()

    def _draw(self) -> None:
        if not self._nodes:
            return
        self._size = _size()
        lines = [self._styled(self._say("plan"), "2"), *map(self._line, self._nodes)]
        self._stream.write("".join(f"{text}\n" for text in lines))
        self._stream.flush()
        self._live, self._row, self._column = len(lines) < self._size[1], 0, 0

    def _line(self, node: Node) -> str:
        mark, ascii_mark, colour = _MARKS[node.state]
        room = self._size[0] - 1
        head = f"{node.prefix}{ascii_mark if self._ascii else mark} {node.id} {node.syscall}"
        left = room - width(head) - 1
        if left < 1:
            return clip(head, room)
        styled = (
            f"{self._styled(node.prefix, '2')}{self._styled(ascii_mark if self._ascii else mark, colour)} "
            f"{self._styled(node.id, '2')} {self._styled(node.syscall, '36')}"
        )
        return f"{styled} {self._body(node, left)}".rstrip()

    def _body(self, node: Node, room: int) -> str:
        if node.state == "running" and node.bar.message and room > 20:
            return line(node.bar, room, self._clock(), self._say, self._ascii)
        tail = f"  ({self._say('after', node.after)})" if node.after else ""
        if node.took is not None and node.took >= _TOLD:
            from agentos.types.units import show_seconds

            tail += f"  {show_seconds(node.took)}"
        args = clip(node.args, max(1, room - width(tail)))
        return clip(f"{args}{tail}".lstrip(), room)

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour and text else text


def _state(event: dict[str, Any]) -> str:
    """The state that an event puts its step into; empty where it says nothing of it."""
    kind = event.get("event")
    if kind == "decision":
        return {"allow": "running", "confirm": "held"}.get(str(event.get("decision")), "")
    states = {"progress": "running", "text": "running", "held": "held", "result": "done", "error": "failed"}
    return states.get(str(kind), "")


def _size() -> tuple[int, int]:
    size = shutil.get_terminal_size((80, 24))
    return size.columns, size.lines
