"""What is kept for people to read later, without private values: log lines, and arguments in the audit trail."""

from __future__ import annotations

import logging
import sys

from agentos.redact.finder import find


def hidden(text: str) -> str:
    """The text with `<KIND>` for each private value.

    No number says which one: who reads a record is to learn of none, nor whether two are the same.
    """
    pieces: list[str] = []
    done = 0
    for entity in find(text):
        pieces += text[done : entity.start], f"<{entity.kind}>"
        done = entity.end
    return "".join((*pieces, text[done:]))


class Discreet(logging.Formatter):
    """Writes a record as any formatter, traceback and all, without private values."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; one whose `plain` says that all of it is our own words and figures needs no search."""
        said = super().format(record)
        return said if getattr(record, "plain", False) and not record.exc_info else hidden(said)


def to_stderr() -> None:
    """Has the process write its log there, without private values."""
    said = logging.StreamHandler(sys.stderr)
    said.setFormatter(Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[said], level=logging.INFO)
