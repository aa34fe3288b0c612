"""A terminal just large enough for tests: text, wrapping, and the few sequences that a tree is drawn with."""

from __future__ import annotations

import re

from agentos.interfaces.show import width

_TOKEN = re.compile(r"\x1b7|\x1b8|\x1b\[(\d*)([A-Za-z])|\r|\n|[^\x1b\r\n]", re.DOTALL)


class Screen:
    """What somebody sees, every line that was ever written."""

    encoding = "utf-8"

    def __init__(self, columns: int, lines: int) -> None:
        self.columns, self.lines = columns, lines
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0
        self._saved = (0, 0)

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        """Nothing waits."""

    @property
    def shown(self) -> list[str]:
        return ["".join(cells).rstrip() for cells in self.rows]

    def write(self, text: str) -> int:
        for token in _TOKEN.finditer(text):
            said = token.group()
            if said == "\x1b7":
                self._saved = self.row, self.column
            elif said == "\x1b8":
                self.row, self.column = self._saved
            elif token.group(2) == "A":
                self.row -= int(token.group(1) or 1)
                assert self.row > len(self.rows) - 1 - self.lines, "it went up to a line that is not on the screen"
            elif token.group(2) == "K":
                del self.rows[self.row][self.column :]
            elif said == "\r":
                self.column = 0
            elif said == "\n":
                self._down()
                self.column = 0
            elif token.group(2) is None:
                self._put(said)
        return len(text)

    def _put(self, mark: str) -> None:
        if self.column + width(mark) > self.columns:
            self._down()
            self.column = 0
        cells = self.rows[self.row]
        cells += [" "] * (self.column - len(cells))
        cells[self.column : self.column + width(mark)] = [mark, *[""] * (width(mark) - 1)]
        self.column += width(mark)

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append([])
