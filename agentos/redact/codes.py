"""PASSWORD of digits: codes of doors, safes and phones, and what is sent or kept to prove who somebody is."""

from __future__ import annotations

import re

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Family, Found, Rule
from agentos.redact.values import generic, kinds

_YEAR = re.compile(rb"(?:19|20)\d\d\Z")
_DIALLED = re.compile(rb"\*#|[*]\d{2,3}(?:[*]|#\Z)")
"""What asks a network or a telephone something: `*#06#`, `*100#`."""
_COUNTS = re.compile(
    "年|月|位|个|次|天|分|小时|楼|层|栋|号|元|米|秒|%".encode()
    + rb"|[ -]?(?:digits?|characters?|minutes?|hours?|times|letters)\b"
)


def _code(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    return None if _DIALLED.match(value) or _COUNTS.match(data, end) or len(value) < 3 else (start, end, 0.8)


def _pressed(data: bytes, start: int, end: int) -> Found:
    """Digits with `#` or `*`, after a word for doors or for keys that are pressed."""
    value = data[start:end]
    return (start, end, 0.75) if re.search(rb"\d{3}", value) and not _DIALLED.match(value) else None


def _bare(data: bytes, start: int, end: int) -> Found:
    """Digits alone, that could be a year."""
    return None if _YEAR.match(data[start:end]) else _code(data, start, end)


def _recovery(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    told = re.search(rb"\d", value) and (not generic(value) or value[:1].isdigit()) and not _COUNTS.match(data, end)
    return (start, end, 0.8) if told and (kinds(value) > 1 or len(value) > 3) else None


_PLACES = (
    r"(?:gate|door|entry|entrance|building|lobby|alarm|lock ?box|key ?box|key ?pad|key ?safe|safe|vault|garage|"
    r"elevator|lift|buzzer|call ?box|smart ?lock|locker|lock|padlock|gym|pool|mail ?room|bathroom|restroom|toilet|"
    r"office|shed|luggage|voicemail|disarm|barn|cabin|studio|server room)"
)
_LINK = r"(?:\s?(?:is(?: now| still)?|was|:|=|-|–|—|->|→|to|,|\(|#)\s?|\s)(?:[\"'`]|the )?"
_KEYED = (
    r"([#*]?\d{3,7}[A-Za-z]\b[#*]?|[A-Za-z]\d{3,7}[#*]?|\d{1,3}(?:[ -]\d{1,3}){2,3}|"
    r"[#*]{0,2}\d{3,10}[#*]{0,2})"
)
_MARKED = r"([#*]{1,2}\d{3,8}[#*]{1,2}|\*\d{4,8}|\d{3,8}[#*]{1,2}(?:\d{1,6}[#*]?)?|[A-Z]\d{3,6}[#*])"
_PRESSED = r"([#*]{1,2}\d{3,8}[#*]{0,2}|\d{3,8}[#*]{1,2}(?:\d{1,6}[#*]?)?|[A-Z]\d{3,6}[#*])"
_SIGNED = Pattern(r"[#*]\d{3}|\d{3}[#*]")
"""What is in every code of the last two."""
_DOORS = (
    r"(?:门禁|单元门|大门|楼下门|院门|铁门|门锁|指纹锁|密码锁|智能锁|电子锁|开门|防盗门|入户门|保险[柜箱]|储物柜|柜子|道闸|"
    r"钥匙盒|门口|车库|消防门|小门|后门|前门|侧门|闸机|信报箱|行李箱|拉杆箱|机房门|玻璃门|自行车锁|卷帘门)"
)
DIGITS = Family(
    Pattern(
        rf"(?i)\b{_PLACES}|{_DOORS}|\b(?:press|punch|key in|code|pin|keypad|enter|type|tap|dial|combination|otp|puk|"
        r"recovery|back-?up|bypass|unlock|one-time|verification|2fa|mfa|sms|authenticator|sign-in|host|moderator|"
        r"chairperson|participant|meeting|conference|access|extraction|master|emergency|duress)|按|输|摁"
    ),
    (
        Rule(
            "PASSWORD",
            Pattern(
                rf"(?i)\b{_PLACES}(?:'s)?[ -](?:key ?pad |lock |access |entry |pin |door )?"
                r"(?:codes?|combo|combination|pin|pass|key ?pad|digits)(?: (?:for|of|on|at|to) [^\n:,.]{1,24}?)?"
                rf"{_LINK}{_KEYED}\b?|(?i)\b(?:lock ?box|key ?box|key ?safe|padlock|key ?pad|alarm|gate|garage)"
                rf"[^\n.;\d]{{0,30}}?\b(?:code|combo|pin)(?: is|:)? {_KEYED}"
            ),
            _code,
        ),
        Rule("PASSWORD", Pattern(rf"(?i)\b{_PLACES}(?:[^\n.;#*\d]{{0,24}}?)\s{_MARKED}"), _pressed, gate=_SIGNED),
        Rule(
            "PASSWORD",
            Pattern(
                rf"(?i)\b(?:press|punch|punch in|punching|key in|code|pin|keypad)(?: in)?(?: is|:)? {_PRESSED}|"
                rf"\b(?:enter|type|tap|dial) {_MARKED}|(?:按|输入?|摁)[ \t]?{_PRESSED}|"
                rf"{_DOORS}[^\n，。；\d#*]{{0,10}}?{_MARKED}"
            ),
            _pressed,
            gate=_SIGNED,
        ),
        Rule(
            "PASSWORD",
            Pattern(
                rf"{_DOORS}[^\n，。；\d]{{0,6}}?(?:码|口令|按|输入?|摁)[^\n，。；\d#*]{{0,4}}?[：: ]{{0,2}}{_KEYED}"
            ),
            _code,
            cues="码 口令 按 输 摁",
        ),
        Rule(
            "PASSWORD",
            Pattern(rf"(?i)\b{_PLACES}[ :]+(\d{{4,6}})#?(?:[,;.]|\s(?:then|and push|to open)|\z)"),
            _bare,
            b"#",
        ),
        Rule(
            "PASSWORD",
            Pattern(
                r"(?i)\bcombination(?: is|:| to \S+ ?\S* is)? (\d{1,2}[ -]\d{1,2}[ -]\d{1,2}(?:[ -]\d{1,2})?)\b|"
                r"\b(?:otp|puk)(?: is|:|=| code:?)? ?(\d{4,8})\b"
            ),
            _code,
        ),
        Rule(
            "PASSWORD",
            Pattern(
                r"(?i)\b(?:recovery|backup|back-up|bypass|unlock|one-time|verification|2fa|mfa|otp|sms|authenticator|login|"
                r"sign-in|host|moderator|chairperson|participant|meeting|conference|access|extraction|puk|master|emergency|"
                r"duress)[ _-](?:codes?|pin|pass ?codes?|pass|key)(?: (?:for|of|on|to|from) [^\n:,.]{1,24}?)?[\"']?"
                r"(?:\s?(?:is|are|was|:|=|-|–)\s?|\s)[\"'`]?([A-Za-z0-9#*]{3,12}(?:-[A-Za-z0-9]{3,8}){0,9})\b"
            ),
            _recovery,
        ),
    ),
)
