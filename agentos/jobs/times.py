"""When a job is to start, as people say it in English and Chinese: never guessed, and never in the past.

A small grammar of our own. `dateparser` 1.5, tried on 48 phrases, reads 2 of the 20 Chinese ones and
quietly gives a wrong time for English that it half understands: 'tomorrow at nine' is tomorrow at the
present hour, 'tonight at 11' is now. Here every word has to be understood, or the text is refused.

How a text is read, where it could be doubted:
- a day, week or month alone is its beginning, for a job starts *not before* it; parts of a day begin at
  the hours in `PARTS`;
- `friday` is the next one to come, `next friday` and `下周五` the one in the week after this (weeks begin
  on Monday), `this friday` and `本周五` the one in this week;
- an hour from 1 to 6, or from 1 to 12 where no day is named, is refused unless it says which half of the day
  it is in: `9am`, `09:00`, `晚上九点`;
- minutes and hours from now are exact; days, weeks, months and years keep the time on the clock;
- a time that the clock skips (summer time begins) is as much later; of one that comes twice, the first
  that is still ahead.
"""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from agentos.errors import UserError
from agentos.jobs.phrases import PARTS, Said, Unclear, read
from agentos.types import Timestamp

FORMS = (
    "'now', 'in 10 minutes', 'tomorrow 9am', 'tonight at 11', 'monday 09:30', '2026-05-01 09:30',"
    " '半小时后', '明天早上九点', '下周一 8:00'"
)
_SLACK = 60.0
"""Seconds; people write times to the minute, so one that has just begun is still meant."""


def when(text: str, now: Timestamp, zone: tzinfo | None = None) -> Timestamp:
    """The point in time a text means, as seconds since the epoch: now or in the future.

    Args:
        text: A time as people write it.
        now: What it is reckoned from.
        zone: Whose clock and calendar are meant, unless the text names one; the machine's own where None.

    Raises:
        UserError: it is no time, has passed, or means more than one; the message gives forms that work.
    """
    try:
        said = read(text)
        zone = said.zone or zone
        found = _resolve(said, now, zone)
    except ValueError as error:
        why = str(error) if isinstance(error, Unclear) else "it is not a time"
        raise UserError(f"{text!r} cannot be read as a time: {why}. Times that work: {FORMS}.") from None
    except (OverflowError, OSError):
        raise UserError(f"{text!r} is too far away. Times that work: {FORMS}.") from None
    if found < now - _SLACK:
        shown = _local(found, zone).strftime("%Y-%m-%d %H:%M")
        raise UserError(f"{text!r} has passed: it was {shown}. Give a time to come, or none to start at once.")
    return found


def _resolve(said: Said, now: Timestamp, zone: tzinfo | None) -> Timestamp:
    named = [said.week, said.weekday, said.day]
    days = [*named, said.days, said.months]
    spare = [*named, said.hour, said.part]
    here = _local(now, zone)
    if said.now or said.seconds is not None or (said.same_clock and not any(other is not None for other in spare)):
        if any(other is not None for other in (spare if said.same_clock else [*spare, said.days])):
            raise Unclear("it gives both a span and a time")
        return _stamp(_shifted(here, said.months or 0, said.days or 0), now, zone) + (said.seconds or 0.0)
    if said.hour is None and said.part is None and not any(day is not None for day in days):
        raise Unclear("it names no day and no time")
    clock = _clock(said, any(day is not None for day in days))
    moment = now
    for day in _days(said, here.replace(hour=0, minute=0, second=0, microsecond=0)):
        moment = _stamp(day + clock, now, zone)
        if moment >= now - _SLACK:
            break
    return moment


def _days(said: Said, today: datetime) -> Iterator[datetime]:
    """The days that it can be: one where it is named, else those that come round, the nearest first."""
    if said.week is not None:
        if said.days is not None or said.months is not None or said.day is not None:
            raise Unclear("it names more than one day")
        yield today + timedelta(days=7 * said.week - today.weekday() + (said.weekday or 0))
    elif said.day is not None:
        if said.days is not None:
            raise Unclear("it names more than one day")
        day = _date(said, today)
        if said.weekday is not None and day.weekday() != said.weekday:
            raise Unclear(f"{day:%Y-%m-%d} is another day of the week")
        yield day
    elif said.months is not None or said.days is not None:
        if said.weekday is not None:
            raise Unclear("it names more than one day")
        day = _shifted(today, said.months or 0, said.days or 0)
        yield day if said.same_clock or said.months is None else day.replace(day=1)
    elif said.weekday is not None:
        ahead = (said.weekday - today.weekday()) % 7
        yield from (today + timedelta(days=ahead + more) for more in (0, 7))
    else:
        yield from (today + timedelta(days=more) for more in (0, 1))


