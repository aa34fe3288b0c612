"""A job's time is read as it was meant, in English and Chinese, or it is refused; never guessed, never past."""

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from agentos.errors import UserError
from agentos.jobs.times import when

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()
"""A Tuesday."""
NEW_YORK = ZoneInfo("America/New_York")


def read(said: str, now: float = NOON, zone=UTC) -> str:
    return datetime.fromtimestamp(when(said, now, zone), zone).strftime("%Y-%m-%dT%H:%M")


def at(local: str, zone) -> float:
    return datetime.fromisoformat(local).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("now", "2026-11-24T12:00"), ("现在", "2026-11-24T12:00"), ("立刻", "2026-11-24T12:00"),
        ("in 10 minutes", "2026-11-24T12:10"), ("10m", "2026-11-24T12:10"), ("1h30m", "2026-11-24T13:30"),
        ("in half an hour", "2026-11-24T12:30"), ("an hour and a half from now", "2026-11-24T13:30"),
        ("two hours later", "2026-11-24T14:00"), ("in 2 days", "2026-11-26T12:00"),
        ("in a month", "2026-12-24T12:00"),
        ("in 2 days at 8am", "2026-11-26T08:00"), ("in a week", "2026-12-01T12:00"),
        ("10分钟之后", "2026-11-24T12:10"), ("半小时后", "2026-11-24T12:30"), ("一个半小时后", "2026-11-24T13:30"),
        ("一刻钟后", "2026-11-24T12:15"), ("两个小时以后开始", "2026-11-24T14:00"), ("三个月后", "2027-02-24T12:00"),
        ("一小时三十分钟后", "2026-11-24T13:30"), ("過半小時", "2026-11-24T12:30"),
        ("两天后早上八点", "2026-11-26T08:00"),
        ("tomorrow 9am", "2026-11-25T09:00"), ("Tomorrow at nine", "2026-11-25T09:00"),
        ("9pm tomorrow", "2026-11-25T21:00"),
        ("tomorrow", "2026-11-25T00:00"), ("tomorrow morning", "2026-11-25T09:00"),
        ("tomorrow 3:30 p.m.", "2026-11-25T15:30"),
        ("half past nine tomorrow", "2026-11-25T09:30"), ("quarter to ten tomorrow morning", "2026-11-25T09:45"),
        ("the day after tomorrow at 7:30", "2026-11-26T07:30"), ("tonight", "2026-11-24T20:00"),
        ("tonight at 11", "2026-11-24T23:00"), ("tonight at 1am", "2026-11-25T01:00"),
        ("midnight", "2026-11-25T00:00"),
        ("at 18:00", "2026-11-24T18:00"), ("09:00", "2026-11-25T09:00"), ("9am", "2026-11-25T09:00"),
        ("after 6pm", "2026-11-24T18:00"), ("this afternoon", "2026-11-24T14:00"), ("12am", "2026-11-25T00:00"),
        ("明天早上九点", "2026-11-25T09:00"), ("明早8点", "2026-11-25T08:00"), ("今晚11点半", "2026-11-24T23:30"),
        ("明天下午3点", "2026-11-25T15:00"), ("後天下午兩點", "2026-11-26T14:00"), ("今晚12点", "2026-11-25T00:00"),
        ("大后天上午10点一刻", "2026-11-27T10:15"), ("凌晨两点", "2026-11-25T02:00"),
        ("晚上八点二十分", "2026-11-24T20:20"),
        ("明天十二点", "2026-11-25T12:00"), ("今天下午", "2026-11-24T14:00"), ("零点", "2026-11-25T00:00"),
        ("monday", "2026-11-30T00:00"), ("tuesday 18:00", "2026-11-24T18:00"), ("tuesday 11:00", "2026-12-01T11:00"),
        ("next monday 09:30", "2026-11-30T09:30"), ("friday 5pm", "2026-11-27T17:00"),
        ("next friday", "2026-12-04T00:00"),
        ("this friday at noon", "2026-11-27T12:00"), ("monday next week", "2026-11-30T00:00"),
        ("next week", "2026-11-30T00:00"), ("next month", "2026-12-01T00:00"),
        ("下周一 8:00", "2026-11-30T08:00"), ("周五晚上八点", "2026-11-27T20:00"), ("周三十点", "2026-11-25T10:00"),
        ("星期天", "2026-11-29T00:00"), ("下下周二上午10点", "2026-12-08T10:00"), ("下个月1号", "2026-12-01T00:00"),
        ("2026-12-01", "2026-12-01T00:00"), ("2026-12-01 09:30", "2026-12-01T09:30"),
        ("2026/12/1 9:30", "2026-12-01T09:30"),
        ("2026-12-01T09:30:00+08:00", "2026-12-01T01:30"), ("2026-12-01T09:30Z", "2026-12-01T09:30"),
        ("20261201T093000Z", "2026-12-01T09:30"), ("2026-12-01 09:30 Asia/Shanghai", "2026-12-01T01:30"),
        ("2026-12-01 09:30 UTC+8", "2026-12-01T01:30"), ("北京时间明天9点", "2026-11-25T01:00"),
        ("December 1 at 10:00", "2026-12-01T10:00"), ("1st of Jan", "2027-01-01T00:00"),
        ("Feb 29", "2028-02-29T00:00"),
        ("Tuesday, Dec 1st, 2026 at 6:05 pm", "2026-12-01T18:05"), ("the 5th", "2026-12-05T00:00"),
        ("12月1日 9:30", "2026-12-01T09:30"), ("明年3月5号", "2027-03-05T00:00"), ("30号", "2026-11-30T00:00"),
        ("二零二七年一月三日下午三点一刻", "2027-01-03T15:15"),
    ],
)
def test_a_time_is_read_as_it_was_meant(said, meant):
    assert read(said) == meant


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "not a time"), ("soon", "not a time"), ("every day", "not a time"), ("12/1 9:00", "not a time"),
        ("tomorrow 9am or 10am", "'or 10am' is not understood"),
        ("tomorrow banana 9am", "'banana 9am' is not understood"),
        ("by tomorrow", "not a time"), ("明天见", "'见' is not understood"), ("x" * 500, "too long"),
        ("tomorrow at 3", "write 03:00, 3am or 3pm"), ("明天三点", "either half"), ("at 9", "either half"),
        ("7", "either half"), ("tomorrow midnight", "beginning or the end"),
        ("today tomorrow", "two different things"),
        ("in 3 hours at 9am", "both a span and a time"), ("monday 3 days from now", "more than one day"),
        ("tomorrow in 3 hours", "two different things"),
        ("monday in 3 hours", "both a span and a time"), ("now at 9am", "both a span and a time"),
        ("sunday december 1", "another day of the week"), ("2026-13-01", "no date"), ("31 june", "no date"),
        ("2027-02-29", "no date"), ("25:00", "no such time"),
        ("tomorrow 13pm", "no such time"), ("9:75", "no such time"),
        ("早上九点晚上", "two different things"), ("tomorrow morning at 21:00", "not in that part"),
        ("2026-12-01 09:30 Mars/Olympus", "not known"), ("in 1.5 months", "whole number"),
        ("in 99999999999 weeks", "too far away"), ("9" * 5000, "too long"),
        ("in " + "9" * 190 + " days", "too far away"),
        ("yesterday", "in the past"), ("10 minutes ago", "in the past"),
        ("昨天", "in the past"), ("三小时前", "in the past"),
        ("2026-11-24 11:00", "has passed"), ("2020-01-01", "has passed"), ("today at 9am", "has passed"),
        ("今天早上", "has passed"), ("monday this week", "has passed"),
    ],
)
def test_what_is_no_time_to_come_is_refused_with_the_reason(said, why):
    with pytest.raises(UserError) as refused:
        when(said, NOON, UTC)
    assert why in str(refused.value)
    assert "in 10 minutes" in str(refused.value) or "Give a time to come" in str(refused.value)


