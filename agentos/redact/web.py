"""Secrets in what browsers and servers exchange (links, headers, cookies), and in dotfiles."""

from __future__ import annotations

import base64
import re

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Rule
from agentos.redact.values import dense, generic, kinds, random, strong, trimmed

_SCHEME = re.compile(rb"(?i)[a-z][\w-]{1,30}(?:[ :=]+|\Z)")
_PORT = re.compile(rb"\d{1,5}(?:[/?#]|\Z)")
_METHOD = re.compile(rb"[\w-]*(?:HMAC|SHA)[\w-]*")
_SHOWN = re.compile(rb"(?i)[$<{(*]|\A(?:your|my|the|xxx)")


def _parameter(data: bytes, start: int, end: int) -> Found:
    """What a link is signed with, or lets in who has it."""
    value = data[start:end].rstrip(b".,;:!?)")
    return (start, start + len(value), 0.9) if random(value, 10) and not generic(value) else None


def _code(data: bytes, start: int, end: int) -> Found:
    """As `_parameter`, under names that other things bear too."""
    value = data[start:end].rstrip(b".,;:!?)")
    return (start, start + len(value), 0.85) if dense(value, 14) else None


def _authorization(data: bytes, start: int, end: int) -> Found:
    """What comes after the scheme, or all of it."""
    scheme = _SCHEME.match(data, start, end)
    first = scheme.end() if scheme is not None and scheme.end() < end else start
    value = data[first:end].rstrip(b".,;:\"')}\\")
    told = len(value) > 5 and re.search(rb"[A-Za-z]", value) and not (_SHOWN.search(value) or _METHOD.fullmatch(value))
    mixed = re.search(rb"\d", value) is not None or len(value) > (15 if first > start else 31)
    return (first, first + len(value), 0.9) if told and mixed else None


