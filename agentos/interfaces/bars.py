"""How far several things are at once: bars on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO

from agentos.interfaces.show import bar as drawn
from agentos.interfaces.show import clean, clip, moving, plain, width
from agentos.interfaces.words import Say

_WINDOW = 8.0
"""Seconds over which a rate is taken."""
_DRAW = 0.08
"""Seconds between two drawings of the same message."""
_LINE = 10.0
"""Seconds between two lines elsewhere, of what cannot say how much is left."""


class Bar:
    """One thing under way."""

    def __init__(self) -> None:
        self.message = ""
        self.done: float | None = None
        self.total: float | None = None
        self.unit = ""
        self.seen: deque[tuple[float, float]] = deque()
        self.told: tuple[list[str], int] = ([], -1)
        self.told_at = 0.0

    def take(self, event: dict[str, Any], now: float) -> bool:
        """Takes an event in; whether it is about something else than the one before."""
        message = clean(str(event.get("message", "")), lines=False)
        done, total, unit = event.get("done"), event.get("total"), str(event.get("unit") or "")
        fresh = message.split(" ")[:2] != self.message.split(" ")[:2] or unit != self.unit
        if fresh or done is None or self.done is None or done < self.done:
            self.seen.clear()
        changed = message != self.message
        self.message, self.done, self.total, self.unit = message, done, total, unit
        if done is not None:
            self.seen.append((now, float(done)))
            while len(self.seen) > 2 and now - self.seen[0][0] > _WINDOW:
                self.seen.popleft()
        return changed

    @property
    def share(self) -> float | None:
        """From 0 to 1."""
        return min(1.0, max(0.0, self.done / self.total)) if self.done is not None and self.total else None

    def rate(self, now: float) -> float | None:
        """In units a second, over the last seconds; None until it is known."""
        if len(self.seen) < 2 or now - self.seen[0][0] < 0.5:
            return None
        return (self.seen[-1][1] - self.seen[0][1]) / (now - self.seen[0][0])

    def figures(self, now: float, say: Say, rate: bool) -> list[str]:
        """Percent, amounts, rate and time left, as far as they are known; the last are the least needed."""
        if self.done is None:
            return []
        found = [] if self.share is None else [f"{100 * self.share:3.0f}%"]
        if self.unit != "%":
            found.append(_amount(self.done, self.total, self.unit))
        speed = self.rate(now) if rate else None
        if speed and speed > 0 and (self.share is None or self.share < 1):
            if self.unit == "B":
                found.append(f"{_amount(speed, None, 'B')}/s")
            if self.total:
                found.append(say("rate_left", _span((self.total - self.done) / speed)))
        return found


class Bars:
    """Draws progress events: one bar for each step that is under way."""

    def __init__(self, stream: TextIO, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        """Draws on that stream; `clock` gives the seconds that rates go by."""
        self._stream, self._say, self._clock = stream, say, clock
        self._moving = moving(stream)
        self._ascii = plain(stream)
        self._bars: dict[str, Bar] = {}
        self._drawn = 0
        self._drawn_at = float("-inf")

    def event(self, event: dict[str, Any]) -> None:
        """Takes one progress event in, and shows it if it is time."""
        now = self._clock()
        step = str(event.get("step") or "")
        if step:
            self.ended("")  # planning is over where a step works
        bar = self._bars.setdefault(step, Bar())
        changed = bar.take(event, now)
        if not self._moving:
            self._tell(bar, now)
        elif changed or bar.share == 1.0 or now - self._drawn_at >= _DRAW:
            self.draw()

    def ended(self, step: str) -> None:
        """A step needs no bar any more."""
        self._bars.pop(step, None)
        self._bars.pop("", None)

    def clear(self) -> None:
        """Nothing is under way any more."""
        self.lift()
        self._bars.clear()

    def lift(self) -> None:
        """Takes what is drawn off the terminal, so that something else can be written; `draw` brings it back."""
        if self._drawn:
            up = f"\x1b[{self._drawn - 1}A\x1b[J" if self._drawn > 1 else ""
            self._stream.write(f"\r{up}\x1b[K")
            self._stream.flush()
            self._drawn = 0

    def forget(self) -> None:
        """What is drawn is no longer where it was."""
        self._drawn = 0

    def draw(self) -> None:
        """Shows all that is under way, on a terminal."""
        if not self._moving or not self._bars:
            return
        size = shutil.get_terminal_size((80, 24))
        now = self._clock()
        room = size.columns - 1
        lines = [line(bar, room, now, self._say, self._ascii) for bar in self._bars.values()][-max(1, size.lines - 1):]
        up = f"\x1b[{self._drawn - 1}A" if self._drawn > 1 else ""
        rest = "\x1b[J" if self._drawn > len(lines) else ""
        self._stream.write(f"\r{up}" + "\n".join(f"\x1b[K{line}" for line in lines) + rest)
        self._stream.flush()
        self._drawn, self._drawn_at = len(lines), now

    def _tell(self, bar: Bar, now: float) -> None:
        tenth = -1 if bar.share is None else int(bar.share * 10)
        key = (bar.message.split(" ")[:2], tenth)
        late = bar.share is None and bar.done is not None and now - bar.told_at >= _LINE
        if key != bar.told or late:
            bar.told, bar.told_at = key, now
            figures = bar.figures(now, self._say, rate=False)
            self._stream.write("  ".join(part for part in [bar.message, *figures] if part) + "\n")
            self._stream.flush()


def line(bar: Bar, columns: int, now: float, say: Say, ascii_only: bool) -> str:
    """One thing under way, in at most so many columns."""
    figures = bar.figures(now, say, rate=True)
    message = bar.message
    if bar.share is None:
        return clip("  ".join([message, *figures]), columns)
    # What a person reads first stays: the message is cut to half, then the last figures go.
    while len(figures) > 1 and min(width(message), columns // 2) + width("  ".join(figures)) + 12 > columns:
        figures.pop()
    told = "  ".join(figures)
    message = clip(message, max(1, columns - width(told) - 12))
    cells = max(8, min(30, columns - width(message) - width(told) - 4))
    return clip(f"{message}  {drawn(100 * bar.share, cells, ascii_only)}  {told}", columns)


def _amount(done: float, total: float | None, unit: str) -> str:
    if unit == "B":
        from agentos.types.units import show_bytes  # here, because the types take longer to import than all else

        return f"{show_bytes(done)} / {show_bytes(total)}" if total else show_bytes(done)
    whole = f" / {total:g}" if total else ""
    return f"{done:g}{whole} {unit}".rstrip()


def _span(seconds: float) -> str:
    from agentos.types.units import show_seconds

    return show_seconds(max(1, round(seconds))).replace(".0 s", " s")
