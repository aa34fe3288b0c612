"""EMAIL, IP_ADDRESS and URL_CREDENTIALS."""

from __future__ import annotations

import ipaddress
import re

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Rule, sure
from agentos.redact.words import ADDRESS, REMOTE, SOURCE, VERSION, VERSIONS

_FILES = (
    " png jpg jpeg gif svg webp pdf py js ts tsx jsx json yaml yml txt md zip gz tar csv html css cpp rs java php bin "
    "log safetensors gguf cfg toml ini lock exe dll so whl mp4 mp3 wav service target timer socket mount "
)
_PUBLIC = ("8.8.8.8", "8.8.4.4", "1.1.1.1", "9.9.9.9", "1.0.0.1", "4.4.4.4")
_VARIABLE = re.compile(rb"\A(?:\$.*|\{.*\}|<.*>|\*+|%\w|%\(\w+\)s)\Z")
_SAMPLE = re.compile(rb"(?i)\A(?:(?:db_?|my_?|your_?)?user(?:_?name)?|login|name|<.*>|\{.*\}|\$.*|"
    + "用户名?|账号|你的\\S*|帐号".encode()
    + rb"):(?:(?:db_?|my_?|your_?)?(?:pass(?:word|wd)?|secret|pwd|pass)|x{3,}|\.{3,}|"
    + "密码|口令|你的\\S*".encode()
    + rb")\Z"
)
_MASKED = Pattern(r"\w(?:[*•·…●]|\.{3})+\z")
_SCHEMES = (b"mailto", b"email", b"mail", b"e-mail", b"sip", b"acct", b"http", b"https")
_LOCAL = re.compile(rb"(?i)(?:fe[89ab][0-9a-f]|f[cd][0-9a-f]{2}|[23][0-9a-f]{3}):")
_WITHIN_URL = re.compile(rb"://(?:[^\s/@]*:)?\Z")
_NUMBERED = re.compile(rb"v?\d+\.\d")
_PART_BEFORE = re.compile(rb"(?i)(?:\.|v|\w-|[a-z_]/)\Z")
_PART_AFTER = re.compile(rb"\.\d|[-_+][A-Za-z]")


def _email(data: bytes, start: int, end: int) -> Found:
    local, _, domain = data[start:end].rpartition(b"@")
    last = domain.rpartition(b".")[2].lower().decode(errors="replace")
    masked = _MASKED.within(data[max(0, start - 12) : start]) or not local.strip(b"xX")
    if masked or _NUMBERED.match(domain) or f" {last} " in _FILES:
        return None
    if data[end : end + 2] in (b":/", b":~") or (local == b"git" and data[end : end + 1] == b":"):
        return None
    if _WITHIN_URL.search(data, max(0, start - 80), start) or REMOTE.label(data, start, 16):
        return None
    return start, end, 0.97


def _octets(data: bytes, start: int, end: int) -> Found:
    dotted = data[max(0, start - 1) : start] == b"."  # so are most of a run of numbers and dots
    value = data[start:end].decode()
    parts = [] if dotted else [int(part) for part in value.split(".")]
    if dotted or max(parts) > 255 or parts[0] in (0, 127, 255):
        return None
    part = _PART_BEFORE.search(data, max(0, start - 2), start) or _PART_AFTER.match(data, end)
    if part or VERSION.label(data, start):
        return None
    port = data[end : end + 1] in ((b":", b"/") if parts[0] >= 10 else (b":",)) and data[end + 1 : end + 2].isdigit()
    if port or ADDRESS.label(data, start):
        return start, end, 0.95
    if VERSIONS.before(data, start, 40):
        return None
    if ADDRESS.before(data, start, 32):
        return start, end, 0.9
    inner = parts[0] == 10 or (parts[0] == 172 and 16 <= parts[1] < 32)
    likely = value in _PUBLIC or inner or (parts[0] > 9 and (max(parts[1:]) > 64 or SOURCE.label(data, start)))
    return (start, end, 0.8) if likely else None


