"""Points in time as people write them, in English and Chinese."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from agentos.errors import UserError
from agentos.types import Timestamp
from agentos.types.spoken import digits
from agentos.types.units import seconds

_LEAD = re.compile(r"^(?:since|from|after|in|within|over|during|自从|自|从|在)\s*(?:the\s+)?", re.IGNORECASE)
_TAIL = re.compile(r"\s*(?:ago|之前|以前|前|以来|之内|以内|内|起|开始|到现在|至今|onwards?|until now)$", re.IGNORECASE)
_RECENT = re.compile(r"^(?:the\s+)?(?:last|past|previous|过去|最近|近|上)\s*(?:的)?\s*")
_DAYS = {
    "today": 0, "今天": 0, "今日": 0, "this morning": 0, "今早": 0, "今天早上": 0, "tonight": 0,
    "yesterday": 1, "昨天": 1, "昨日": 1, "last night": 1, "昨晚": 1, "the day before yesterday": 2, "前天": 2,
}
_WEEKS = {
    "this week": 0, "本周": 0, "这周": 0, "这个星期": 0, "这星期": 0,
    "last week": 1, "上周": 1, "上个星期": 1, "上星期": 1, "上个周": 1,
}
_MONTHS = {"this month": 0, "本月": 0, "这个月": 0, "last month": 1, "上个月": 1, "上月": 1}
_YEARS = {"this year": 0, "今年": 0, "last year": 1, "去年": 1}
_ENGLISH = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAYS = {name: i for i, name in enumerate(_ENGLISH)}
_WEEKDAYS |= {f"{week}{day}": i for week in ("周", "星期", "礼拜") for i, day in enumerate("一二三四五六日")}
_WEEKDAYS |= {f"{week}天": 6 for week in ("周", "星期", "礼拜")}


def moment(text: str, now: Timestamp, zone: tzinfo | None = None) -> Timestamp:
    """The point in time a text means, as seconds since the epoch.

    Args:
        text: ISO 8601, a span before now (`1h`, `last 2 days`, `3小时前`), or a day, week, month or year
            by name (`yesterday`, `last week`, `昨天`, `周一`): its beginning.
        now: What it is reckoned from.
        zone: Whose days are meant; the machine's own where None.

    Raises:
        UserError: it is none of these.
    """
    try:
        return _moment(text.strip(), now, zone)
    except (ValueError, OverflowError, OSError):
        raise UserError(
            f"{text!r} is not a time; write it like '2026-05-01', '2026-05-01T09:30', '1h', 'yesterday' or '昨天'"
        ) from None


def _moment(text: str, now: Timestamp, zone: tzinfo | None) -> Timestamp:
    here = datetime.fromtimestamp(now, UTC).astimezone(zone)
    text = _TAIL.sub("", _LEAD.sub("", text)).strip()
    if re.match(r"\d{4}-?\d\d", text):
        return _zoned(datetime.fromisoformat(text), zone).timestamp()
    said = text.lower()
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    begins = _named(said, midnight)
    if begins is not None:
        return _zoned(begins, zone).timestamp()
    said = _RECENT.sub("", said)
    said = {"hour": "1h", "day": "1d", "week": "7d", "month": "30d", "year": "365d"}.get(said, said)
    said = re.sub(r"\s*(?:months?|个月)$", "mo", digits(said))
    if said.endswith("mo"):
        said = f"{float(said[:-2] or 1) * 30}d"
    span = seconds(said)
    if span is None or re.fullmatch(r"[\d.]+", said):
        raise ValueError(text)
    return (here - timedelta(seconds=span)).timestamp()


def _named(said: str, midnight: datetime) -> datetime | None:
    """The beginning of a day, week, month or year that has a name."""
    monday = midnight - timedelta(days=midnight.weekday())
    if said in _DAYS:
        return midnight - timedelta(days=_DAYS[said])
    if said in _WEEKS:
        return monday - timedelta(weeks=_WEEKS[said])
    if said in _MONTHS:
        first = midnight.replace(day=1)
        return first if _MONTHS[said] == 0 else (first - timedelta(days=1)).replace(day=1)
    if said in _YEARS:
        return midnight.replace(year=midnight.year - _YEARS[said], month=1, day=1)
    day = _WEEKDAYS.get(re.sub(r"^(?:last|on|this)\s+", "", said))
    return None if day is None else midnight - timedelta(days=(midnight.weekday() - day) % 7)


def _zoned(local: datetime, zone: tzinfo | None) -> datetime:
    if local.tzinfo is not None:
        return local
    return local.astimezone() if zone is None else local.replace(tzinfo=zone)
