import pytest

from agentos.types.spoken import digits
from agentos.types.units import seconds


@pytest.mark.parametrize(
    ("said", "amount"),
    [
        ("90", 90), ("90s", 90), ("1h30m", 5400), ("1.5 hours", 5400), ("half an hour", 1800), ("a minute", 60),
        ("forty-five minutes", 2700), ("twenty five minutes", 1500), ("seventeen seconds", 17), ("twelve hours", 43200),
        ("an hour and a half", 5400), ("two and a half hours", 9000), ("a quarter of an hour", 900),
        ("a couple of days", 172800), ("1 hour and 30 minutes", 5400),
        ("半小时", 1800), ("半个小时", 1800), ("一个半小时", 5400), ("3小时半", 12600), ("四十五分钟", 2700),
        ("十二小时", 43200), ("一刻钟", 900), ("两天", 172800), ("1 小时 30 分", 5400), ("一百二十秒", 120),
        ("一周", 604800),
    ],
)
def test_durations_are_read_as_people_say_them(said: str, amount: float) -> None:
    assert seconds(said) == amount


@pytest.mark.parametrize("said", ["forever", "永远", "-1"])
def test_forever_has_no_end(said: str) -> None:
    assert seconds(said) is None


@pytest.mark.parametrize("said", ["", "soon", "一会儿", "tenm", "h", "5 parsecs", "minutes", "十"])
def test_what_is_not_a_duration_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(said)


def test_words_that_only_contain_a_number_word_are_left_alone() -> None:
    assert digits("someone wrote often about a weight") == "someone wrote often about a weight"
    assert digits("同一台机器") == "同一台机器"
