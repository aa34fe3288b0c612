"""PHONE: how the countries of the world write their own numbers at home (ITU-T E.123, national numbering plans)."""

from __future__ import annotations

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Rule, digits, embedded, tabled
from agentos.redact.words import CALL, COUNTED, NUMBERED, PHONE, Words

_GROUPS = {
    "2-2-2-2-2", "3-2-2-2", "2-3-2-2", "4-2-2-2", "3-3-2-2", "4-3-2-2", "3-3-4", "3-4-4", "2-4-4", "4-3-3", "4-3-4",
    "4-4-4",
    "4-4-3", "5-3-3", "3-4-3", "2-3-4", "4-2-4", "3-2-4", "2-2-3-2-2", "4-2-2-3", "3-4-2-2", "5-2-2-2", "3-3-3-2",
    "3-3-2-3",
    "4-3-2-3", "2-2-2-3", "3-2-2-3", "2-4-2-2", "2-3-3-2",
}
"""How many digits stand together in numbers that begin with the trunk prefix 0."""
_ZEROLESS = {
    "4-4", "5-5", "3-3-3", "3-2-2-2", "2-2-2-2", "2-4-4", "3-3-4", "3-2-3", "2-3-4", "1-4-4", "5-6", "2-5-4", "3-7",
}
_YEARS = Pattern(r"\A(?:19|20)\d\d[ -](?:19|20)\d\d\z")
_PLACE = Words(
    r"\b(?:singapore|hong ?kong|hk|macau?|india|mumbai|delhi|pune|bangalore|bengaluru|chennai|hyderabad|kolkata|"
    r"spain|madrid|"
    r"barcelona|poland|warsaw|krakow|prague|czech|lisbon|porto|portugal|athens|greece|norway|oslo|bergen|denmark|"
    r"copenhagen|"
    r"mexico|bogota|colombia|lima|peru|chile|santiago|brazil|sao paulo|rio|argentina|buenos aires|italy|rome|roma|"
    r"milano?|"
    r"budapest|hungary|riga|latvia|tallinn|estonia|vilnius|iceland|reykjavik|dubai|kuwait|doha|qatar)\b",
    "新加坡|香港|澳门|印度|西班牙|波兰|葡萄牙|挪威|丹麦|墨西哥|意大利",
)
"""Where numbers are written without a trunk prefix."""


def _shape(data: bytes, start: int, end: int) -> str:
    """The sizes of its groups of digits: `4-3-3`."""
    marks = bytes(byte if 48 <= byte <= 57 else 32 for byte in data[start:end])
    return "-".join(str(len(group)) for group in marks.split())


def _apart(data: bytes, start: int, end: int) -> bool:
    """Whether it is no piece of something else, and nothing is counted or numbered by it."""
    if embedded(data, start, end) or tabled(data, start, end) or COUNTED.after(data, end):
        return False
    return not NUMBERED.label(data, start)


def _trunk(data: bytes, start: int, end: int) -> Found:
    number = digits(data[start:end])
    if CALL.label(data, start):
        return start, end, 0.9
    if not _apart(data, start, end):
        return None
    groups = _shape(data, start, end)
    if groups not in _GROUPS or (b"." in data[start:end] and groups not in ("2-2-2-2-2", "3-3-2-2", "4-2-2-2")):
        return (start, end, 0.7) if PHONE.before(data, start, 64) else None
    pairs = [number[at : at + 2] for at in range(0, len(number), 2)]
    drawn = groups == "2-2-2-2-2" and pairs == sorted(pairs)  # a draw of numbers, or bytes in order
    return None if drawn else (start, end, 0.75)


def _distinct(data: bytes, start: int, end: int) -> Found:
    return (start, end, 0.8) if CALL.label(data, start) or _apart(data, start, end) else None


def _local(data: bytes, start: int, end: int) -> Found:
    """Without a trunk prefix, where the place is named on the same line and no other number stands between."""
    if _shape(data, start, end) not in _ZEROLESS or not _apart(data, start, end):
        return None
    if _YEARS.within(data[start:end]):
        return None
    lead = data[max(0, start - 48) : start].rpartition(b"\n")[2]
    return (start, end, 0.7) if _PLACE.before(lead, len(lead)) and not digits(lead) else None


def _abroad(data: bytes, start: int, end: int) -> Found:
    """`0049 171 5528 3360`: as `+49`."""
    if not 10 <= len(digits(data[start:end])) <= 16:
        return None
    if CALL.label(data, start):
        return start, end, 0.9
    words = set(_shape(data, start, end).split("-")) == {"4"}  # a dump's
    return (start, end, 0.8) if not words and _apart(data, start, end) else None


_CODES = (
    r"(?:20|27|3[0-469]|4[013-9]|5[1-8]|6[0-6]|7|8[1246]|9[0-58]|21[1236]|23[34]|25[456]|35[0-9]|37[0-7]|38[01567]|"
    r"42[013]|"
    r"50[2-9]|59[1358]|852|853|855|880|886|96[0-8]|97[0-7]|99[2-8])"
)
RULES = (
    Rule(
        "PHONE",
        Pattern(
            r"(?:\b|\()0[1-9]\d{0,4}(?:\)[ /-]{0,3}| ?/ ?|[ .-]| - )\d{2,4}(?:(?:[ .-]| - )\d{2,4}){1,4}"
            r"(?:(?: ?x| ext\.? ?| Ext\.? ?|#)\d{1,5})?\b"
        ),
        _trunk,
    ),
    Rule(
        "PHONE",
        Pattern(
            r"\b07[1-9]\d\d ?\d{6}\b|\b01[567]\d{1,2}[ /-]{1,3}\d{7,8}\b|\b06[- ][1-9]\d{7}\b|\b03\d\d-\d{7}\b|"
            r"\b01[3-9]\d\d-\d{6}\b|"
            r"\b0[1-9]\d{1,4} ?/ ?\d{5,8}(?:-\d{1,4})?\b|\(0[1-9]\d{1,4}\) ?\d{5,8}\b|\b066\d[ /]\d{6,8}\b|"
            r"\b06[5-9]\d/\d{6,8}\b|"
            r"\b8[ -]?\(?[3489]\d\d\)?[ -]?\d{3}[ -]\d\d[ -]\d\d\b|\(\d\d\) ?9?\d{4}-\d{4}\b|\b0[6-9]\d{4}[ -]\d{5}\b|"
            r"\b86(?:10|2\d|[3-9]\d\d)-\d{7,8}\b|\b001[ -]\(?[2-9]\d\d\)?[ -][2-9]\d\d[ -]\d{4}\b|"
            r"\b[2-9]\d\d/[2-9]\d\d-\d{4}\b|\b09\d\d-?\d{3}-?\d{3}\b|\b05\d-?\d{3}-?\d{4}\b"
        ),
        _distinct,
    ),
    Rule(
        "PHONE",
        Pattern(
            rf"(?:\b00{_CODES}|\(00{_CODES}\))[ -]{{0,2}}"
            rf"(?:\(0\)[ -]?)?\d{{1,5}}(?:[ ./-]{{1,3}}\d{{2,5}}){{1,5}}\b"
        ),
        _abroad,
        b"00",
    ),
    Rule("PHONE", Pattern(r"\b[1-9]\d{0,4}(?:[ -]\d{2,7}){1,4}\b"), _local, about=_PLACE, near=True),
)
