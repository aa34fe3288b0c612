"""The periods that quotas count in: each minute, hour, day and month of the machine's own calendar."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from agentos.types import Timestamp

Period = Literal["minute", "hour", "day", "month"]
PERIODS: tuple[Period, ...] = ("minute", "hour", "day", "month")


class Window(NamedTuple):
    """One of them."""

    start: Timestamp
    end: Timestamp
    """When counting starts anew."""


def window(period: Period, now: Timestamp) -> Window:
    """The minute, hour, day or month that a time is in, by local time."""
    at = datetime.fromtimestamp(now).replace(second=0, microsecond=0)
    if period == "minute":
        end = at + timedelta(minutes=1)
    elif period == "hour":
        at = at.replace(minute=0)
        end = at + timedelta(hours=1)
    elif period == "day":
        at = at.replace(hour=0, minute=0)
        end = at + timedelta(days=1)
    else:
        at = at.replace(day=1, hour=0, minute=0)
        end = (at + timedelta(days=31)).replace(day=1)
    return Window(at.timestamp(), max(end.timestamp(), now + 1e-6))