def _cookie(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    return (start, end, 0.85) if random(value, 10) and not generic(value) else None


def _encoded(data: bytes, start: int, end: int) -> Found:
    """`name:password` in Base64, or what no person wrote."""
    value = data[start:end]
    if dense(value, 20):
        return start, end, 0.85
    try:
        plain = base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except ValueError:
        return None
    return (start, end, 0.95) if re.fullmatch(rb"[!-~]+:[ -~]+", plain) else None


def _secret(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    return None if generic(value) or len(value) < 4 else (start, end, 0.9)


def _last(data: bytes, start: int, end: int) -> Found:
    """The last of the fields of a line that gives a host, a port and a user before it."""
    value = data[start:end]
    return (start, end, 0.9) if not generic(value) and (kinds(value) > 1 or len(value) > 5) else None


def _userinfo(data: bytes, start: int, end: int) -> Found:
    """`user:pa/ss#word`, whose password has in it what ends one elsewhere."""
    password = data[start:end].partition(b":")[2]
    return None if _PORT.match(password) or _SHOWN.match(password) or len(password) > 80 else (start, end, 0.85)


def _keyed(data: bytes, start: int, end: int) -> Found:
    """A key in the place of a user."""
    value = data[start:end]
    told = len(value) > 13 and random(value, 14) and (kinds(value) > 2 or re.fullmatch(rb"[0-9a-f]+", value))
    return (start, end, 0.85) if told and not generic(value) else None


def _bare(data: bytes, start: int, end: int) -> Found:
    """`user:pass!word@host.name`, which no address of mail is."""
    user, _, password = data[start:end].partition(b":")
    return (start, end, 0.8) if re.search(rb"[!#$^&*~?=]", password) and strong(password) and user else None


def _tail(data: bytes, start: int, end: int) -> Found:
    """`user/password@host`."""
    stop = trimmed(data, start, end)
    return (start, stop, 0.85) if not generic(data[start:stop]) and kinds(data[start:stop]) > 1 else None


_SIGNED = (
    r"(?:x-amz-signature|x-amz-security-token|x-goog-signature|x-oss-signature|x-cos-security-token|q-signature|"
    r"signature|"
    r"sig|sign|token|access_token|refresh_token|id_token|auth_token|auth_key|authkey|authtoken|auth|api_?key|apikey|"
    r"appkey|"
    r"secret|client_secret|jwt|ticket|sid|session(?:_?id)?|jsessionid|phpsessid|reset_password_token|"
    r"confirmation_token|"
    r"invitation_token|password_reset_key|reset_?token|login_token|magic|otp|oobcode|hmac|wssecret|txsecret|sharekey|"
    r"xsec_token|sessdata|pass_?ticket|key-pair-id|policy|hdnts|sv_sig|exchange_token|x-amz-credential|"
    r"subscription-key|skey)"
)
_NAMED = r"(?:code|key|k|t|p|s|hash|nonce|state|invite|verify|uuid|link|data|payload|enc|credential|auth_?code)"
_SESSION = (
    r"(?:[\w.-]*sess(?:ion)?(?:[_-]?id|data|_key)?|[\w.-]*\bsid|\w*_sid|connect\.sid|[\w.-]*(?:token|jwt|auth|csrf|"
    r"xsrf)\w*|"
    r"j_?session_?id|phpsessid|asp\.net_\w+|remember[\w-]*|bduss|stoken|z_c0|bili_jct|sso\w*|\.aspxauth|sb-[\w-]+|"
    r"login\w*|"
    r"ticket|passport\w*|cf_clearance|_?identity|user_?key|tgc|castgc|grafana_\w+|li_at|xs|sapisid|hsid|ssid|wt2|skey|"
    r"p_skey|uin_skey|access|refresh|bearer|apikey|secure_\w+|__Secure-[\w-]+|__Host-[\w-]+)"
)
_HOST = r"[A-Za-z0-9_\[][\w.-]*"
RULES = (
    Rule("API_KEY", Pattern(rf"(?i)[?&#;]{_SIGNED}=([^\s&\"'<>#;，。）\])|"
                            rf"]{{8,}})"), _parameter, b"=", cues="sig token auth key secret jwt ticket sid sess "
                                "magic otp oobcode hmac policy hdnts credential exchange"),
    Rule("API_KEY", Pattern(rf"(?i)[?&]{_NAMED}=([^\s&\"'<>#;，。）\])|]{{14,}})"), _code, b"="),
    Rule(
        "API_KEY",
        Pattern(
            r"(?i)://[^\s\"'<>]*?/(?:reset|reset-?password|password[-_/]?reset|recover|verify|verification|confirm|"
            r"activate|"
            r"activation|invite|invitation|magic|magic-?link|join|unlock|onboard|auth|login|token|share|webhooks?|"
            r"hooks?|"
            r"bot|unsubscribe|accept)[/-](?:[\w-]{1,20}/)?([\w.~-]{20,})"
        ),
        _code,
        b"://",
            cues="reset password recover verif confirm activat invit magic join unlock onboard auth login token "
                 "share hook bot unsubscribe accept",
        ),
    Rule(
        "API_KEY",
        Pattern(
            r"(?i)\b(?:proxy-|x-)?authorization[\"'`]?(?:\s*[:=,]|\s+to|\s+header(?: is|:))\s*[\"'`]?"
            r"((?:[A-Za-z][\w-]{1,30}[ :=]\s*)?[\"']?[\w.~+/=:%|-]{6,})"
        ),
        _authorization,
            cues="authorization",
        ),
    Rule(
        "API_KEY",
        Pattern(r"(?i)\b(?:x-[\w-]*(?:key|token|secret|signature|sign|auth)|private-token|job-token|deploy-token|"
                r"circle-token|ocp-apim-subscription-key|dd-api-key|dd-application-key|apikey|api-key|"
                r"x-goog-api-key)[\"']?\s*[:=]\s*[\"']?([\w.~+/=:%|-]{10,})"),
        _parameter,
            cues="x- private-token job-token deploy-token circle-token apim dd-api dd-application apikey api-key goog",
        ),
    Rule(
        "API_KEY",
        Pattern(r"(?i)\b(?:signature|oauth_token|oauth_signature|response|cnonce)=\"?([\w+/=%-]{27,})"),
        _parameter,
        b"=",
            cues="signature oauth_token response cnonce",
        ),
    Rule(
        "API_KEY",
        Pattern(
            r"(?i)(?:;[ \t]*|ookie[\w.]*[\"']?\s*[:=(,]\s*[({]?[\"']?|\s-b\s+[\"']?|--cookie[ =][\"']?)"
            rf"{_SESSION}[\"']?\s?[=:]\s?[\"']?([^\s;,\"'<>]{{10,}})"
        ),
        _cookie,
            cues="ookie session sid token auth ticket bduss passport",
        ),
    Rule(
        "API_KEY",
        Pattern(
            r"(?i)\b(?:jsessionid(?:[._]\w+)?|phpsessid|asp\.net_sessionid|connect\.sid|laravel_session|ci_session|"
            r"_?\w{1,20}_session(?:_?id)?|session_?(?:id|token|key)|sessdata|bduss|xsrf-token|csrf_?token|remember_\w+|"
            r"_gitlab_session|user_session|\.aspxauth|grafana_session|wordpress_logged_in_\w+|sid|z_c0)=\"?"
            r"([\w.~+/%|:-]{10,}=*)"
        ),
        _cookie,
        b"=",
            cues="sess sid bduss token remember aspxauth wordpress z_c0",
        ),
    Rule(
        "API_KEY",
        Pattern(r"(?i)(?:\b|_)auth[\"']?\s{0,4}[:=]\s{0,4}[\"']?([A-Za-z0-9+/]{8,}={0,2})"),
        _encoded,
            cues="auth",
        ),
    Rule(
        "PASSWORD",
        Pattern(r"(?m)^[^\s:#/]+:(?:\d{2,5}|\*):[^\s:\d][^\s:]*:[^\s:]+:([^\s:]\S{3,})$"),
        _last,
        b":",
    ),
    Rule("URL_CREDENTIALS", Pattern(r"\b(?:\d{1,3}\.){3}\d{1,3}:\d{2,5}:([\w.-]+:[^\s:\"',]{4,})"), _last, b":"),
    Rule("PASSWORD", Pattern(r"WIFI:[^\n]{0,80}?;P:([^;\n]{4,64})"), _secret, b"WIFI:"),
    Rule(
        "URL_CREDENTIALS",
        Pattern(rf"(?i)\b[a-z][a-z0-9+.-]{{1,30}}://([^\s/:\"'<>@]*:[^\s\"'<>]*[/#?@][^\s\"'<>]*)@{_HOST}"),
        _userinfo,
        b"://",
        gate=Pattern(r"(?i)://[^\s/:\"'<>@]*:[^\s\"'<>]*@"),
    ),
    Rule(
        "URL_CREDENTIALS",
        Pattern(rf"(?i)\b[a-z][a-z0-9+.-]{{1,30}}://([\w.~%+-]{{14,}}):?@{_HOST}"),
        _keyed,
        b"://",
        gate=Pattern(r"(?i)://[\w.~%+-]{14,}:?@"),
    ),
    Rule(
        "URL_CREDENTIALS",
        Pattern(rf"(?:^|[\s\"'`=：，])([A-Za-z][\w.-]*:[^\s:/@\"'<>`]{{6,}})@{_HOST}\.\w"),
        _bare,
        b"@",
    ),
    Rule(
        "PASSWORD",
        Pattern(
            r"(?i)\b(?:(?:sqlplus|sqlldr|impdp|expdp|rman)\s|(?:cx_Oracle|oracledb)\.connect\(|userid=)"
            r"[^\n]{0,40}?(?:[\s\"'=]|\b)\w+/\"?([^\s\"'@/()]+)\"?(?:@|\s|[\"']|\z)"
        ),
        _tail,
            cues="sqlplus sqlldr impdp expdp rman oracle userid",
        ),
)
