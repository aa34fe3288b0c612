"""PASSWORD beyond one word of ASCII: with spaces, commas or Chinese in it, on a screen, or said in passing."""

from __future__ import annotations

import re

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Family, Found, Rule
from agentos.redact.values import generic, kinds, strong, telling
from agentos.redact.words import Words

_PAIRS = re.compile(rb"&\w+=|\w+=[^,]*,\w+=|&&|,\w+=")
_TALK = re.compile(
    "为|是|请|已|见|和|在|不|从|与|或|由|均|需|如|有|的|了|吗|啊|呢|并|后|前|可|会|要|被|把|让|找|问|发|忘|错|改|设|"
    "输|填|位".encode()
)


def _line(data: bytes, start: int, end: int) -> Found:
    """All that stands after `name=` in a line, commas and ampersands as well."""
    value = data[start:end]
    told = 4 <= len(value) <= 128 and re.search(rb"[,;&|<>]", value) and kinds(value) > 1
    return (start, end, 0.85) if told and not generic(value) and not _PAIRS.search(value) else None


def _shown(data: bytes, start: int, end: int) -> Found:
    """In a column of names and values on a screen."""
    value = data[start:end]
    return (start, end, 0.75) if telling(value) and re.search(rb"\d", value) and len(value) > 5 else None


def _words(data: bytes, start: int, end: int) -> Found:
    """Words with spaces, of which something says that they are one."""
    return (start, end, 0.8) if 8 <= end - start <= 80 and not generic(data[start:end]) else None


def _mixed(data: bytes, start: int, end: int) -> Found:
    """Chinese characters with digits and other marks."""
    value = data[start:end].rstrip(b".,;:!?)")
    plain = re.sub(rb"[\x80-\xff]+", b"", value)
    told = len(plain) > 3 and re.search(rb"\d", plain) and (len(plain) > 3 or kinds(plain) > 1)
    return None if not told or _TALK.search(value) else (start, start + len(value), 0.8)


def _quoted(data: bytes, start: int, end: int) -> Found:
    """Words between quotes, unless they are a message."""
    value = data[start:end]
    said = _MESSAGE.search(value) or generic(value) or not 8 <= len(value) <= 64
    return None if said or value.count(b" ") > 8 else (start, end, 0.75)


def _seed(data: bytes, start: int, end: int) -> Found:
    """Base32, as authenticators are given it (RFC 4648)."""
    value = data[start:end].replace(b" ", b"").replace(b"-", b"")
    told = len(value) > 13 and (re.search(rb"\d", value) or b" " in data[start:end])
    return (start, end, 0.9) if told else None


def _also(data: bytes, start: int, end: int) -> Found:
    """One of a list of codes after the word for them."""
    value = data[start:end]
    listed = _CODES.search(data, max(0, start - 240), start)
    return (start, end, 0.75) if listed and re.search(rb"\d", value) else None


def _said(data: bytes, start: int, end: int) -> Found:
    """After words that speak of one without its name."""
    value = data[start:end].rstrip(b".,;:?)")
    return (start, start + len(value), 0.75) if strong(value) and kinds(value) > 1 else None


