"""Numbers as people say and write them, in English and Chinese, turned into digits."""

from __future__ import annotations

import re
from collections.abc import Callable

_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ENGLISH = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[\s-](?P<unit>{'|'.join(_ONES[1:10])}))?|(?P<small>{'|'.join(_ONES)}))\b"
)
_CHINESE = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"两": 2, "俩": 2, "仨": 3, "〇": 0}
_MEASURE = r"(?=\s*(?:个|分|秒|小时|钟头|天|周|星期|刻|条|行|步))"
_CHINESE_NUMBER = re.compile(rf"[零〇一二两俩仨三四五六七八九十百]+{_MEASURE}")
_PHRASES: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"\b(\d+|an?)\s+(hour|minute|day|week)s?\s+and\s+a\s+half\b", r"\1.5 \2"),
    (r"\b(\d+)\s+and\s+a\s+half\b", r"\1.5"),
    (r"\bhalf\s+an?\b", "0.5"),
    (r"\b(?:an?\s+)?half[\s-](?=hour|day|minute)", "0.5 "),
    (r"\b3\s+quarters\s+of\s+an\s+hour\b", "45 minutes"),
    (r"\b(?:an?\s+)?quarter\s+(?:of\s+an\s+)?hour\b", "15 minutes"),
    (r"\b(?:a\s+|(\d+)\s+)?fortnights?\b", lambda match: f"{14 * int(match[1] or 1)} days"),
    (r"\b(\d+)-(?=hour|minute|second|day|week)", r"\1 "),
    (r"\ba\s+couple\s+of\b", "2"),
    (r"\ban?\b(?=\.5|\s*(?:hour|hr|minute|min|second|sec|day|week))", "1"),
    (r"(\d+)\s*个半\s*(?=小时|钟头|月|星期)", r"\1.5"),
    (r"(\d+)\s*(小时|钟头|分钟|分(?=半钟)|天|周|星期)半(?:钟)?", r"\1.5\2"),
    (r"半\s*个?\s*(?=小时|钟头|天|分钟|星期)", "0.5"),
    (r"(\d+)\s*刻钟?", lambda match: f"{15 * int(match[1])}分钟"),
]


def digits(text: str) -> str:
    """The text in lower case, with its spoken numbers as digits: `forty-five minutes`, `一个半小时`, `half an hour`."""
    said = _ENGLISH.sub(_english, text.lower())
    said = _CHINESE_NUMBER.sub(lambda match: str(chinese(match[0])), said)
    for pattern, replacement in _PHRASES:
        said = re.sub(pattern, replacement, said)
    return said


def _english(match: re.Match[str]) -> str:
    if match["small"]:
        return str(_ONES.index(match["small"]))
    return str(20 + 10 * _TENS.index(match["tens"]) + (_ONES.index(match["unit"]) if match["unit"] else 0))


def chinese(said: str) -> int:
    """The number that Chinese digits mean: `二十三`, `两百`, and digit by digit in years, `二〇二六`."""
    if len(said) > 1 and not set(said) & set("十百"):
        return int("".join(str(_CHINESE[char]) for char in said))
    total, pending = 0, None
    for char in said:
        if char in "十百":
            total += (1 if pending is None else pending) * (10 if char == "十" else 100)
            pending = None
        else:
            pending = _CHINESE[char]
    return total + (pending or 0)
