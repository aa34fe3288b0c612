"""Units carried by a type, so that a figure is rendered the same way wherever it is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from agentos.types.spoken import digits


@dataclass(frozen=True)
class Unit:
    """What a number counts: `B`, `s`, `%`, `time` (seconds since the epoch, UTC)."""

    symbol: str


@dataclass(frozen=True)
class Kind:
    """What a text is: `name` and `private` are copied as written, `duration` is read by `seconds`, `size` by `size`.

    A `time` is kept in the person's words or as ISO 8601.
    """

    name: str
    field: str = ""
    """The field of an earlier step's result that it may take; the parameter's own name where empty."""


Bytes = Annotated[int, Unit("B")]
Seconds = Annotated[float, Unit("s")]
Percent = Annotated[float, Unit("%")]
Timestamp = Annotated[float, Unit("time")]
Count = Annotated[int, Unit("")]

Name = Annotated[str, Kind("name")]
"""A model, data set, job, user or syscall, as the person wrote it."""
JobName = Annotated[str, Kind("name", "job")]
"""A job, by its id or its name."""
Private = Annotated[str, Kind("private")]
"""Free text (a prompt, a command): audit rows keep its length and hash, never its words."""
KeepAlive = Annotated[str, Kind("duration")]
"""A duration such as `10m`, `1h30m`, `90` (seconds), or `forever`."""
Size = Annotated[str, Kind("size")]
"""A size such as `512MiB` or `4GB`."""
Topic = Annotated[str, Kind("topic")]
"""A name, or what syscalls and their families are called."""
SyscallName = Annotated[str, Kind("syscall")]
"""The name of a syscall, whatever words the person used for it."""
When = Annotated[str, Kind("time")]
"""A time in a person's words (`yesterday`, `2 hours ago`, `昨天`) or as ISO 8601."""

_FACTORS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_WORDS = [
    (r"(?:seconds?|secs?|秒钟?)", "s"),
    (r"(?:minutes?|mins?|分钟?)", "m"),
    (r"(?:hours?|hrs?|个?小时|个?钟头)", "h"),
    (r"(?:days?|天)", "d"),
    (r"(?:weeks?|周|星期)", "w"),
]
_PREFIXES = [
    (r"gigabytes?|gigs?|千兆(?:字节)?", "g"), (r"megabytes?|megs?|兆(?:字节)?", "m"), (r"kilobytes?", "k"),
    (r"terabytes?|teras?", "t"),
]
_FOREVER = {"forever", "-1", "always", "indefinitely", "永远", "一直", "永久"}


def seconds(text: str) -> float | None:
    """Seconds in a duration written for people, in English or Chinese; None is forever.

    Raises:
        ValueError: the text is not a duration.
    """
    said = text.strip().lower()
    if said in _FOREVER:
        return None
    said = re.sub(r"\band\b", " ", digits(said))
    for pattern, short in _WORDS:
        said = re.sub(rf"\s*{pattern}", short, said)
    said = said.replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", said):
        return float(said)
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhdw])", said)
    if not parts or "".join(n + u for n, u in parts) != said:
        raise ValueError(f"{text!r} is not a duration; write it like '90s', '10m', '1h30m' or 'forever'")
    return sum(float(number) * _FACTORS[unit] for number, unit in parts)


def size(text: str) -> int:
    """Bytes in a size written for people: `512MiB`, `2 GB`, `4g`, `3 gigs`, `2个G`.

    Binary, unless it says `B` alone with k, M, G, T, or the unit in words.

    Raises:
        ValueError: the text is not a size.
    """
    said = digits(text).lower()
    for words, prefix in _PREFIXES:
        said = re.sub(rf"\s*个?(?:{words})$", f"{prefix}b", said.strip())
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:个\s*)?([kmgt]?)(i?b?)\s*", said)
    if not match:
        raise ValueError(f"{text!r} is not a size; write it like '512MiB' or '4GB'")
    number, prefix, suffix = match.groups()
    base = 1000 if suffix == "b" and prefix else 1024
    return int(float(number) * base ** " kmgt".index(prefix or " "))


def show_bytes(count: float) -> str:
    """A size for people, in binary units."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(amount) < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def show_seconds(count: float) -> str:
    """A span of time for people."""
    if count < 1:
        return f"{count * 1000:.0f} ms"
    if count < 60:
        return f"{count:.1f} s"
    minutes, rest = divmod(round(count), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    named = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    return " ".join(f"{value}{unit}" for value, unit in named if value) or "0s"
