"""PASSWORD, and keys that only their name gives away: in configuration, in forms, in prose."""

from __future__ import annotations

import re

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Family, Found, Judge, Rule, sure
from agentos.redact.values import dense, generic, kinds, named, random, strong, telling, trimmed

_CLOSES = re.compile(rb"[.,;!\n\r\"')\x80-\xff]|[ \t]*(?:\n|\Z)|[ \t]+[(#]|\Z")
_DEEMED = re.compile(rb"(?:ed|ing|ly|able|ible)\Z")
_TOLD = re.compile(rb"(?:[\"'`=:\x80-\xff]|is |was |: |= )\Z")
_VAGUE = re.compile(rb"(?: to | as |ord |pw )\Z")
_ENDS = (b"", b"\n", b"\r", b",", b"}", b'"', b"'", b";", b"#")
_CELL = re.compile(rb"[|>\t][ \t\"'`*_]*\Z")
_SHORT = re.compile(rb"(?i)(?:\A|[^\w])pass[\"'`*]{0,3}[ \t]*[:=][ \t]*\Z")
_THINGS = re.findall(
    r"\w+",
    """change output input public pub cache primary foreign sort partition object row routing idempotency dedup
    map hash hot short file bucket lookup group order node column index registry host known fingerprint
    license licence product site image asset
    artifact content version build checksum gpg pgp dkim verify etag trace request message event
    shard lock dataset translation issue project jira natural surrogate unique partial state sub page next start
    last resume continuation marker cursor layer commit tree join bos eos pad unk mask sep cls special""",
)
_OTHER = Pattern(
    rf"(?:(?:\A|[^A-Za-z0-9])(?i:{'|'.join(_THINGS)})|[a-z](?:{'|'.join(map(str.title, _THINGS))}))"
    r"[_.-]?(?i:key|token)s?[\"'`]?\s*[:=][ \t]*[\"'`]?\z"
)
"""Keys that lock nothing."""


def _assigned(secret: bool) -> Judge:
    """`NAME=value`, `name: "value"`, `<name>value</name>`, `| name | value |`."""

    def judge(data: bytes, start: int, end: int) -> Found:
        before = data[max(0, start - 40) : start]
        if _CELL.search(before):
            stop = trimmed(data, start, end)
            value = data[start:stop]
            element = data[end : end + 2] == b"</" and value.islower() and len(value) > 4 and not generic(value)
            if secret:
                return (start, stop, 0.85) if random(value, 12) and not generic(value) else None
            return (start, stop, 0.8) if strong(value) or (telling(value) and kinds(value) > 2) or element else None
        ends = data[end : end + 1] in _ENDS or data[end : end + 2] in (b" #", b". ", b" ;", b" \n", b" \\", b" }")
        last = data[start - 1 : start]
        found = named(data, start, end, word=last in (b"=", b'"', b"'", b"`") or ends, secret=secret)
        if found is not None and secret and _OTHER.within(before):
            return None
        counted = found is not None and end - start < 6 and data[start:end].isdigit() and _SHORT.search(before)
        return None if counted and not secret else found

    return judge


def _keyed(data: bytes, start: int, end: int) -> Found:
    """`ANY_KEY=value`."""
    stop = end if data[start - 1 : start] in (b'"', b"'", b"`") else trimmed(data, start, end)
    told = dense(data[start:stop], 16) and not _OTHER.within(data[max(0, start - 40) : start])
    return (start, stop, 0.8) if told else None


def _prose(data: bytes, start: int, end: int) -> Found:
    """`the password is value.`"""
    stop = trimmed(data, start, end)
    value = data[start:stop]
    titled = value.istitle() and not data[max(0, start - 5) : start].endswith((b" is ", b" was "))
    vague = _VAGUE.search(data, max(0, start - 4), start) or _DEEMED.search(value) or titled
    return named(data, start, end, word=_CLOSES.match(data, stop) is not None and not vague, secret=False)


