"""PASSWORD, and keys that only their name gives away: in configuration, in prose, in commands."""

from __future__ import annotations

import re

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Judge, Rule

_WORDS = frozenset(
    re.findall(
        rb"\S+",
        b"""required optional must should shall can could may might will would incorrect invalid wrong expired expires
        reset forgot forgotten policy length field fields none null true false string str int bool bytes float
        prompt hidden redacted unchanged changed correct empty missing protected manager authentication is are was
        were be been the a an your my his her our their this that these those in on at to for from by of and or
        not no yes same different stored saved encrypted hashed hash set unset needed necessary ok okay fine
        strong weak short long too very easy hard known unknown secret private public sensitive safe secure
        default given only also just still already now then when where why how what which who here there it its
        checked valid sent shared updated rotated leaked written visible masked asked kept generated accepted
        rejected any all some blank disabled enabled about with without if else return def class import self args
        kwargs text input output value values name type key keys token tokens file path env environ variable word
        words character characters letters digits symbols case-sensitive case minimum maximum least more less than
        password passwd passphrase login user username email account confirm again twice please enter retype see
        check use used using reveal never ever always change bcrypt argon2 sha256 sha-256 sha-1 sha1 md5 scrypt
        pbkdf2 plaintext plain base64 utf-8 utf8 ask tbd todo n/a na stdin external vault optional[str] secretstr
        mandatory obsolete deprecated unique complex simple good bad right insecure compromised final option
        options flag argument requires parameter setting prompted line lines via option's""",
    )
)
"""What stands where a password could, and is none."""
_GENERIC = re.compile(
    rb"(?i)\A(?:\W+|\d+[-~]\d+|.*x{4}.*|.*\.\.\..*|[$<{(\[@].*|%[({\w].*|\*+|x{3,}|&\w+|!(?:.*vault.*|secret|env|ref|var|sub|file|include)|your[-_].*|changeme_.*|"
    rb"(?:os|self|args|config|settings|env|process\.env)\..*|getenv.*|my[-_](?:password|token|secret|key))\Z"
)
_CODE = re.compile(
    rb"[(\[{]|\A_|\A[a-z]+(?:_[a-z]+)+\Z|\A[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\Z|\A[A-Z]+(?:_[A-Z]+)+\Z|"
    rb"\A[a-z]+(?:[A-Z][a-z]+)+\Z"
)
_PLAIN = re.compile(rb"\A[A-Za-z]+(?:[-_/' ][A-Za-z]+)*\Z")
_NAME = re.compile(rb"(?i)pass(?:word|wd|phrase)|token|secret|\bkey\b|user")
_QUERY = re.compile(rb"&[A-Za-z_]+=|&&|\|")
"""Where another parameter or command begins."""
_CLOSES = re.compile(rb"[.,;!\n\r\"')\x80-\xff]|\Z")
_DEEMED = re.compile(rb"(?:ed|ing|ly|able|ible)\Z")
_TOLD = re.compile(rb"(?:[\"'`=:\x80-\xff]|is |was |: |= )\Z")
_VAGUE = re.compile(rb"(?: to | as |ord |pw )\Z")
_TAIL = b".,;:!?)]}"
_MOST = 512


def _trimmed(data: bytes, start: int, end: int) -> int:
    """The end of a value without the sentence's own marks after it."""
    more = _QUERY.search(data, start + 1, end)
    end = more.start() if more is not None else end
    while end > start and data[end - 1] in _TAIL and not (data[end - 1] == ord("!") and end - start > 6):
        end -= 1
    return end


def _kinds(value: bytes) -> int:
    """How many of lower case, upper case, digits and other marks are in it."""
    return sum(re.search(each, value) is not None for each in (rb"[a-z]", rb"[A-Z]", rb"[0-9]", rb"[^A-Za-z0-9]"))


def _random(value: bytes, least: int) -> bool:
    """Whether no person would take it for words."""
    if len(value) < least or b" " in value or not re.search(rb"[A-Za-z]", value) or _kinds(value) < 2:
        return False
    return re.search(rb"\d", value) is not None or (len(value) > 23 and not _PLAIN.match(value))


def _named(data: bytes, start: int, end: int, *, word: bool, secret: bool) -> Found:
    """A value that its name gives away; a plain `word` is one only where nothing else can stand there."""
    quoted = start > 0 and data[start - 1] in b"\"'`"
    stop = end if quoted else _trimmed(data, start, end)
    value = data[start:stop]
    if not (3 if quoted else 4) <= len(value) <= _MOST or _GENERIC.match(value) or value.lower() in _WORDS:
        return None
    if not quoted and (_CODE.search(value) or data[stop : stop + 1] in (b"(", b"[")):
        return None
    if secret:
        return (start, stop, 0.85) if _random(value, 8) else None
    if b" " in value and (not word or len(value) > 48):
        return None
    if _PLAIN.match(value) and not (word and (quoted or value.isalpha()) and not _NAME.search(value)):
        return None
    return start, stop, 0.9 if _kinds(value) > 1 else 0.7


def _assigned(secret: bool) -> Judge:
    """`NAME=value`, `name: "value"`."""

    def judge(data: bytes, start: int, end: int) -> Found:
        ends = data[end : end + 1] in (b"", b"\n", b"\r", b",", b"}", b'"', b"'", b";")
        last = data[start - 1 : start]
        return _named(data, start, end, word=last in (b"=", b'"', b"'", b"`") or ends, secret=secret)

    return judge


