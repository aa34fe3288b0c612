"""What another server says, made fit to be kept, shown and planned with: bounded, and text and data alone."""

from __future__ import annotations

import json
import math
import re

from agentos.types import Json

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
"""Control, direction and joining marks, tags, halves of surrogates, private use: not seen, or moving what is."""
_DEEPEST, _PARTS = 32, 20_000


def line(said: object, most: int) -> str:
    """A text as one line of at most so many characters; empty where it is no text."""
    if not isinstance(said, str):
        return ""
    shown = " ".join(_UNSEEN.sub(" ", said[: 8 * most]).split())
    return shown if len(shown) <= most else shown[: most - 1].rstrip() + "…"


def block(said: str, most: int) -> tuple[str, int]:
    """A text of at most so many characters, and how many more there were."""
    kept = _UNSEEN.sub("", said[:most].replace("\r\n", "\n"))
    return kept, max(0, len(said) - most)


def data(value: object, most: int) -> Json:
    """A value as JSON that can be written anywhere; None where that would take more than so many characters.

    Numbers that JSON does not have become None, and so do whole ones beyond 64 bits.
    """
    left = [_PARTS]
    try:
        plain = _plain(value, _DEEPEST, left, most)
        return plain if len(json.dumps(plain, ensure_ascii=False)) <= most else None
    except _TooMuch:
        return None


class _TooMuch(Exception):
    """More, or deeper, than is kept."""


def _plain(value: object, deeper: int, left: list[int], most: int) -> Json:
    left[0] -= 1
    if left[0] < 0 or deeper < 0:
        raise _TooMuch
    if isinstance(value, bool) or (isinstance(value, int) and -(2**63) <= value < 2**64):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str):
        if len(value) > most:
            raise _TooMuch
        return _UNSEEN.sub("", value)
    if isinstance(value, dict):
        return {_UNSEEN.sub("", str(name)): _plain(inner, deeper - 1, left, most) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, deeper - 1, left, most) for inner in value]
    return None