def _date(said: Said, today: datetime) -> datetime:
    """The date it gives; without a year or month, the next one of that date, today included."""
    assert said.day is not None
    if said.months is not None:
        first = _shifted(today.replace(day=1), said.months, 0)
        return _on(first.year, first.month, said.day)
    if said.month is None:
        first = today.replace(day=1)
        for later in range(3):
            month = _shifted(first, later, 0)
            if said.day <= monthrange(month.year, month.month)[1] and month.replace(day=said.day) >= today:
                return month.replace(day=said.day)
        return _on(today.year, today.month, said.day)
    year = said.year if said.year_from_now is None else today.year + said.year_from_now
    if year is not None:
        return _on(year, said.month, said.day)
    leap = said.month == 2 and said.day == 29
    for year in range(today.year, today.year + (9 if leap else 2)):
        if (not leap or isleap(year)) and _on(year, said.month, said.day) >= today:
            return _on(year, said.month, said.day)
    raise Unclear("there is no such date")


def _on(year: int, month: int, day: int) -> datetime:
    try:
        return datetime(year, month, day)
    except ValueError:
        raise Unclear(f"there is no date {year}-{month:02}-{day:02}") from None


def _clock(said: Said, day: bool) -> timedelta:
    """The time of day; past midnight for what people still call that night."""
    part, hour = said.part, said.hour
    if hour is None:
        if part == "midnight" and said.days not in (None, 0):
            raise Unclear("midnight can be the beginning or the end of that day; write 00:00 or 24:00")
        return timedelta(hours=PARTS[part] if part else 0)
    clear = said.clear
    if said.meridiem is not None:
        hour, clear = hour % 12 + (12 if said.meridiem == "p" else 0), True
    if part is not None:
        hour = _within(part, hour, clear)
    elif not clear and (hour < 7 or not day):
        raise Unclear(f"{hour} may be in either half of the day; write {hour:02}:00, {hour}am or {hour}pm")
    return timedelta(hours=hour, minutes=said.minute or 0, seconds=said.second or 0)


def _within(part: str, hour: int, clear: bool) -> int:
    """The hour of 24 that is meant by an hour in a part of the day; 24 and more are after midnight."""
    twelve = hour if clear or hour > 12 else hour % 12
    fits = {
        "dawn": [twelve], "morning": [hour], "noon": [hour, hour + 12], "afternoon": [twelve + 12, hour],
        "evening": [twelve + 12, hour], "night": [twelve + 12, hour, twelve + 24],
        "midnight": [twelve + 12, hour, twelve + 24],
    }[part]
    first, last = {
        "dawn": (0, 6), "morning": (4, 11), "noon": (10, 14), "afternoon": (12, 19), "evening": (16, 23),
        "night": (17, 28), "midnight": (23, 28),
    }[part]
    for hour_of_24 in fits:
        if first <= hour_of_24 <= last and (not clear or (hour_of_24 - hour) % 24 == 0):
            return hour_of_24
    raise Unclear(f"{hour} o'clock is not in that part of the day")


def _shifted(local: datetime, months: int, days: int) -> datetime:
    """So many months and days later; the last day of a month where it is shorter."""
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day) + timedelta(days=days)


def _local(at: Timestamp, zone: tzinfo | None) -> datetime:
    """What the clock shows, without its zone."""
    return datetime.fromtimestamp(at, UTC).astimezone(zone).replace(tzinfo=None)


def _stamp(local: datetime, now: Timestamp, zone: tzinfo | None) -> Timestamp:
    first = local.replace(tzinfo=zone, fold=0).timestamp()
    second = local.replace(tzinfo=zone, fold=1).timestamp()
    return second if first < now - _SLACK <= second else first
