"""What is said rather than written: numbers digit by digit, e-mail and IP addresses with `dot` and `at`."""

from __future__ import annotations

import re

from agentos.redact.entity import Kind
from agentos.redact.patterns import Pattern
from agentos.redact.rules import Family, Found, Judge, Rule, sure
from agentos.redact.words import (
    ADDRESS,
    CARD,
    IDENTITY,
    NUMBER,
    NUMBERED,
    PHONE,
    SOCIAL,
    Words,
)

_DIGITS = {
    "zero": "0", "oh": "0", "o": "0", "nought": "0", "naught": "0", "one": "1", "two": "2", "three": "3", "four": "4",
    "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "niner": "9", "零": "0", "〇": "0", "洞": "0",
    "一": "1", "幺": "1", "二": "2", "两": "2", "三": "3", "四": "4", "五": "5", "六": "6", "七": "7", "拐": "7",
    "八": "8", "九": "9",
}
_TIMES = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4, "两个": 2, "双": 2, "三个": 3, "四个": 4}
_WORDS = sorted((word for word in _DIGITS if word.isascii()), key=len, reverse=True)
_SIGNS = "".join(word for word in _DIGITS if not word.isascii())
_PARTS = re.compile(
    rf"\d+|两个|三个|四个|双|(?:double|triple|treble|quadruple)\b|(?:{'|'.join(_WORDS)})\b|[{_SIGNS}]"
)
_CHINESE, _AMERICAN = re.compile(r"(?:86)?1[3-9]\d{9}"), re.compile(r"1?[2-9]\d\d[2-9]\d{6}")
_LONGEST = 400
"""Bytes of what is said of one number."""


def _heard(data: bytes, start: int, end: int) -> tuple[str, int]:
    """The digits that are said, and how many words said them."""
    if end - start > _LONGEST:
        return "", 0
    number, spoken, times = "", 0, 1
    for part in _PARTS.findall(data[start:end].decode(errors="replace").lower()):
        if part in _TIMES:
            times = _TIMES[part]
            continue
        number += _DIGITS.get(part, part) * times
        spoken += part in _DIGITS
        times = 1
    return number, spoken


def _phone(data: bytes, start: int, end: int) -> Found:
    number, spoken = _heard(data, start, end)
    if spoken < 3 or not 7 <= len(number) <= 15 or NUMBERED.before(data, start, 24):
        return None
    if _CHINESE.fullmatch(number) or (_AMERICAN.fullmatch(number) and spoken > 5 and data[start:end].isascii()):
        return start, end, 0.8
    told = PHONE.before(data, start, 80) or (len(number) > 8 and NUMBER.before(data, start, 64))
    return (start, end, 0.7) if told and len(set(number)) > 2 else None


def _called(words: Words, *sizes: int) -> Judge:
    """A number of one of these lengths after such words."""

    def judge(data: bytes, start: int, end: int) -> Found:
        number, spoken = _heard(data, start, end)
        return (start, end, 0.7) if spoken > 2 and len(number) in sizes and words.before(data, start, 64) else None

    return judge


_STOP = {
    "us", "me", "it", "is", "look", "find", "online", "available", "visit", "up", "more", "page", "site", "website",
    "them", "him", "here", "and", "or", "her", "located", "hosted", "live", "looks", "looking", "out", "check",
    "posted", "published", "be", "are", "was", "not", "now",
}
"""Words before ` at `, where a web site is meant."""
_FREE = re.compile(
    r"(?i)(?:gmail|googlemail|qq|163|126|foxmail|outlook|hotmail|live|yahoo|icloud|me|proton(?:mail)?|gmx|web|aol|sina|"
    r"sohu|yandex|mail|fastmail|zoho|139|189|aliyun|msn|hey)\b"
)
_MAIL = Words(
    r"e-?mail|gmail", r"\bmail\b|\binbox\b|\bwrite to\b|\bsend (?:it |that |them )?to\b|\bcontact\b|\bcc\b",
    "邮箱|邮件|信箱|郵箱|电邮",
)
_AT = re.compile(r"(?i)\s+at\s+|艾特|圈a|小老鼠|[\[({<]\s*(?:at|@)\s*[\])}>]|\s@\s|\s@|@\s")
_SAYS_DOT = re.compile(r"(?i)\s(?:dot|point)\s|点")


def _said(data: bytes, start: int, end: int) -> Found:
    """An e-mail address whose `@` is said: known providers, or a word for it, or a dot that is said too."""
    value = data[start:end].decode(errors="replace")
    at = _AT.search(value)
    if at is None:
        return None
    if at.group().strip().lower() == "at":
        if value[: at.start()].lower() in _STOP:
            return None
        domain = value[at.end() :]
        known = _SAYS_DOT.search(domain) is not None or _FREE.match(domain) is not None
        if not known and not _MAIL.before(data, start, 48):
            return None
    return start, end, 0.8


def _written(data: bytes, start: int, end: int) -> Found:
    """`name at gmail`, where a word before says that it is an address."""
    return (start, end, 0.7) if _MAIL.before(data, start, 48) else None


def _replaced(data: bytes, start: int, end: int) -> Found:
    """`name#qq.com`, where it is said what # stands for."""
    told = _MAIL.before(data, start, 48) or b"@" in data[end : end + 40]
    return (start, end, 0.75) if told else None


