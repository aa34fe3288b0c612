"""Lines that say themselves what of them is private: `call [[PHONE:+1 415 555 0142]]`."""

from __future__ import annotations

import re

from agentos.redact import Entity, find

MARK = re.compile(r"\[\[([A-Z_]+):(.*?)\]\](?!\])")


def marked(line: str) -> tuple[str, list[tuple[str, str]]]:
    """The text without its marks, and what they mark; `~` is a character of no width, `¶` ends a line."""
    line = line.replace("~", "\u200b").replace("¶", "\n")
    return MARK.sub(r"\2", line), MARK.findall(line)


def told(text: str, found: list[Entity]) -> list[tuple[str, str]]:
    return [(entity.kind, text[entity.start : entity.end]) for entity in found]


def as_marked(line: str) -> None:
    """Fails where something else is found than what is marked."""
    text, wanted = marked(line)
    assert told(text, find(text)) == wanted


def alone(line: str) -> None:
    """Fails where anything is found."""
    text = line.replace("¶", "\n")
    assert told(text, find(text)) == []
