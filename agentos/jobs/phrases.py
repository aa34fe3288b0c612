"""The words of `times`: what each part of a phrase says, before it is known what all of it means."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from agentos.types.spoken import chinese, digits

PARTS = {"dawn": 0, "morning": 9, "noon": 12, "afternoon": 14, "evening": 18, "night": 20, "midnight": 24}
"""When a part of the day begins, in hours, where no hour is said."""
_PART_WORDS = {
    "dawn": "凌晨|拂晓", "morning": "mornings?|上午|早上|早晨|清晨|早", "noon": "noon|midday|中午|正午",
    "afternoon": "afternoon|下午|午后", "evening": "evening|傍晚|黄昏", "night": "night|晚上|夜里|夜晚|晚间|晚",
    "midnight": "midnight|午夜|半夜|子夜",
}
_DAY_WORDS = {
    0: "today|今天|今日|今儿|今(?=[早晚晨夜])|this(?= (?:morning|afternoon|evening))",
    1: "tomorrow|tmrw|tmr|明天|明日|明儿|明(?=[早晚晨])", 2: "day after tomorrow|后天|后日|后(?=[早晚])", 3: "大后天",
}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\b"
_YEAR = r"(?:,?\s*(?P<year>20\d\d)\b)?"
_WEEKDAY = r"(?P<weekday>mon|tue|wed|thu|fri|sat|sun)(?:day|s|sday|nesday|r|rs|rsday|urday)?\b"
_UNITS = {
    1.0: "seconds?|secs?|s|秒钟?", 60.0: "minutes?|mins?|m|分钟?", 3600.0: "hours?|hrs?|h|个?小时|个?钟头?",
    86400.0: "days?|d|天", 604800.0: "weeks?|w|个?周|个?星期|个?礼拜",
}
_MONTH_UNITS = {1: "months?|mo|个月", 12: "years?|年"}
_UNIT = "|".join([*_UNITS.values(), *_MONTH_UNITS.values()])
_PIECE = rf"\d+(?:\.\d+)?\s*(?:{_UNIT})(?![a-z])"
_SPAN = rf"{_PIECE}(?:\s*(?:and|,|零|又)?\s*{_PIECE})*"
_LONGEST = 200
_SIMPLER = str.maketrans("後點鐘週禮號個兩現時間開馬過", "后点钟周礼号个两现时间开马过")
_PAST = re.compile(r"\bago\b|\byesterday\b|\blast\b|昨|前天|之前|以前|前$|上个?[周月]|去年|刚才")
_FILLER = re.compile(
    r"(?:[\s,，。、;]+|(?:at|on|the|of|in|from|after|starting|beginning|start|not before)\b"
    r"|在|于|等到?|到|从|开始|的|那天|t(?=\d\d))+"
)


class Unclear(ValueError):
    """Why a text has no one meaning."""


@dataclass
class Said:
    """What the parts of a phrase say; None where nothing does."""

    now: bool | None = None
    seconds: float | None = None
    """From now, exactly."""
    days: int | None = None
    """From today, by the calendar."""
    months: int | None = None
    same_clock: bool | None = None
    """True: days and months are a span, which keeps the time of day. False: the day has a name."""
    week: int | None = None
    """0 for this one, 1 for the next."""
    weekday: int | None = None
    year: int | None = None
    year_from_now: int | None = None
    month: int | None = None
    day: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    clear: bool = False
    """The hour is one of 24, not one of 12."""
    meridiem: str | None = None
    part: str | None = None
    zone: tzinfo | None = None

    def put(self, **said: object) -> None:
        """Takes note. Unclear: that was said already, and differently."""
        for name, value in said.items():
            before = getattr(self, name)
            if before is not None and before != value:
                raise Unclear("it says two different things")
            setattr(self, name, value)


Reader = Callable[[Said, Mapping[str, str | None]], None]


def read(text: str) -> Said:
    """What a text says, each word of it.

    Raises:
        Unclear: a word is not understood, or two contradict each other.
    """
    if len(text) > _LONGEST:
        raise Unclear("it is too long")
    plain = unicodedata.normalize("NFKC", text).lower().translate(_SIMPLER).strip()
    plain = re.sub(r"(?<![周期拜])[零〇一二两三四五六七八九十百]+", lambda match: str(chinese(match[0])), plain)
    plain = re.sub(r"\ban?\b(?=\s+(?:month|year))", "1", plain)
    plain = digits(plain).strip(" ,.。!")
    if _PAST.search(plain):
        raise Unclear("it is in the past")
    said, at, any_read = Said(), 0, False
    while at < len(plain):
        for pattern, reader in _GRAMMAR:
            if (found := pattern.match(plain, at)) and found.end() > at:
                reader(said, found.groupdict())
                at, any_read = found.end(), True
                break
        else:
            gap = _FILLER.match(plain, at)
            if gap is None:
                raise Unclear(f"{plain[at:]!r} is not understood" if any_read else "it is not a time")
            at = gap.end()
    if not any_read:
        raise Unclear("it is not a time")
    return said


def _now(said: Said, found: Mapping[str, str | None]) -> None:
    said.put(now=True)


def _span(said: Said, found: Mapping[str, str | None]) -> None:
    exact, days, months = 0.0, 0, 0
    for number, unit in re.findall(rf"(\d+(?:\.\d+)?)\s*({_UNIT})(?![a-z])", found.get("span") or ""):
        size = next((size for size, words in _UNITS.items() if re.fullmatch(words, unit)), None)
        whole = float(number).is_integer()
        if size is not None and (size < 86400 or not whole):
            exact += float(number) * size
        elif size is not None:
            days += int(float(number) * size / 86400)
        elif whole:
            months += int(float(number)) * next(n for n, words in _MONTH_UNITS.items() if re.fullmatch(words, unit))
        else:
            raise Unclear(f"{number} {unit} are no whole number of days")
    said.put(seconds=exact or None, days=days or None, months=months or None, same_clock=True)
    if not exact and not days and not months:
        said.put(now=True)


def _named_day(offset: int) -> Reader:
    def reader(said: Said, found: Mapping[str, str | None]) -> None:
        said.put(days=offset, same_clock=False)

    return reader


def _tonight(said: Said, found: Mapping[str, str | None]) -> None:
    said.put(days=0, same_clock=False, part="night")


def _part(name: str) -> Reader:
    def reader(said: Said, found: Mapping[str, str | None]) -> None:
        if name == "midnight" and said.part == "night":
            said.part = name
        said.put(part=name)

    return reader


def _weekday(said: Said, found: Mapping[str, str | None]) -> None:
    which = found.get("which") or ""
    week = which.count("下") + which.count("next") if which.strip() not in ("", "coming") else None
    day = found.get("weekday") or ""
    if week is not None:
        said.put(week=week)
    said.put(weekday=_WEEKDAYS.index(day) if day in _WEEKDAYS else min(6, "一二三四五六日天".index(day)))


def _week(said: Said, found: Mapping[str, str | None]) -> None:
    which = found.get("which") or ""
    said.put(week=which.count("下") + which.count("next"))


def _month(said: Said, found: Mapping[str, str | None]) -> None:
    which = found.get("which") or ""
    said.put(months=which.count("下") + which.count("next"))
    if found.get("day"):
        said.put(day=int(found.get("day") or 0))


def _date(said: Said, found: Mapping[str, str | None]) -> None:
    month, year = found.get("month"), found.get("year")
    said.put(day=int(found.get("day") or 0))
    if month:
        said.put(month=int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1)
    if year:
        said.put(**({"year": int(year)} if year.isdigit() else {"year_from_now": "今明后".index(year[0])}))


def _clock(said: Said, found: Mapping[str, str | None]) -> None:
    hour, minute = found.get("hour") or "", found.get("minute") or "0"
    number = int(hour)
    past = {"half": 30, "quarter": 15}.get(minute) or (30 if minute == "半" else int(minute))
    if found.get("to"):
        number, past = (number - 1) or 12, 60 - past
    if number > 24 or past > 59 or int(found.get("second") or 0) > 59 or (number == 24 and past):
        raise Unclear("there is no such time of day")
    half = (found.get("meridiem") or "")[:1]
    clear = number in (0, 24) or number > 12 or (len(hour) == 2 and (hour[0] == "0" or bool(found.get("colon"))))
    if half and (number > 12 or number == 0):
        raise Unclear("there is no such time of day")
    said.put(hour=number, minute=past, second=int(found.get("second") or 0))
    said.clear = said.clear or clear
    if half:
        said.put(meridiem=half)


def _zone(said: Said, found: Mapping[str, str | None]) -> None:
    name = found.get("name")
    if name:
        key = "/".join("_".join(word.capitalize() for word in piece.split("_")) for piece in name.split("/"))
        try:
            said.put(zone=ZoneInfo(key))
        except (KeyError, OSError, ValueError):
            raise Unclear(f"the time zone {key!r} is not known") from None
        return
    offset = timedelta(hours=int(found.get("hours") or 0), minutes=int(found.get("minutes") or 0))
    if found.get("beijing"):
        offset = timedelta(hours=8)
    said.put(zone=timezone(-offset if found.get("sign") == "-" else offset))


_CLOCKS = [
    r"(?P<minute>half|quarter|\d{1,2})(?:\s*min(?:ute)?s?)? (?:past|(?P<to>to))\s+(?P<hour>\d{1,2})\b"
    r"(?:\s*(?P<meridiem>[ap]\.?m\.?)(?![a-z]))?",
    r"(?P<hour>\d{1,2})(?:点钟?|时)(?:整|(?P<minute>半|\d{1,2}(?!\d*(?:点|月|号|日)))(?:分钟?|分)?)?(?:(?P<second>\d{1,2})秒)?",
    r"(?P<hour>\d{1,2})(?P<colon>:)(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?(?:\s*(?P<meridiem>[ap]\.?m\.?)(?![a-z]))?",
    r"(?P<hour>\d{1,2})(?: (?P<minute>\d\d))?\s*(?P<meridiem>[ap]\.?m\.?)(?![a-z])",
    r"(?P<hour>\d{1,2}) (?P<minute>[0-5]\d)\b",
    r"(?<=t)(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?(?!\d)",
    r"(?P<hour>\d{1,2})(?:\s*o'?clock)?(?![\d:/.\w-])",
]
_WORDS: list[tuple[str, Reader]] = [
    (r"(?:right )?now\b|immediately\b|at once\b|straight away\b|现在|立刻|立即|马上|即刻", _now),
    (rf"(?:in|after|再过|过)\s*(?P<span>{_SPAN})\s*(?:from now|later|以后|之后|过后|后(?!天))?", _span),
    (rf"(?P<span>{_SPAN})\s*(?:from now|later|以后|之后|过后|后(?!天))", _span),
    (rf"(?P<span>{_SPAN})$", _span),
    (r"(?P<year>\d{4})(?P<separator>[-/.])(?P<month>\d{1,2})(?P=separator)(?P<day>\d{1,2})(?!\d)", _date),
    (r"(?P<year>20\d\d)(?P<month>\d\d)(?P<day>\d\d)(?!\d)", _date),
    (r"(?:(?P<year>20\d\d|今|明|后)年)?\s*(?P<month>\d{1,2})月(?:份)?(?P<day>\d{1,2})[日号]?", _date),
    (r"(?P<which>下下个?|下个?|这个?|本)月(?:份)?(?:的)?(?:(?P<day>\d{1,2})[日号])?", _month),
    (r"(?P<which>next|this) month\b", _month),
    (r"(?P<day>\d{1,2})[日号]", _date),
    (rf"{_MONTH}\s*(?:the )?{_DAY}{_YEAR}", _date),
    (rf"{_DAY}\s*(?:of )?{_MONTH}{_YEAR}", _date),
    (r"(?P<day>\d{1,2})(?:st|nd|rd|th)\b", _date),
    *((rf"(?:the )?(?:{words})", _named_day(offset)) for offset, words in reversed(_DAY_WORDS.items())),
    (r"tonight\b", _tonight),
    (rf"(?P<which>next |this |coming )?{_WEEKDAY}", _weekday),
    (r"(?P<which>下下个?|下个?|这个?|本)?(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天])", _weekday),
    (r"(?P<which>next|this) week\b", _week),
    (r"(?P<which>下下个?|下个?|这个?|本)(?:周|星期|礼拜)", _week),
    *((words, _part(name)) for name, words in _PART_WORDS.items()),
    *((clock, _clock) for clock in _CLOCKS),
    (r"(?:utc|gmt)?(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d\d))?", _zone),
    (r"(?:z|utc|gmt)\b", _zone),
    (r"(?P<beijing>北京时间|beijing time)", _zone),
    (r"(?P<name>[a-z]+(?:/[a-z_]+)+)", _zone),
]
_GRAMMAR = [(re.compile(pattern), reader) for pattern, reader in _WORDS]
