"""What may be a password or a key, and what only stands where one could."""

from __future__ import annotations

import re

from agentos.redact.patterns import Pattern

WORDS = frozenset(
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
        password passwd passphrase passwort login user username email account confirm again twice please enter retype
        see check use used using reveal never ever always change bcrypt argon2 sha256 sha-256 sha-1 sha1 md5 scrypt
        pbkdf2 plaintext plain base64 utf-8 utf8 ask tbd todo n/a na stdin external vault optional[str] secretstr
        mandatory obsolete deprecated unique complex simple good bad right insecure compromised final option
        options flag argument requires parameter setting prompted line lines via option's varchar
        varchar2 nvarchar char int4 int8
        kennwort senha number object array boolean undefined nil optional(string) sensitive-value computed unlimited
        noopener submit button label hint error warning info success failed failure fail passed read write readonly
        free open closed full valid. 1password keepass keepassxc lastpass bitwarden kms
        mobile digital daily monthly annual boarding season skipped""",
    )
)
"""What stands where a password could, and is none."""
_GENERIC = Pattern(
    r"(?i)\A(?:\W+|\d+[-~]\d+|.*x{4}.*|.*\.\.\..*|.*\*{3}.*|.*\x{b7}{2}.*|[<{(\[].*|x{3,}|&\w+|!!\w+|"
    r"[$%@][\w.:-]*|[$]\w+/.*|[$][{(].*|\$\w+\$.*|%[({].*|%\w+%.*|@[/.~].*|"
    r"!(?:.*vault.*|secret|env|ref|var|sub|file|include)|changeme_.*|"
    r"your[-_ ]?(?:[-_].*|pass.*|pwd.*|secret.*|token.*|key.*|api.*|own.*|real.*|strong.*)|"
    r"(?:change|replace|fill|insert|put|paste|enter|set)[-_ ]?(?:me|this|it|with|in|here|your)(?:[-_ ].*)?|"
    r"(?:os|self|args|config|settings|env|process\.env)\..*|getenv.*|my[-_](?:password|token|secret|key)|"
    r"(?:.*[-_])?(?:placeholder|todo|redacted|dummy)(?:[-_].*)?|v?(?:\d+:)?\d+(?:\.\d+)+(?:[+~-][\w.+~-]*)?|https?:.*|\.{0,2}/[\w./-]*|"
    r"\*[0-9A-F]{40}|md5[0-9a-f]{32}|\w+:\d+.*\$.*|\w*(?:pbkdf2|bcrypt|argon2|scrypt|sha(?:256|512))[\w-]*[$:].*)\z"
)
"""Placeholders, variables, references, ranges, masked values, versions, addresses and what hashing gives."""
_CRYPTO = re.compile(
    rb"(?i)\A(?:aes|des|3des|rsa|sha|sm|md|ecdsa|ed|tls|ssl|oauth|pbkdf|hmac|base|utf|http|wpa|fido|pkcs|iso|rfc|nist|cve|"
    rb"i18n|e2e|php|python|page|step|chapter|version|ver|table|level|line|item|v)[-_./]?\d{1,5}"
    rb"(?:[-_./](?:cbc|gcm|ecb|based|encoded|encrypted|hashed|\d{1,5})){0,2}\Z"
)
"""Names of methods, of standards, and of chapters."""
_CODE = re.compile(
    rb"[(\[{]|\A_|\A[a-z]+(?:_[a-z]+)+\Z|\A[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\Z|\A[A-Z]+(?:_[A-Z]+)+\Z|"
    rb"\A[a-z]+(?:[A-Z][a-z]+)+\Z"
)
_PLAIN = re.compile(rb"\A[A-Za-z]+(?:[-_/' ][A-Za-z]+)*\Z")
_NAME = re.compile(rb"(?i)pass(?:word|wd|phrase)|token|secret|\bkey\b|user|passwort|\bpwd\b")
_QUERY = re.compile(rb"&[A-Za-z_]+=|&&|\|")
"""Where another parameter or command begins."""
_COUNT = re.compile("年|月|位|个|次|天|分|小时|字|号线|条|款".encode())
"""What a number before it counts."""
_ENV = re.compile(rb"(?:\A|[\s\"'`;|&({\[,-])[A-Z][A-Z0-9_]*=[\"'`]?\Z|__\w+=[\"']?\Z")
_LINE = re.compile(rb"\A[ \t]*(?:- )?[\w.-]+:[ \t]+\Z|\A[\w.-]+[ \t]?=[ \t]?\Z")
_ENDED = re.compile(rb"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_EACH = tuple(map(re.compile, (rb"[a-z]", rb"[A-Z]", rb"[0-9]", rb"[^A-Za-z0-9]")))
_REACH = 96
_TAIL = b".,;:!?)]}"
_MOST, _MOST_KEY = 512, 8192


def trimmed(data: bytes, start: int, end: int) -> int:
    """The end of a value without the sentence's own marks after it."""
    more = _QUERY.search(data, start + 1, end)
    end = more.start() if more is not None else end
    while end > start and data[end - 1] in _TAIL and not (data[end - 1] == ord("!") and end - start > 6):
        end -= 1
    return end


def kinds(value: bytes) -> int:
    """How many of lower case, upper case, digits and other marks are in it."""
    return sum(each.search(value) is not None for each in _EACH)


def random(value: bytes, least: int) -> bool:
    """Whether no person would take it for words."""
    if len(value) < least or b" " in value or not re.search(rb"[A-Za-z]", value) or kinds(value) < 2:
        return False
    return re.search(rb"\d", value) is not None or (len(value) > 23 and not _PLAIN.match(value))


def dense(value: bytes, least: int) -> bool:
    """Whether only a machine makes such: of hexadecimal digits alone twice as long, else with all of `aA1` or long."""
    if not random(value, least) or generic(value) or re.search(rb"[(\[{]", value):
        return False
    longest = max(re.split(rb"[-_.:/+=%~]", value), key=len)
    if re.fullmatch(rb"[0-9a-f]+|[0-9A-F]+", value):
        return len(value) > 30
    if re.fullmatch(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        return True
    digits = len(re.findall(rb"\d", value))
    return len(longest) > 9 and digits > 1 and (kinds(longest) > 2 or (digits > 3 and len(longest) >= least))


def generic(value: bytes) -> bool:
    """Whether it stands for a value: a placeholder, a variable, a mask, a hash."""
    return value.lower() in WORDS or _GENERIC.within(value)


def literal(data: bytes, start: int, stop: int) -> bool:
    """Whether what stands there can be nothing but text: `NAME=text`, and a line `name: text`."""
    line = data[max(data.rfind(b"\n", max(0, start - _REACH), start) + 1, start - _REACH) : start]
    if _ENV.search(line):
        return True
    return _LINE.match(line) is not None and _ENDED.match(data, stop, stop + 200) is not None


def named(data: bytes, start: int, end: int, *, word: bool, secret: bool) -> tuple[int, int, float] | None:
    """A value that its name gives away; a plain `word` is one only where nothing else can stand there."""
    quoted = start > 0 and data[start - 1] in b"\"'`"
    stop = end if quoted else trimmed(data, start, end)
    value = data[start:stop]
    if not (3 if quoted else 4) <= len(value) <= (_MOST_KEY if secret else _MOST) or generic(value):
        return None
    text = not quoted and b" " not in value and not _NAME.search(value) and not re.search(rb"[(\[{]", value)
    if text and literal(data, start, stop):
        told = not secret or random(value, 8) or _phrase(data, start, value)
    else:
        told = _fits(data, stop, value, quoted=quoted, word=word, secret=secret)
    return (start, stop, 0.85 if secret else 0.9 if kinds(value) > 1 else 0.7) if told else None


def _phrase(data: bytes, start: int, value: bytes) -> bool:
    """Whether it is words with marks between, in the place of a variable's value."""
    words = re.fullmatch(rb"[a-z]+(?:[-_.][a-z]+){2,}", value)
    return words is not None and _ENV.search(data, max(0, start - _REACH), start) is not None


def _fits(data: bytes, stop: int, value: bytes, *, quoted: bool, word: bool, secret: bool) -> bool:
    """Whether a value that could be code, or a word of a sentence, is neither."""
    if not quoted and (_CODE.search(value) or data[stop : stop + 1] in (b"(", b"[")):
        return False
    if secret:
        return random(value, 8)
    counted = value.isdigit() and _COUNT.match(data, stop)
    if counted or (b" " in value and (not word or len(value) > 48)):
        return False
    return not _PLAIN.match(value) or (word and (quoted or value.isalpha()) and not _NAME.search(value))


def telling(value: bytes) -> bool:
    """Whether a value that something else calls a password can be one."""
    told = 4 <= len(value) <= 64 and b" " not in value and kinds(value) > 1
    return told and not generic(value) and not _CODE.search(value)


def strong(value: bytes, least: int = 6) -> bool:
    """Whether a value that is hardly called a password is one all the same: letters and digits, no name of a method."""
    return random(value, least) and telling(value) and not _CRYPTO.match(value)