def test_the_minute_that_has_just_begun_still_counts():
    assert when("2026-11-24 12:00", NOON + 40, UTC) == NOON
    assert read("12:00", NOON + 90) == "2026-11-25T12:00"


def test_a_day_begins_where_the_person_is():
    east = ZoneInfo("Asia/Shanghai")
    late = at("2026-11-24T18:00", UTC)
    assert read("tomorrow 9am", late, east) == "2026-11-26T09:00"


def test_a_time_that_the_clock_skips_is_as_much_later():
    before = at("2026-03-07T12:00", NEW_YORK)
    assert read("tomorrow 02:30", before, NEW_YORK) == "2026-03-08T03:30"
    assert when("in 24 hours", before, NEW_YORK) - before == 24 * 3600
    assert read("in 1 day", before, NEW_YORK) == "2026-03-08T12:00"


def test_of_a_time_that_comes_twice_the_first_one_ahead_is_meant():
    first = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK).timestamp()
    assert when("01:30", first - 1800, NEW_YORK) == first
    assert when("01:30", first + 1800, NEW_YORK) == first + 3600


def test_whatever_is_written_gives_a_time_to_come_or_a_clear_error():
    words = [
        "tomorrow", "at", "9", "9am", "in", "10", "minutes", "monday", "next", "下", "周", "一", "点", "半", "后", "12",
        ":", "30", "tonight", "月", "日", "号", "-", "/", "2027", "dec", "1st", " ", "个", "小时", "z", "+", "08",
        "noon", "早上",
    ]
    rng = random.Random(3)
    read_some = 0
    for _ in range(4000):
        said = rng.choice(["", " "]).join(rng.choices(words, k=rng.randint(1, 5)))
        try:
            assert when(said, NOON, UTC) >= NOON - 60
            read_some += 1
        except UserError as error:
            assert said in str(error) or repr(said) in str(error)
    assert read_some > 100