def _strong(data: bytes, start: int, end: int) -> Found:
    """As `_prose`, where the words before say less."""
    stop = end if data[start - 1 : start] in (b'"', b"'", b"`") else trimmed(data, start, end)
    value = data[start:stop]
    return (start, stop, 0.75) if strong(value) and value[:1] not in b"/-" else None


def _alone(data: bytes, start: int, end: int) -> Found:
    """A line of its own, after the line that names it."""
    value = data[start:end]
    return (start, end, 0.75) if strong(value) and kinds(value) > 2 and value[-1:] not in b":{[" else None


def _token(data: bytes, start: int, end: int) -> Found:
    """`the token is value`; where nothing but a space stands between, only what is random beyond doubt."""
    found = named(data, start, end, word=False, secret=True)
    if found is not None and _OTHER.within(data[max(0, start - 40) : start]):
        return None
    if found is None or _TOLD.search(data, max(0, start - 4), start):
        return found
    value = data[start : found[1]]
    return found if random(value, 16) and len(re.findall(rb"\d", value)) > 2 else None


def _paired(data: bytes, start: int, end: int) -> Found:
    """`name / value`, after a word that says so."""
    stop = trimmed(data, start, end)
    value = data[start:stop]
    linked = b"://" in data[max(0, start - 60) : start] or re.search(rb"/|\A[~|]|\A[A-Za-z_]\w*=", value)
    return (start, stop, 0.75) if strong(value) and not linked else None


def _slashed(data: bytes, start: int, end: int) -> Found:
    """`root/value`, which may be a path."""
    found = _paired(data, start, end)
    mixed = found and re.search(rb"[!@#$%^&*+=~?]|[A-Z].*[a-z].*\d|\d.*[A-Z].*[a-z]", data[start : found[1]])
    return found if mixed else None


def _quoted(data: bytes, start: int, end: int) -> Found:
    """`root on the box is "value"`."""
    value = data[start:end]
    return (start, end, 0.8) if len(value) > 5 and telling(value) and kinds(value) > 2 else None


def _spaced(data: bytes, start: int, end: int) -> Found:
    """`Password=some words;` between other parameters, and a phrase after its name."""
    value = data[start:end]
    return (start, end, 0.8) if re.search(rb"[ ,]", value) and not generic(value) and b"=" not in value else None


def _phrase(data: bytes, start: int, end: int) -> Found:
    words = data[start:end].split()
    common = {b"the", b"is", b"are", b"must", b"for", b"your", b"be", b"to", b"not", b"with", b"of", b"required", b"no"}
    return None if common & {*words} else (start, end, 0.7)