_MESSAGE = re.compile(
    rb"(?i)\b(?:must|is|are|too|your|you|invalid|incorrect|required?|please|short|enter|wrong|failed|forgot|reset|"
    rb"expired?|"
    rb"change|confirm|cannot|can't|not|should|again|new|password|passphrase|for|match)\b"
)
_CODES = re.compile(
    rb"(?i)(?:(?:recovery|backup|back-up|scratch|rescue|2fa|mfa|one-time|emergency)[ _-]codes?|"
    + "(?:备用|恢复|应急|救援)(?:验证)?码".encode()
    + rb")[^\n]{0,24}(?:\s+|[,;:/|]|"
    + "：|，|、".encode()
    + rb"|[A-Za-z0-9-]{4,11})*\Z"
)
_WORD = Words("密码|口令|密碼")
_PASS = r"(?:pass[ _-]?words?|passwd|pwd|pass[ _-]?phrase|pass[ _-]?code|pass|pw|密码|口令|密碼|暗号)"
_TOKEN = r"([^\s\"'`,;，。；、！？“”「」（）()<>\x{3000}-\x{10ffff}]+)"
WORDS = Family(
    Pattern(r"(?i)pass|pw|密|口令|暗号|secret|sign|log|unlock|解锁|登|进|p/w|\bp4ss|p@ss|set|口|seed|otp|2fa|mfa|"
            r"验证器|auth|code|备用|恢复|wi-?fi"),
    (
        Rule(
            "PASSWORD",
            Pattern(
                r"(?im)^[ \t]*(?:export |set |- )?[\w.-]*(?:password|passwd|pass|pwd|passphrase|"
                r"secret)[\w.-]{0,12}[ \t]?"
                r"(?:=|:[ \t])[ \t]*([^\s\"'`<>{}$]+)[ \t]*$"
            ),
            _line,
            cues="pass pwd secret",
        ),
        Rule(
            "PASSWORD",
            Pattern(rf"(?im)(?:^|[ ]{{2,}}|\t)(?:[\w-]{{1,12}} )?{_PASS}[ ]{{2,}}([!-~]{{6,64}})[ \t]*(?:$|[ ]{{2,}})"),
            _shown,
            cues="pass pw 密码 口令 密碼 暗号",
        ),
        Rule(
            "PASSWORD",
            Pattern(
                rf"(?i){_PASS}(?: (?:for|of|on|to) [^\n:]{{1,24}}?)?(?: is(?: now)?| was|:|=|是|：)[ ]?[\"']?"
                r"((?:[\w'!@#$%&-]+ ){1,9}[\w'!@#$%&-]+)[\"']?"
                r"(?: ?[(（,，][^()（）\n]{0,24}?(?:spaces?|空格)| (?:with|including|incl\.) (?:the )?spaces)"
            ),
            _words,
            cues="space 空格",
        ),
        Rule(
            "PASSWORD",
            Pattern(
                r"(?i)\bpass ?phrase(?: is(?: now)?| was|:|=)[ ]?((?:[\w'-]+ ){1,8}(?-i:\d{1,4}|[A-Z][a-z]+\d+)"
                r"(?: [\w'-]+){0,4})[ \t]*(?:[.\n(]|\z)"
            ),
            _words,
            cues="phrase",
        ),
        Rule(
            "PASSWORD",
            Pattern(
                rf"(?i){_PASS}(?:[ \t]*(?:是|为|：|:|=|is|->|→|用|改成|设成|设为|改为)[ \t]*|[ \t]+)[\"'`“「]?"
                r"([\x{4e00}-\x{9fff}]{1,8}[!-~]{3,32}[\x{4e00}-\x{9fff}]{0,4}[!-~]{0,16})(?:[\s\"'`”」，。；（]|\z)"
            ),
            _mixed,
            cues="pass pw 密码 口令 密碼 暗号",
        ),
        Rule("PASSWORD", Pattern(rf"共享密钥[ ]?[:：是为]?[ ]?{_TOKEN}"), _said, cues="共享密钥"),
        Rule(
            "PASSWORD",
            Pattern(
                r"(?im)\b(?:wi-?fi|wlan|network|hotspot|router) (?:password|pass|key|pw)(?: is|:) "
                r"((?:[a-z]{3,10}[ -]){2,5}[a-z]{3,10}\d{0,4})[ \t]*(?:$|[.(])"
            ),
            _quoted,
            cues="wifi wi-fi wlan network hotspot router",
        ),
        Rule("PASSWORD", Pattern(r"暗号(?:是|为|：|:)[ ]?[\"“「]?([\x{4e00}-\x{9fff}]{2,8})(?:[\s\"”」，。；]|"
                                 r"\z)"), _words,
            cues="暗号",
        ),
        Rule(
            "PASSWORD",
            Pattern(
                r"(?i)\b(?:pass ?phrase(?:[ ]is|:|[ ]=)?|(?:password|passcode|pwd)(?:[ ]is|[ ]was|:|[ ]=))[ ]?"
                r"(?:\"([^\"\n]+ [^\"\n]+)\"|“([^”\n]+ [^”\n]+)”)"
            ),
            _quoted,
            cues="pass pwd",
        ),
        Rule(
            "PASSWORD",
            Pattern(
                rf"(?i)(?:\bp/w|\bp@ss(?:word|w0rd)?|\bp4ss|\bpass-?wd|密[ \t]{{1,4}}码|口[ \t]{{1,4}}令)[ "
                rf"]?(?:[:：=]|is|是|->)[ ]?{_TOKEN}|"
                rf"(?:密码|口令|密碼)(?:[已被]?[由从])[ ]?{_TOKEN}[ ]?(?:改|换|变|更|重置)|"
                rf"(?:密码|口令)[\x{{4e00}}-\x{{9fff}}]{{0,10}}[ ]{_TOKEN}(?:[\s，。；]|\z)"
            ),
            _said,
            cues="p/w p@ss p4ss pass 密 口",
        ),
        Rule(
            "PASSWORD", Pattern(rf"(?:改|换|变更?|更新|重置)[为成到][ ]?{_TOKEN}"), _said, about=_WORD, near=True,
        ),
        Rule(
            "PASSWORD",
            Pattern(
                rf"(?i)\b(?:password|passcode|passphrase|pwd|pw) ?\({_TOKEN}\)|"
                rf"\b(?:re)?set (?:it|this|that|yours?|hers|his|theirs|the (?:account|login|password|pw|pwd)) "
                rf"(?:back )?to [\"'`]?{_TOKEN}|"
                rf"\b(?:password|pw|pwd|passcode)(?: (?:was|has been|is|got))? (?:re)?set to [\"'`]?{_TOKEN}|"
                rf"\buse [\"'`]?{_TOKEN}[\"'`]? (?:to|when you|for) (?:log|sign|unlock|get|the (?:first )?log)"
            ),
            _said,
            cues="pass pw set use",
        ),
        Rule(
            "API_KEY",
            Pattern(
                r"(?i:\b(?:totp|2fa|mfa|otp|authenticator|two-factor|google auth\w*)[ _-]?(?:seed|secret|key|setup "
                r"key|setup code)?|"
                r"\bseed|验证器(?:的)?(?:密钥|秘钥|种子)?|动态口令种子|两步验证密钥)(?i:[ ]?(?:is|:|：|=|是|->)|[ "
                r"])[ ]?[\"'`]?"
                r"([A-Z2-7]{16,64}|[A-Z2-7]{4}(?:[ -][A-Z2-7]{4}){3,15})\b"
            ),
            _seed,
            cues="totp 2fa mfa otp auth two-factor seed 验证 动态口令 两步验证",
        ),
        Rule(
            "PASSWORD",
            Pattern(r"\b([A-Za-z0-9]{4,8}-[A-Za-z0-9]{4,8}(?:-[A-Za-z0-9]{4,8})?|\d{6,8}|[a-f0-9]{8,10})\b"),
            _also,
            about=Words(r"(?:recovery|backup|back-up|scratch|rescue|2fa|mfa|one-time|emergency)[ "
                        r"_-]codes?", "(?:备用|恢复|应急|救援)(?:验证)?码"),
        ),
        Rule(
            "PASSWORD",
            Pattern(rf"(?i)\bwi-?fi\b[^\n:：=]{{0,12}}[:：=][ ]?[\w.@-]{{2,32}}[ ]?[/,，|][ "
                    rf"]?{_TOKEN}(?:[\s,.;，。；]|\z)"),
            _said,
            cues="wifi wi-fi",
        ),
        Rule(
            "PASSWORD",
            Pattern(
                r"(?i)\b(?:sign(?:ed)? ?in|log(?:ged)? ?(?:in|on)|get in|unlock(?:s|ed)?(?: it| the \w+)?|opens?(?: "
                r"it)?) "
                rf"(?:with|using|by typing) {_TOKEN}|(?:登录|登陆|登|进去?|解锁|打开)(?:时|就|要|请|"
                rf"的时候)?[用输](?:入)?[ ]?{_TOKEN}"
            ),
            _said,
            cues="sign log get unlock open 登 进 解锁 打开",
        ),
    ),
)
