"""PASSWORD and URL_CREDENTIALS where programs are given them: `mysql -pX`, `--password X`, `curl -u user:X`."""

from __future__ import annotations

import re

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Rule
from agentos.redact.values import generic, kinds, strong

_VARIABLE = re.compile(rb"(?i)\A(?:\W+|[$<{(\[@].*|%[({\w].*|x{3,}|\*.*|-.*)\Z")
_PROSE = re.compile(
    rb"(?i)\A(?:is|are|was|to|for|from|by|of|and|or|not|if|in|on|with|without|must|may|can|option|options|flag|flags|"
    rb"argument|parameter|requires?|required|prompt|stdin|the|an?|instead|when|which|that|this|will|should|ort|"
    rb"rotocol)\Z"
)


def _given(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    shown = not value or _VARIABLE.match(value) or _PROSE.match(value) or (b"pass" not in value and generic(value))
    return None if shown else (start, end, 0.93)


def _mixed(data: bytes, start: int, end: int) -> Found:
    """A value whose place alone says too little."""
    value = data[start:end]
    return _given(data, start, end) if len(value) > 3 and kinds(value) > 1 and not value.isupper() else None


def _sent(data: bytes, start: int, end: int) -> Found:
    """What a script types for a person."""
    return (start, end, 0.8) if strong(data[start:end]) else None


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
_SAID = (
    r"(?:sudo\s+(?:-\w+\s+)*-S|(?:sudo\s+)?passwd|cryptsetup|kinit|su\b|gpg|(?:docker|podman|helm registry|oc|gh auth) "
    r"?login|vncpasswd|smbpasswd|openssl|veracrypt)"
)
_UPPER = (
    r"(?:sqlcmd|bcp|osql|isql|tsql|ipmitool|mosquitto_(?:pub|sub)|unzip|zip|snmpget|snmpwalk|mqttx?|vsql|smbmap)"
)
_LOWER = (
    r"(?:psexec|twine|crackmapexec|nxc|racadm|az login|clickhouse-client|mongo\w*|cqlsh|lftp|influx|couchbase-cli|"
    r"rabbitmqadmin|arangosh|beeline|trino|wscat|oc login|argocd login|cf login|ibmcloud login|zabbix_\w+|mssql-cli|"
    r"(?:docker|podman|helm registry|nerdctl|skopeo|registry) login)"
)
_TOOLS = (
    r"poetry config http-basic\.\S+ \S+|bw unlock|bw login \S+|rclone obscure|wandb login|vault login|"
    r"huggingface-cli login|ngrok (?:config add-)?authtoken|mega-login \S+"
)
_OPENED = (
    r"storepass|keypass|srcstorepass|deststorepass|srckeypass|destkeypass|pw|rp|rootpw|adminpw|user-password|bindpw|"
    r"encryption-password|vault-pass|PasswordText"
)
_DEVICES = (
    r"username \S+ (?:privilege \d+ )?(?:password|secret) (?:0 )?|enable (?:password|secret) (?:0 )?|"
    r"snmp-server community |snmp-agent community (?:read|write) (?:simple |cipher )?|"
    r"(?:radius|tacacs)-server (?:host \S+ )?key (?:0 )?|crypto isakmp key |key-string |"
    r"local-user \S+ password (?:simple|cipher|irreversible-cipher) |password (?:simple|cipher) |"
    r"pre-shared-key (?:ascii-text |simple |local |remote )?|r[ow]community |requirepass |masterauth "
)
"""Lines of switches, routers and servers."""


def _any(*ways: str) -> Pattern:
    """Any of these, looked for in one go."""
    return Pattern("|".join(ways))


RULES = (
    Rule(
        "PASSWORD",
        Pattern(
            r"(?i)\bpin(?: code| number| no\.?)?(?:(?: (?:for|of|on|to) [^\n:,.\d]{1,24}?)?(?: is|:|=)| to)? ?"
            r"(\d{4,8})\b"
        ),
        _given,
            cues="pin",
        ),
    Rule(
        "PASSWORD",
        Pattern(
            rf"{_START}(?:--(?:[a-z]+-)*|-)(?:password|passwd|pass|pwd|passphrase|requirepass)[= ]{_ARGUMENT}|"
            r"[\"'](?:--(?:[a-z]+-)*|-)(?:password|passwd|pass|pwd|passphrase)[\"'],\s*[\"']([^\"'\n]+)[\"']"
        ),
        _given,
        b"-",
            cues="pass pwd",
        ),
    Rule(
        "API_KEY",
        _any(
            rf"{_START}--(?:[a-z]+-)*(?:token|api-key|apikey|secret|secret-key|access-key|key-secret)[= ]{_ARGUMENT}",
            rf"\b(?:ossutil\w*|coscmd|coscli|obsutil|s3cmd|bcecmd)\b{_OPTIONS}(?:-k|-s|-sk)[= ]{_ARGUMENT}",
        ),
        _key,
        b"-",
            cues="--token token= -token api-key apikey secret access-key ossutil coscmd coscli obsutil s3cmd bcecmd",
        ),
    Rule("API_KEY", Pattern(rf"\bmc (?:alias set|config host add) \S+ \S+ {_ARGUMENT}"), _key, b"mc "),
    Rule("API_KEY", Pattern(rf"\bqshell account \S+ {_ARGUMENT}"), _key, b"qshell"),
    Rule("API_KEY", Pattern(rf"\bmc (?:alias set|config host add) \S+ \S+ \S+ {_ARGUMENT}"), _key, b"mc "),
    Rule("PASSWORD", Pattern(rf"\b{_MYSQL}\b{_OPTIONS}-p{_ARGUMENT}"), _given, b" -p", cues="mysql mariadb mycli"),
    Rule(
        "PASSWORD",
        _any(
            rf"\bsshpass\s+-p\s*{_ARGUMENT}", rf"\b{_LOGINS}\b{_OPTIONS}-p\s+{_ARGUMENT}",
            rf"\b(?:7z[ar]?|7zz|rar|unrar)\s{_OPTIONS}-h?p{_ARGUMENT}",
            rf"\b(?:plink|pscp|psftp|klink)\b{_OPTIONS}-pw\s+{_ARGUMENT}",
        ),
        _given,
        b"p",
            cues="sshpass login mongo cqlsh 7z rar plink pscp psftp klink",
        ),
    Rule("PASSWORD", Pattern(rf"\b{_UPPER}\b{_OPTIONS}-[PAX]\s*{_ARGUMENT}"), _mixed, b" -", cues="sqlcmd bcp osql "
        "isql tsql ipmitool mosquitto zip snmp mqtt vsql smbmap"),
    Rule("PASSWORD", Pattern(rf"\b{_LOWER}\b{_OPTIONS}-p\s+{_ARGUMENT}"), _mixed, b" -p ", cues="psexec twine "
        "crackmap nxc racadm login clickhouse mongo cqlsh lftp influx couchbase rabbitmq arangosh beeline trino "
        "wscat zabbix mssql"),
    Rule("PASSWORD", Pattern(rf"{_START}(?:--|-)(?:{_OPENED})[ "
                             rf"=:]{_ARGUMENT}"), _mixed, b"-", cues="pass pw -rp secret"),
    Rule("PASSWORD", Pattern(rf"\b(?:redis|valkey)-(?:cli|"
                             rf"benchmark)\b{_OPTIONS}-a\s+{_ARGUMENT}"), _given, b" -a", cues="redis valkey"),
    Rule("PASSWORD", Pattern(r"(?m)(?:^|[>;] ?)AUTH (?:[\w-]+ )?([^\s\"']{4,})[ \t]*$"), _mixed, b"AUTH "),
    Rule("PASSWORD", Pattern(rf"\bldap(?:search|add|modify|"
                             rf"passwd)\b{_OPTIONS}-w\s*{_ARGUMENT}"), _given, b" -w", cues="ldap"),
    Rule("PASSWORD", Pattern(r"(?i)\bidentified(?: with \S+)? by ['\"]([^'\"\n]+)['\"]"), _given, cues="identified"),
    Rule("PASSWORD", Pattern(rf"\brequirepass\s+{_ARGUMENT}"), _given, b"requirepass"),
    Rule("PASSWORD", Pattern(rf"\b(?:echo|"
                             rf"printf)\s+(?:-n\s+)?{_ARGUMENT}\s*\|\s*{_SAID}"), _given, b"|", cues="echo printf"),
    Rule("PASSWORD", Pattern(r"\bmachine\s+\S+\s+login\s+\S+\s+password\s+(\S+)"), _given, b"machine"),
    Rule("PASSWORD", Pattern(r"-pass(?:in|out)?\s+pass:([^\s\"']+)"), _given, b"pass:"),
    Rule(
        "PASSWORD",
        Pattern(rf"\b(?:PGPASSWORD|MYSQL_PWD|REDISCLI_AUTH|SSHPASS|RESTIC_PASSWORD|BORG_PASSPHRASE)={_ARGUMENT}"),
        _given,
        b"=",
            cues="pgpassword mysql_pwd rediscli_auth sshpass restic_password borg_passphrase",
        ),
    Rule(
        "PASSWORD",
        _any(
            r"\b(?i:net use)\s[^\n]*?/(?i:u(?:ser)?):\S+(?:[ \t]+[^\s/]+)??[ \t]+"
            r"([^\s\"'/][^\s\"']+)[ \t]*(?:/|\n|\z)",
            rf"\b(?i:net use)\s+(?:\S+\s+)?\\\\\S+\s+{_ARGUMENT}\s+/[uU]",
            rf"\b(?i:net user)\s+\S+\s+{_ARGUMENT}\s+/",
            rf"\b(?i:xfreerdp|mstsc|cmdkey|freerdp\w*|dism|wmic)\b[^\n]*?\s/(?i:p|pass|password):{_ARGUMENT}",
        ),
        _mixed,
        b"/",
            cues="net xfreerdp mstsc cmdkey freerdp dism wmic",
        ),
    Rule(
        "PASSWORD",
        _any(
            rf"\b(?i:ConvertTo-SecureString)\s+(?:-String\s+)?{_ARGUMENT}",
            r"[\"']([^\"'\n]{4,64})[\"']\s*\|\s*ConvertTo-SecureString",
        ),
        _mixed,
        b"SecureString",
    ),
    Rule(
        "PASSWORD",
        Pattern(
            r"\bhtpasswd\s+-[a-zA-Z]*b[a-zA-Z]*\s+(?:-\w+\s+)*(?:\S+\s+)?\S+\s+"
            rf"{_ARGUMENT}[ \t]*(?:[\n|;&>]|\z)"
        ),
        _given,
        b"htpasswd",
    ),
    Rule("PASSWORD", Pattern(rf"\bwpa_passphrase\s+(?:\"[^\"\n]+\"|\S+)\s+{_ARGUMENT}"), _given, b"wpa_passphrase"),
    Rule("PASSWORD", Pattern(rf"\bnmcli\s{_OPTIONS}(?:password|wifi-sec\.psk)\s+{_ARGUMENT}"), _given, b"nmcli"),
    Rule("PASSWORD", Pattern(rf"\bssh-keygen\b{_OPTIONS}-[NP]\s+{_ARGUMENT}"), _given, b"ssh-keygen"),
    Rule("PASSWORD", Pattern(rf"\bmysqladmin\b{_OPTIONS}password\s+{_ARGUMENT}"), _mixed, b"mysqladmin"),
    Rule(
        "PASSWORD",
        _any(
            rf"\bopenssl\s{_OPTIONS}(?:-k|-K|-pass)\s+{_ARGUMENT}", rf"\bopenssl passwd (?:-\S+ )*{_ARGUMENT}"
        ),
        _mixed,
        b"openssl",
    ),
    Rule(
        "PASSWORD",
        Pattern(r"\b(?:smbclient|rpcclient|net rpc|smbget)\b[^\n]*?-U\s*[\"']?[^\n\"'%]+%([^\s\"']+)"),
        _given,
        b"-U",
            cues="smbclient rpcclient net smbget",
        ),
    Rule("PASSWORD", Pattern(r"\blftp\b[^\n]*?-u\s+[\"']?[^\s,\"']+,([^\s\"']+)"), _given, b"lftp"),
    Rule("PASSWORD", Pattern(rf"\b(?:{_TOOLS})\s+(?:--\S+\s+)?{_ARGUMENT}"), _mixed, cues="poetry bw rclone wandb "
        "vault huggingface ngrok mega-login"),
    Rule("PASSWORD", Pattern(rf"(?m)^\s*(?:{_DEVICES})([^\s\"']{{4,}})"), _mixed, cues="username enable snmp radius "
        "tacacs isakmp key-string local-user password shared-key community requirepass masterauth"),
    Rule("PASSWORD", Pattern(r"(?m)^\s*user [\w.@-]+ ([!-~]+)$"), _sent, b"user "),
    Rule("PASSWORD", Pattern(r"\bsend\s+(?:--\s+)?\"([^\"\n]{4,60}?)(?:\\r|\\n|\r|\n)"), _sent, b"send"),
    Rule(
        "URL_CREDENTIALS",
        Pattern(
            rf"\b(?:curl|wget|http|https|xh)\b{_OPTIONS}(?:-u|--user|-a|--proxy-user|-U)[ =]?[\"']?"
            r"([^\s\"':]+:[^\s\"']+)"
        ),
        _login,
        b" -",
            cues="curl wget http xh",
        ),
    Rule(
        "URL_CREDENTIALS",
        Pattern(r"\becho\s+[\"']?([^\s\"':]+:[^\s\"'|]+)[\"']?\s*\|\s*(?:sudo\s+)?chpasswd"),
        _login,
        b"chpasswd",
    ),
)
