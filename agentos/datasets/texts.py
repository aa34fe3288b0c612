"""The steps of cleaning that change a text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

_UNSEEN = re.compile("[\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_JOINER = re.compile("(?<![\u0590-\u0fff\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SPACES = re.compile(r"(?<=\S)[^\S\n]+")
_TRAIL = re.compile(r"[^\S\n]+(?=\n)")
_WIDE = {0xFF01 + shift: 0x21 + shift for shift in range(94) if chr(0x21 + shift).isalnum()} | {0x3000: 0x20}


def fix(text: str) -> str:
    """A text whose broken Unicode is mended; Chinese punctuation and curly quotes stay as they are."""
    from ftfy import TextFixerConfig, fix_text

    config = TextFixerConfig(
        fix_character_width=False, uncurl_quotes=False, normalization=None, fix_latin_ligatures=False, explain=False
    )
    return fix_text(text, config)


def normalize(text: str) -> str:
    """A text in NFC, with plain letters and digits for wide ones, one space for many, and nothing unseen in it."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).translate(_WIDE)
    text = _JOINER.sub("", _UNSEEN.sub("", _CONTROL.sub("", text)))
    text = _TRAIL.sub("", _SPACES.sub(" ", text))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def blank(value: Any) -> bool:
    """Whether a value says nothing."""
    if value is None:
        return True
    if isinstance(value, str):
        return not normalize(value)
    return isinstance(value, bytes | list | dict) and not value


def over(value: Any, change: Callable[[str], str]) -> Any:
    """A value with its texts changed: a text itself, or what is said in a conversation."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [over(inner, change) for inner in value]
    if isinstance(value, dict):
        return {key: over(inner, change) if key in {"content", "value"} else inner for key, inner in value.items()}
    return value


def around(before: str, after: str, size: int = 120) -> tuple[str, str]:
    """The places where two texts begin to differ, short enough to show."""
    pairs = enumerate(zip(before, after, strict=False))
    same = next((index for index, (one, other) in pairs if one != other), min(len(before), len(after)))
    start = max(0, same - size // 3)

    def cut(text: str) -> str:
        piece = text[start : start + size]
        return ("…" if start else "") + piece + ("…" if start + size < len(text) else "")

    return cut(before), cut(after)