def _prose(data: bytes, start: int, end: int) -> Found:
    """`the password is value.`"""
    stop = _trimmed(data, start, end)
    value = data[start:stop]
    vague = _VAGUE.search(data, max(0, start - 4), start) or _DEEMED.search(value) or value.istitle()
    return _named(data, start, end, word=_CLOSES.match(data, stop) is not None and not vague, secret=False)


def _token(data: bytes, start: int, end: int) -> Found:
    """`the token is value`; where nothing but a space stands between, only what is random beyond doubt."""
    found = _named(data, start, end, word=False, secret=True)
    if found is None or _TOLD.search(data, max(0, start - 4), start):
        return found
    value = data[start : found[1]]
    return found if _random(value, 16) and len(re.findall(rb"\d", value)) > 2 else None


def telling(value: bytes) -> bool:
    """Whether a value that something else calls a password can be one."""
    told = 4 <= len(value) <= 64 and b" " not in value and _kinds(value) > 1
    return told and not _GENERIC.match(value) and not _CODE.search(value) and value.lower() not in _WORDS


def _paired(data: bytes, start: int, end: int) -> Found:
    """`name / value`, after a word that says so."""
    value = data[start : _trimmed(data, start, end)]
    if not _random(value, 6) or _GENERIC.match(value) or _CODE.search(value) or b"/" in value:
        return None
    return start, start + len(value), 0.75


_PASS = r"(?:pass[ _-]?words?|passwd|pwd|pass[ _-]?phrase|pass[ _-]?code|passw|pswd)"
_OWNERS = (
    r"(?:db|user|root|admin|smtp|mail|ftp|redis|my|pg|postgres|sql|ssh|wifi|login|auth|proxy|sudo|api|app|mq|mongo|ldap|"
    r"vpn|sa)"
)
_SECRETS = (
    r"(?:(?:api|access|secret|private|auth|account|encryption|signing|secret[ _-]?access|shared[ _-]?access)[ _-]?"
    r"keys?|access[ _-]?key[ _-]?(?:secret|id)|(?:client[ _-]?|app[ _-]?|webhook[ _-]?)?secrets?|token|密钥|秘钥|令牌)"
)
_CHINESE = (
    r"[ \t]*(?:已经?|被|现在|重新)?(?:设为|设置为|设成|设置成|改成|改为|换成|重置为|更新为|就是|用的是|应该是|"
    r"是|为|叫)[ \t]*[：:]?[ \t]*"
)
_LINK = rf"(?:{_CHINESE}|[ \t]*(?:[：:=]|->)[ \t]*|[ \t]+)"
_SET = r"(?:issued|assigned|generated|given|created|set|sent|reset)"
_VALUE = (
    r"(?:\"([^\"\n]+)\"|'([^'\n]+)'|`([^`\n]+)`|“([^”\n]+)”|"
    r"([^\s\"'`,;，。；、！？“”「」（）<>\x{3000}-\x{10ffff}]+))"
)
RULES = (
    Rule(
        "PASSWORD",
        Pattern(
            rf"(?i)(?:{_PASS}|\b(?:\w*{_OWNERS}_?)?pass|\w+_pw|\bpw|密码|口令|密碼)(?: {_SET})?"
            rf"(?:[\"']|[*_]{{1,2}})?\s*(?::=|[:=：]|=>)(?:[*_]{{1,2}})?[ \t]*{_VALUE}"
        ),
        _assigned(False),
    ),
    Rule("API_KEY", Pattern(rf"(?i){_SECRETS}[\"']?\s*(?::=|[:=：]|=>)[ \t]*{_VALUE}"), _assigned(True)),
    Rule("PASSWORD", Pattern(rf"(?:密码|口令|密碼|暗号|通行码|开机码){_LINK}{_VALUE}"), _prose),
    Rule("PASSWORD", Pattern(r"(?:密码|口令|密碼)([A-Za-z0-9][!-~]+)"), _prose),
    Rule("API_KEY", Pattern(rf"(?i){_SECRETS}(?: is | was | to |{_LINK}){_VALUE}"), _token),
    Rule(
        "PASSWORD",
        Pattern(
            rf"(?i)\b(?:{_PASS}|pw)\b(?: (?:for|of|on|to) [^\n:]{{1,30}}?)?"
            rf"(?: is(?: now| still| currently)?| was| will be| to| as| from(?: \S+ to)?|'s|:)(?: now)?:? {_VALUE}"
        ),
        _prose,
    ),
    Rule("PASSWORD", Pattern(rf"(?i)\b(?:{_PASS}|pw){_CHINESE}{_VALUE}"), _prose),
    Rule("PASSWORD", Pattern(rf"(?i)\b{_PASS} from {_VALUE} to\b"), _prose),
    Rule(
        "PASSWORD",
        Pattern(
            r"(?i)(?:(?:账号|帐号|账户|用户名|用)[ :：]*|"
            r"\b(?:login|credentials?|creds|log ?in (?:with|as)|user)[ :：]+)"
            rf"[`\"']?[a-z][\w.@-]{{1,31}}[`\"']? ?/ ?{_VALUE}"
        ),
        _paired,
    ),
    Rule(
        "PASSWORD",
        Pattern(rf"(?i)(?:\b(?:the|with|using|and|use|try)|[,;/，；])[ \t]*(?:{_PASS}|pw)[ \t]{_VALUE}"),
        _prose,
    ),
)