def _hextets(data: bytes, start: int, end: int) -> Found:
    if end - start < 4:
        return None
    value = data[start:end]
    if value.endswith(b":") and not value.endswith(b"::"):
        value = value[:-1]
    stop = start + len(value)
    if re.search(rb"[\w:.]\Z", data[max(0, start - 1) : start]) or data[stop : stop + 1].isalnum():
        return None
    try:
        address = ipaddress.IPv6Address(value.decode())
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified:
        return None
    groups = [group for group in value.split(b":") if group]
    if _LOCAL.match(value) or (len(groups) > 3 and re.search(rb"\d", value)):
        return start, stop, 0.95
    return (start, stop, 0.75) if ADDRESS.label(data, start) and len(groups) > 1 else None


def _userinfo(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    password = value.partition(b":")[2]
    if re.match(rb"\d{1,5}[?#]", password) or _VARIABLE.match(password) or _SAMPLE.match(value):
        return None
    return start, end, 0.97


def _bare(data: bytes, start: int, end: int) -> Found:
    """`root:secret@10.0.0.5:3306`, without a scheme."""
    user, _, password = data[start:end].partition(b":")
    if user.lower() in _SCHEMES or len(password) < 3:
        return None
    return _userinfo(data, start, end)


def _keyed(data: bytes, start: int, end: int) -> Found:
    """A key in the place of a user, without a password: `https://KEY@host`."""
    value = data[start:end]
    told = re.search(rb"\d", value) and re.search(rb"[A-Za-z]", value)
    return (start, end, 0.9) if told and not _VARIABLE.match(value) else None


_LETTER = r"A-Za-z0-9\x{c0}-\x{24f}"
_DOT = r" ?(?:\.|[\[({](?:dot|\.)[\])}]) ?"
RULES = (
    Rule(
        "URL_CREDENTIALS",
        Pattern(
            r"(?i)\b[a-z][a-z0-9+.-]{1,30}://([^\s/:\"'<>`]*:[^\s/\"'<>`]+)@[a-z0-9_\[\x{80}-\x{10ffff}$*{]"
        ),
        _userinfo,
        b"://",
    ),
    Rule(
        "URL_CREDENTIALS",
        Pattern(
            r"(?i)\b([a-z0-9][a-z0-9_.-]*:[^\s/:@\"'<>`]+)@"
            r"(?:(?:\d{1,3}\.){3}\d{1,3}|localhost|[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*:\d{2,5})\b"
        ),
        _bare,
        b"@",
    ),
    Rule(
        "URL_CREDENTIALS",
        Pattern(r"\b([\w.-]+:[^\s\"'`<>]{3,64})@(?:tcp6?|udp|unix|cloudsql(?:-?\w+)?|memory|ssh\+tcp)\("),
        _userinfo,
        b"@",
            cues="@tcp @udp @unix @cloudsql @memory @ssh",
        ),
    Rule(
        "URL_CREDENTIALS",
        Pattern(r"(?i)\b[a-z][a-z0-9+.-]{1,30}://(\w{20,})@[a-z0-9_\[]"),
        _keyed,
        b"://",
        gate=Pattern(r"(?i)://\w{20,}@"),
    ),
    Rule(
        "EMAIL",
        Pattern(
            rf"[{_LETTER}](?:[{_LETTER}._%+'-]*[{_LETTER}_+-])?@"
            rf"(?:[{_LETTER}](?:[{_LETTER}-]*[{_LETTER}])?\.)+(?:[A-Za-z]{{2,24}}|xn--[a-z0-9-]{{2,30}})\b"
        ),
        _email,
        b"@",
    ),
    Rule(
        "EMAIL",
        Pattern(
            r"(?i)\b[a-z0-9][a-z0-9._%+-]* ?[\[({](?:at|@)[\])}] ?[a-z0-9-]+"
            rf"(?:{_DOT}[a-z0-9-]+){{0,3}}{_DOT}[a-z]{{2,12}}\b"
        ),
        sure(0.85),
            cues="at] at) at} [@ (@ {@",
        ),
    Rule("IP_ADDRESS", Pattern(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"), _octets, b"."),
    Rule("IP_ADDRESS", Pattern(r"\s-[hH](\d{1,3}(?:\.\d{1,3}){3})\b"), sure(0.9), b"-", cues="-h"),
    Rule(
        "IP_ADDRESS",
        Pattern(r"(?i)(?:[0-9a-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4})"),
        _hextets,
        b":",
    ),
)