PASS = (
    r"(?:pass[ _-]?words?|passwd|pwd|pass[ _-]?phrase|pass[ _-]?code|passw|pswd|passwort|kennwort|(?:wpa_?)?psk|"
    r"pre-?shared[ _-]?key|wifi[_ -]?key|(?:store|key)pass)"
)
_OWNERS = (
    r"(?:db|user|root|admin|smtp|mail|ftp|redis|my|pg|postgres|sql|ssh|wifi|login|auth|proxy|sudo|api|app|mq|mongo|"
    r"ldap|"
    r"vpn|sa)"
)
_CODES = (
    r"(?:密码|口令|密碼|提取码|访问码|授权码|备用码|恢复码|门禁码|开门码|解锁码|开锁码|开机码|通行码|解压码|登录码|"
    r"入会码|"
    r"救援码|(?:预共享)?密匙|预共享密钥|暗号|验证码)"
)
SECRETS = (
    r"(?:(?:api|access|secret|private|auth|account|encryption|signing|secret[ _-]?access|shared[ _-]?access)[ _-]?"
    r"keys?|access[ _-]?key[ _-]?(?:secret|id)|(?:client[ _-]?|app[ _-]?|webhook[ _-]?)?secrets?|token|密钥|秘钥|"
    r"令牌|私钥|(?:\b|_)[as]k\b|authtoken|jwt|credential|client-key-data|secret[_-]?key[_-]?base|dockerconfigjson|"
    r"_pat\b|_sas\b|_auth\b)"
)
_KEYS = (
    r"(?:[\w-]key|JsCode|"
    r"(?:api|app|master|service|map|maps|weather|openai|claude|deepseek|moonshot|kimi|gemini|google|amap|datadog|"
    r"qwen|my|"
    r"高德|百度|腾讯|阿里|谷歌|和风|天气|地图|智谱|豆包|火山|讯飞|我的|你的|这个|新的?|公司的?|测试|正式|生产|接口|"
    r"模型|百炼|千问)"
    r"[ _-]?的? ?key)"
)
_MORE = (
    r"(?:[_-]?\d{1,2}|_(?:prod(?:uction)?|dev|test|stag(?:e|ing)|uat|new|old|main|master|slave|primary|replica|"
    r"r[ow]|read|"
    r"write|admin|root|b(?:ase)?64|plain|default|confirm(?:ation)?|again|current))?"
)
_SET = r"(?: (?:issued|assigned|generated|given|created|set|sent|reset))?"
_REMARK = r"(?:[ \t]?[(（\[【][^()（）\[\]【】\n]{1,24}[)）\]】])?"
_IS = (
    r"(?:[\"'*_`]*\]?[ \t]*" + _REMARK + r"[*_]*\s*(?::=|::|=>|->|→|:|==?|：)[*_]*[ \t]*|[*_`]*[ \t]*[|\t][ \t*_]*|"
    r"[\"']?[\s,]+[\"']?(?:value|val|default|content)[\"']?\s?[:=][ \t]*)"
)
"""What stands between a name and its value in files, forms and tables."""
_TAG = r"[\"']?(?: [^<>\n]{0,24})?(?:</\w+>\s*<\w+[^<>\n]{0,16})?>(?:\s*<[vV]alue>)?"
_DEFAULT = r"\"\s?\{[^{}]{0,80}?\bdefault\s*=\s?"
_SETS = Pattern(r"(?i)\bdefault\s*=")
_CHINESE = (
    r"[ \t]*(?:已经?|被|现在|重新|统一|都|还|仍|暂时|先|应该)*(?:设为|设置为|设成|设置成|改成|改为|换成|变成|重置为|"
    r"更新为|调整为|就是|用的是|用|填|输入?|发你|给你|是|为|叫)[ \t]*[：:]?[ \t]*"
)
_LINK = rf"(?:{_CHINESE}|[ \t]*——?[ \t]*|[ \t]+)"
"""What stands there in a sentence."""
_PARTICLES = (
    "已经被现在重新设置成改为换更就是用的应该叫统一都还仍暂时先填输入敲发给你您我这里如下变调整默认初始临全小大写字母数了后来今天昨刚才"
)
_LOOSE = rf"[{_PARTICLES}，（][{_PARTICLES}，,：: \t（）()→>—-]{{0,9}}"
VALUE = (
    r"(?:\"([^\"\n]+)\"|'([^'\n]+)'|`([^`\n]+)`|“([^”\n]+)”|「([^」\n]+)」|"
    r"([^\s\"'`,;，。；、！？“”「」（）<>\x{3000}-\x{10ffff}]+))"
)
_NAMES = r"(?:root|admin|administrator|sa|sysdba|postgres|ubuntu|oracle|guest|operator|deploy)"
NAMED = Family(
    Pattern(
        r"(?i)pass|pw|pswd|kennwort|psk|pre-?shared|wifi[_ -]?key|密|口令|码|暗号|mnemonic|phrase|助记词|ssid"
    ),
    (
        Rule(
            "PASSWORD",
            Pattern(
                rf"(?i)(?:{PASS}|\b(?:\w*{_OWNERS}_?)?pass|\w[_.-]pass|\w+_pw|\bpw|{_CODES}){_MORE}{_SET}{_IS}{VALUE}"
            ),
            _assigned(False),
        ),
        Rule("PASSWORD", Pattern(rf"(?i)(?:{PASS}|{_CODES}){_MORE}{_TAG}{VALUE}"), _assigned(False), b"<"),
        Rule("PASSWORD", Pattern(rf"(?i){PASS}{_MORE}{_DEFAULT}{VALUE}"), _assigned(False), b"default", gate=_SETS),
        Rule(
            "PASSWORD",
            Pattern(rf"(?i)(?:{PASS}|{_CODES})[\"']?[ \t]*[:：][ \t]*\r?\n[ \t>]*([!-~]+)[ \t]*(?:\r?\n|\z)"),
            _alone,
            b"\n",
        ),
        Rule(
            "PASSWORD",
            Pattern(rf"(?i)\bssid\b[^\n]{{1,40}}?[^\w](?:key|pass|psk|pw|pwd)[\"']?[ \t]*[:=]?[ \t]*{VALUE}"), _strong,
            cues="ssid",
        ),
        Rule("PASSWORD", Pattern(rf"{_CODES}{_REMARK}{_LINK}{VALUE}|(?:密码|口令|"
                                 rf"密碼)([A-Za-z0-9][!-~]+)"), _prose, cues="码 口令 密碼 密匙 密钥 暗号"),
        Rule(
            "PASSWORD",
            Pattern(
                rf"(?i)\b(?:{PASS}|pw)\b(?: (?:for|of|on|to|at) [^\n:]{{1,30}}?:|"
                rf"(?: (?:for|of|on|to|at) [^\n:]{{1,30}}?)?{_REMARK}"
                r"(?: is(?: now| still| currently)?| was| will be| to| as| from(?: \S+ to)?|'s| -))"
                rf"(?: now)?:? {VALUE}"
            ),
            _prose,
        ),
        Rule("PASSWORD", Pattern(rf"(?i)\b(?:(?:{PASS}|pw){_CHINESE}{VALUE}|{PASS} from {VALUE} to\b)"), _prose),
        Rule(
            "PASSWORD",
            Pattern(
                r"(?i)(?:define|setProperty|putenv|setenv|put|set|property|header|env)\("
                rf"\s*[\"'][\w.-]*(?:{PASS}|(?:\b|_)pass|_pw)[\"'],\s*{VALUE}"
            ),
            _assigned(False),
            b"(",
            cues="define setproperty put setenv set property header env",
        ),
        Rule("PASSWORD", Pattern(rf"(?i)#define\s+\w*(?:{PASS}|"
                                 rf"_PASS)\s+{VALUE}"), _assigned(False), b"#", cues="#define"),
        Rule(
            "PASSWORD",
            Pattern(
                r"(?:[Aa]pp(?:-specific)?[ -]?[Pp]ass(?:word|code)|专用密码|授权码)[^\n]{0,24}?[:：是 ][ \t]?[\"'`]?"
                r"((?:[a-z]{4}[ -]){3}[a-z]{4}|[a-z]{16})\b"
            ),
            sure(0.85),
            cues="app 专用 授权",
        ),
        Rule("PASSWORD", Pattern(rf"{_CODES}{_LOOSE}{VALUE}"), _strong, cues="码 口令 密碼 密匙 密钥 暗号"),
        Rule(
            "PASSWORD",
            Pattern(
                rf"(?i)\bpass(?: (?:for|of|on|to|at) [^\n:]{{1,30}}?)?(?: is(?: now| still)?| was|'s|:| -)? {VALUE}|"
                rf"\b(?:{PASS}|pw)[ \t]{VALUE}"
            ),
            _strong,
        ),
        Rule(
            "PASSWORD",
            Pattern(rf"(?i)(?:\b(?:the|with|using|and|use|try)|[,;/，；])[ \t]*(?:{PASS}|pw)[ \t]{VALUE}"),
            _prose,
        ),
        Rule(
            "PASSWORD",
            Pattern(
                r"(?i)[;\"'{(][ \t]*(?:password|pwd)[ \t]*=[ \t]*([^;\"'\n={}()]{4,48}[^;\"'\n={}() ])[ \t]*[;\"'})]"
            ),
            _spaced,
        ),
        Rule(
            "PASSWORD",
            Pattern(
                r"(?i)\b(?:pass ?phrase|recovery phrase|seed phrase|mnemonic|助记词)(?: is|[ \t]*[:=：是])[ \t]*[\"']?"
                r"((?:[a-z][a-z'-]{1,15}[ -]){2,24}[a-z][a-z'-]{1,15}\d{0,4})[\"']?[ \t]*(?:[.;\n]|\z)"
            ),
            _phrase,
            cues="phrase mnemonic 助记词",
        ),
    ),
)
KEYS = Family(
    Pattern(
        r"(?i)key|secret|token|密钥|秘钥|令牌|私钥|(?:\b|_)[as]k\b|jwt|credential|dockerconfig|_pat\b|_sas\b|"
        r"_auth\b|jscode"
    ),
    (
        Rule("API_KEY", Pattern(rf"(?i){SECRETS}{_MORE}{_IS}{VALUE}"), _assigned(True)),
        Rule("API_KEY", Pattern(rf"(?i){SECRETS}{_MORE}{_TAG}{VALUE}"), _assigned(True), b"<"),
        Rule("API_KEY", Pattern(rf"(?i){SECRETS}{_MORE}{_DEFAULT}{VALUE}"), _assigned(True), b"default", gate=_SETS),
        Rule("API_KEY", Pattern(r"(?i)[\"']key[\"']\s?(?::|=>)\s?[\"']([\w.~+/=-]{20,})[\"']"), _keyed),
        Rule("API_KEY", Pattern(rf"(?i){_KEYS}{_MORE}(?:{_IS}|{_LINK}| is ){VALUE}"), _keyed),
        Rule(
            "API_KEY",
            Pattern(
                rf"(?i){SECRETS}(?: (?:for|of|on|to|in) [^\n:=]{{1,30}}?(?: is | was |: ?| = )|"
                rf"{_REMARK}(?: is(?: now)? | was | to |{_LINK})){VALUE}"
            ),
            _token,
        ),
    ),
)
LOGINS = Family(
    Pattern(
        rf"(?i)账|帐|用户名|用|login|cred|log ?in|sign ?in|user|account|\b{_NAMES}\b"
    ),
    (
        Rule(
            "PASSWORD",
            Pattern(
                r"(?i)(?:(?:账号密码|用户名密码|账密|账号|帐号|账户|用户名|用)[ :：是为]*|"
                r"\b(?:login|log ?in (?:with|as)|sign ?in (?:with|as)|user|user/pass(?:word)?|username/password|"
                r"account|(?:credentials?|creds)(?: (?:for|to|on|of) [^\n:]{1,24}?)?)(?: is| are|:|：)?[ :：=–-]+)"
                rf"[`\"']?[a-z][\w.@-]{{1,31}}[`\"']? ?(?:[/|:：,，]| and | with ) ?{VALUE}"
            ),
            _paired,
        ),
        Rule("PASSWORD", Pattern(rf"(?i)\b{_NAMES} ?/ ?{VALUE}"), _slashed),
        Rule(
            "PASSWORD",
            Pattern(
                rf"(?i)\b{_NAMES}\b(?: (?:on|at|for|of|@) [^\n\"'`]{{1,40}}?)?(?: is| was| =|:|：| ->|[ 的]?是)[ \t]?"
                r"(?:\"([^\"\s]+)\"|'([^'\s]+)'|`([^`\s]+)`|“([^”\s]+)”)"
            ),
            _quoted,
        ),
    ),
)