def _octets(data: bytes, start: int, end: int) -> Found:
    parts = [int(each) for each in re.findall(rb"\d+", data[start:end])]
    if len(parts) != 4 or max(parts) > 255 or parts[0] in (0, 127, 255):
        return None
    marked = re.search(rb"[\[(]", data[start:end]) is not None
    return (start, end, 0.8) if marked or ADDRESS.before(data, start, 64) else None


_EN = (
    r"(?:(?:double|triple|treble|quadruple)[ -])?"
    r"(?:zero|oh|o|nought|naught|one|two|three|four|five|six|seven|eight|niner?)\b"
)
_CN = "(?:两个|三个|四个|双)?[零〇洞一幺二两三四五六七拐八九]"
_TIMED = r"(?:double|triple|treble)[ -]\d\b"
_FILLER = "(?:uh|um|er|erm|dash|hyphen|space|then|and|comma|啊|呃|嗯|哦|那个|然后|再|杠|横杠)"
_GAP = rf"[ ,.、，…\n-]{{0,3}}(?:{_FILLER}[ ,.、，…-]{{0,3}})?"
_SPOKEN = rf"(?:\b{_EN}|{_CN}|\b{_TIMED})"
_RUN = Pattern(rf"(?i)(?:(?:\bplus )?(?:\b\d{{1,4}}{_GAP}){{0,2}}){_SPOKEN}(?:{_GAP}(?:{_SPOKEN}|\d{{1,4}}\b)){{4,}}")
_JOIN = r"(?: ?(?:dot|point|underscore|dash|hyphen|minus|plus|点|下划线|杠) ?|[._+-])"
_LOCAL = rf"[a-z0-9]+(?:{_JOIN}[a-z0-9]+){{0,5}}(?: \d{{1,4}})?"
_FREED = "(?:gmail|outlook|hotmail|icloud|yahoo|foxmail|qq|163|126|sina|139|yeah)"
_ATS = r"(?: +at +| ?(?:艾特|圈a|小老鼠) ?| ?[\[({<] ?(?:at|@) ?[\])}>] ?| @ ?|@ )"
_DOTS = r"(?: dot | point | ?点 ?| ?[\[({<] ?(?:dot|\.|点) ?[\])}>] ?|\.| \. ?)"
_TLD = (
    r"(?:com|net|org|edu|gov|info|biz|io|co|ai|dev|app|me|cn|hk|tw|uk|de|fr|it|es|nl|be|ch|at|se|no|dk|fi|pl|pt|ru|"
    r"ie|eu|us|ca|au|"
    r"nz|in|jp|kr|sg|br|mx|za|xyz|top|vip|tech|cloud|email|works|studio|shop|online|site|me|tv|cc)"
)
_POINT = r"(?: ?[\[(] ?(?:\.|dot) ?[\])] ?| dot | point | ?点 ?)"
_KINDS: tuple[tuple[Kind, Words, tuple[int, ...]], ...] = (
    ("ID_CARD", IDENTITY, (15, 18)), ("BANK_CARD", CARD, (15, 16, 17, 18, 19)), ("SSN", SOCIAL, (9,)),
)
DIGITS = Family(
    Pattern(rf"(?i){_SPOKEN}(?:{_GAP}(?:{_SPOKEN}|\d{{1,4}}\b)){{3}}"),
    (
        Rule("PHONE", _RUN, _phone),
        *(Rule(kind, _RUN, _called(words, *sizes), about=words, near=True) for kind, words, sizes in _KINDS),
    ),
)
RULES = (
    Rule(
        "EMAIL",
        Pattern(rf"(?i)\b{_LOCAL}{_ATS}[a-z0-9-]+(?:{_DOTS}[a-z0-9-]+){{0,3}}{_DOTS}{_TLD}\b"),
        _said,
        gate=Pattern(rf"(?i)[a-z0-9]{_ATS}[a-z0-9-]+{_DOTS}"),
    ),
    Rule(
        "EMAIL",
        Pattern(rf"(?i)\b{_LOCAL} at {_FREED}\b"),
        _written,
        cues="at",
        gate=Pattern(rf"(?i)[a-z0-9] at {_FREED}\b"),
    ),
    Rule("EMAIL", Pattern(rf"(?i)\b[a-z0-9][a-z0-9._-]{{2,31}} ?# ?{_FREED}\.(?:com|cn|"
                          rf"net)\b"), _replaced, b"#", cues="gmail outlook hotmail icloud yahoo foxmail qq 163 126 "
                              "sina 139 yeah",
         gate=Pattern(rf"(?i)# ?{_FREED}\.")),
    Rule(
        "EMAIL",
        Pattern(
            r"\b[A-Za-z0-9][A-Za-z0-9._%+-]*@(?:[A-Za-z0-9.-]*=)?\r?\n[ \t>|]{0,16}(?:[a-z0-9-]+\.)+[a-z]{2,12}\b"
        ),
        sure(0.8),
        b"@",
    ),
    Rule(
        "IP_ADDRESS",
        Pattern(rf"(?i)\b\d{{1,3}}(?:\.\d{{1,3}}){{0,2}}{_POINT}\d{{1,3}}(?:(?:\.|{_POINT})\d{{1,3}}){{0,2}}\b"),
        _octets,
    ),
)
