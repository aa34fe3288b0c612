"""PASSWORD and URL_CREDENTIALS where programs are given them: `mysql -pX`, `--password X`, `curl -u user:X`."""

from __future__ import annotations

import re

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Rule

_VARIABLE = re.compile(rb"(?i)\A(?:\W+|[$<{(\[@].*|%[({\w].*|x{3,}|\*.*|-.*)\Z")
_PROSE = re.compile(
    rb"(?i)\A(?:is|are|was|to|for|from|by|of|and|or|not|if|in|on|with|without|must|may|can|option|options|flag|flags|"
    rb"argument|parameter|requires?|required|prompt|stdin|the|an?|instead|when|which|that|this|will|should|ort|rotocol)\Z"
)


def _given(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    return None if not value or _VARIABLE.match(value) or _PROSE.match(value) else (start, end, 0.93)


def _login(data: bytes, start: int, end: int) -> Found:
    user, _, password = data[start:end].partition(b":")
    return None if not password or _VARIABLE.match(password) or _VARIABLE.match(user) else (start, end, 0.93)


def _key(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    mixed = len(value) > 7 and re.search(rb"\d", value) and re.search(rb"[A-Za-z]", value)
    return _given(data, start, end) if mixed else None


_ARGUMENT = r"(?:\"([^\"\n]+)\"|'([^'\n]+)'|([^\s\"'|;&<>]+))"
_OPTIONS = r"[^\n|;]*?\s"
_LOGINS = r"(?:(?:docker|podman|helm registry|nerdctl|oc|az|registry) login|mongo|mongosh|mongodump|mongorestore|cqlsh)"
_MYSQL = r"(?:mysql|mysqldump|mariadb|mysqladmin|mariadb-dump|mysqlimport|mycli)"
_START = r"(?:\A|[\s\"'(\[])"
RULES = (
    Rule("PASSWORD", Pattern(r"(?i)\bpin(?: code| number| no\.?)?(?: is|:|=| to)? ?(\d{4,8})\b"), _given),
    Rule(
        "PASSWORD",
        Pattern(
            rf"{_START}(?:--(?:[a-z]+-)*|-)(?:password|passwd|pass|pwd|passphrase|requirepass)[= ]{_ARGUMENT}"
        ),
        _given,
        b"-",
    ),
    Rule(
        "API_KEY",
        Pattern(
            rf"{_START}--(?:[a-z]+-)*(?:token|api-key|apikey|secret|secret-key|access-key|key-secret)[= ]{_ARGUMENT}"
        ),
        _key,
        b"--",
    ),
    Rule("PASSWORD", Pattern(rf"\b{_MYSQL}\b{_OPTIONS}-p{_ARGUMENT}"), _given, b" -p"),
    Rule("PASSWORD", Pattern(rf"\bsshpass\s+-p\s*{_ARGUMENT}"), _given, b"sshpass"),
    Rule("PASSWORD", Pattern(rf"\b{_LOGINS}\b{_OPTIONS}-p\s+{_ARGUMENT}"), _given, b" -p "),
    Rule("PASSWORD", Pattern(rf"\bredis-cli\b{_OPTIONS}-a\s+{_ARGUMENT}"), _given, b"redis-cli"),
    Rule("PASSWORD", Pattern(rf"\bldap(?:search|add|modify)\b{_OPTIONS}-w\s+{_ARGUMENT}"), _given, b"ldap"),
    Rule("PASSWORD", Pattern(r"(?i)\bidentified(?: with \S+)? by ['\"]([^'\"\n]+)['\"]"), _given),
    Rule("PASSWORD", Pattern(rf"\brequirepass\s+{_ARGUMENT}"), _given, b"requirepass"),
    Rule(
        "PASSWORD", Pattern(rf"\becho\s+(?:-n\s+)?{_ARGUMENT}\s*\|\s*(?:sudo\s+-S|passwd|cryptsetup)"), _given,
        b"echo",
    ),
    Rule("PASSWORD", Pattern(r"\bmachine\s+\S+\s+login\s+\S+\s+password\s+(\S+)"), _given, b"machine"),
    Rule("PASSWORD", Pattern(r"-pass(?:in|out)?\s+pass:([^\s\"']+)"), _given, b"pass:"),
    Rule(
        "PASSWORD",
        Pattern(rf"\b(?:PGPASSWORD|MYSQL_PWD|REDISCLI_AUTH|SSHPASS|RESTIC_PASSWORD|BORG_PASSPHRASE)={_ARGUMENT}"),
        _given,
        b"=",
    ),
    Rule(
        "URL_CREDENTIALS",
        Pattern(
            rf"\b(?:curl|wget|http|https|xh)\b{_OPTIONS}(?:-u|--user|-a|--proxy-user|-U)[ =]?[\"']?"
            r"([^\s\"':]+:[^\s\"']+)"
        ),
        _login,
    ),
    Rule(
        "URL_CREDENTIALS",
        Pattern(r"\becho\s+[\"']?([^\s\"':]+:[^\s\"'|]+)[\"']?\s*\|\s*(?:sudo\s+)?chpasswd"),
        _login,
        b"chpasswd",
    ),
)
