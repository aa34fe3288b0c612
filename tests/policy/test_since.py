"""Times are read as people write them, in the given zone."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from agentos.errors import UserError
from agentos.policy.since import moment

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
"""A Tuesday."""


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("2026-05-01", "2026-05-01T00:00"), ("2026-05-01T09:30", "2026-05-01T09:30"),
        ("2026-05-01 09:30:15", "2026-05-01T09:30"), ("2026-05-01T09:30+08:00", "2026-05-01T01:30"),
        ("2026-05-01T09:30:00Z", "2026-05-01T09:30"), ("Since 2026-05-01T08:00Z", "2026-05-01T08:00"),
        ("today", "2026-11-24T00:00"), ("Yesterday", "2026-11-23T00:00"), ("since yesterday", "2026-11-23T00:00"),
        ("this week", "2026-11-23T00:00"), ("last week", "2026-11-16T00:00"), ("last month", "2026-10-01T00:00"),
        ("monday", "2026-11-23T00:00"), ("last friday", "2026-11-20T00:00"),
        ("1h", "2026-11-24T11:00"), ("last hour", "2026-11-24T11:00"), ("an hour ago", "2026-11-24T11:00"),
        ("the last two days", "2026-11-22T12:00"), ("past 30 minutes", "2026-11-24T11:30"),
        ("3 weeks ago", "2026-11-03T12:00"), ("90m", "2026-11-24T10:30"),
        ("今天", "2026-11-24T00:00"), ("昨天", "2026-11-23T00:00"), ("前天", "2026-11-22T00:00"),
        ("上周", "2026-11-16T00:00"), ("本月", "2026-11-01T00:00"), ("周一", "2026-11-23T00:00"),
        ("最近一小时", "2026-11-24T11:00"), ("过去两天", "2026-11-22T12:00"), ("半小时前", "2026-11-24T11:30"),
        ("三天以来", "2026-11-21T12:00"), ("从昨天开始", "2026-11-23T00:00"), ("近10分钟", "2026-11-24T11:50"),
    ],
)
def test_a_time_is_read_as_it_was_meant(said, day) -> None:
    read = datetime.fromtimestamp(moment(said, NOON.timestamp(), UTC), UTC)
    assert read.strftime("%Y-%m-%dT%H:%M") == day[:16]


def test_a_day_begins_where_the_person_is() -> None:
    east = timezone(timedelta(hours=8))
    late = datetime(2026, 11, 24, 18, 0, tzinfo=UTC).timestamp()
    assert datetime.fromtimestamp(moment("today", late, east), east).isoformat() == "2026-11-25T00:00:00+08:00"


@pytest.mark.parametrize(
    "said", ["", "soon", "forever", "7", "2026-13-01", "99999999999999w", "明天见", "1h; drop table"]
)
def test_what_is_no_time_is_refused_with_examples(said) -> None:
    with pytest.raises(UserError, match="is not a time"):
        moment(said, NOON.timestamp(), UTC)
