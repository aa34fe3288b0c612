"""Log lines without private values."""

from __future__ import annotations

import logging


class Discreet(logging.Formatter):
    """Writes a record as any formatter, traceback and all, and private values in it as `<KIND>`.

    No number says which value: a log is read by people who are to learn of none, nor whether two are the same.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        from agentos.redact.finder import find  # its patterns take a moment to compile, and a start waits for none

        text = super().format(record)
        pieces: list[str] = []
        done = 0
        for entity in find(text):
            pieces += text[done : entity.start], f"<{entity.kind}>"
            done = entity.end
        return "".join((*pieces, text[done:]))
