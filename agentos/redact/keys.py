"""API_KEY by shape: keys of known services, tokens of HTTP, private keys."""

from __future__ import annotations

import re

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Judge, Rule, sure

_SHAPES = (
    r"(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ABIA|ACCA)[A-Z0-9]{16}",
    r"ABSK[A-Za-z0-9+/]{40,}={0,2}",
    r"(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[A-Za-z0-9+/=%]{20,}",
    r"AIza[\w-]{30,40}",
    r"ya29\.[\w-]{20,}",
    r"GOCSPX-[\w-]{16,}",
    r"LTAI[A-Za-z0-9]{12,24}",
    r"AKID[A-Za-z0-9]{20,36}",
    r"AK(?:LT|TP)[A-Za-z0-9]{20,}={0,2}",
    r"(?:bce-v3/)?ALTAK-?[A-Za-z0-9]{20,}(?:/[0-9a-f]{32,})?",
    r"JDC_[A-Z0-9]{24,}",
    r"do[opr]_v1_[a-f0-9]{40,}",
    r"dapi[0-9a-f]{32}",
    r"(?:HRKU-[\w-]{30,}|SCW[A-Z0-9]{17}\b)",
    r"gh[pousr]_[A-Za-z0-9]{20,}",
    r"github_pat_[A-Za-z0-9_]{20,}",
    r"gl(?:pat|dt|rt|rtr|ptt|cbt|soat|oas|ft|ffct|imt|agent|wt)-[\w.-]{16,}",
    r"GR1348941[\w-]{16,}",
    r"npm_[A-Za-z0-9]{30,}",
    r"pypi-[\w-]{30,}",
    r"(?:rubygems|CLOJARS|CCIPAT|bkua|sq[upa]|nfp|vc[pkrai]|pul|fo1|squ|dckr_oat|JFrog|pscale_(?:tkn|pw|"
    r"oauth))[_-][\w-]{30,}",
    r"oy2[a-z0-9]{43}",
    r"AKCp[A-Za-z0-9]{60,}",
    r"cmVmdGtu[A-Za-z0-9]{40,}",
    r"AT(?:ATT3|CTT3|STT3|BB)[\w=-]{20,}",
    r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}",
    r"xapp-\d-[A-Za-z0-9-]{10,}",
    r"hooks\.slack\.com/(?:services|workflows|triggers)/T?[A-Z0-9]+/[A-Z0-9]+/[A-Za-z0-9/]{16,}",
    r"SG\.[\w-]{12,}\.[\w-]{12,}",
    r"key-[0-9a-f]{32}",
    r"(?:SK|AC)[0-9a-f]{32}",
    r"x(?:keys|smtps)ib-[a-f0-9]{40,}-[A-Za-z0-9]{10,}",
    r"re_[A-Za-z0-9]{6,}_[A-Za-z0-9]{16,}",
    r"SEC[0-9a-f]{64}",
    r"SCT\d{2,8}T[A-Za-z0-9]{16,}",
    r"EAA[A-Z][A-Za-z0-9]{30,}",
    r"hf_[A-Za-z0-9]{20,}",
    r"api_org_[A-Za-z0-9]{20,}",
    r"(?:pcsk|rpa|KGAT|tgp_v1|esecret|secret)_[A-Za-z0-9_]{30,}",
    r"(?:[ps]at_[A-Za-z0-9]{40,}|app-[A-Za-z0-9]{24}\b|fc-[0-9a-f]{32}|ms-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})",
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}",
    r"sk_[a-f0-9]{40,}",
    r"whsec_[A-Za-z0-9+/=]{16,}",
    r"shp(?:at|ca|pa|ss|ua)_[a-fA-F0-9]{32}",
    r"sq0[a-z]{3}-[\w-]{20,}",
    r"EAAA[\w-]{50,}",
    r"(?:rzp|duffel|shippo|paddle)_(?:live|test|sdbx)_[\w-]{14,}",
    r"access-(?:sandbox|development|production)-[0-9a-f-]{36}",
    r"(?:gsk|tvly|r8|pplx|xai|fw|csk|nvapi|lin_api|lin_oauth|ntn|glsa|glc|hvs|hvb|hvr|sbp|sb_secret|sntrys|sntryu|figd|"
    r"dckr_pat|rnd|PMAK|tskey-\w+|jina|lsv2_pt|lsv2_sk|wandb_v1|e2b|phc|phx|napi|hcaik|tfp|rdme|pnu|CFPAT|dp\.\w{2,5}|"
    r"ops_eyJ)[_.-][\w.=-]*[A-Za-z0-9=]{18,}",
    r"pat[A-Za-z0-9]{14}\.[a-f0-9]{40,}",
    r"pat-[a-z]{2}\d-[0-9a-f-]{36}",
    r"dt0[cs]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{40,}",
    r"NR(?:AK|JS|II|AL|RA)-[A-Za-z0-9]{20,}",
    r"(?:sdk|mob)-[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}",
    r"eyJ[\w-]{6,}\.(?:[\w-]{8,}|\.[\w-]{8,})(?:\.[\w-]*){0,3}",
    r"AGE-SECRET-KEY-1[A-Z0-9]{40,}",
    r"b3BlbnNzaC1rZXktdjEA[A-Za-z0-9+/=]{20,}",
    r"LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0EgUFJJVkFUR|BFQyBQUklWQVRF|BPUEVOU1NIIFBSSVZBVE|"
    r"BFTkNSWVBURUQg)[A-Za-z0-9+/=]{20,}",
    r"MII[A-Z][A-Za-z0-9+/]{2}IBA(?:AKB|AKC|DANBg)[A-Za-z0-9+/=]{40,}",
)
_HEADLESS = (
    r"(?:bot)?(\d{8,10}:A[A-Za-z][\w-]{32,34})",
    r"[MNO][\w-]{22,27}\.[\w-]{6,7}\.[\w-]{26,}",
    r"[0-9a-f]{32}-us\d{1,2}",
    r"[0-9a-f]{32}\.[A-Za-z0-9]{16}\b",
)
"""What begins with no letters of its own."""
SHAPES = rf"(?:{'|'.join((*_SHAPES, *_HEADLESS))}|sk-[A-Za-z0-9_-]{{16,}})"
"""All that is a key by its shape alone."""
_MEMORY = 32 << 20
"""Bytes for the automaton of very many shapes."""
_HOOKS = (
    r"(?:qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key=|(?:feishu\.cn|larksuite\.com)/open-apis/bot/(?:v2/)?hook/|"
    r"discord(?:app)?\.com/api/webhooks/\d+/|webhook\.office\.com/webhookb2/|(?:open\.)?(?:feishu|larksuite)\.\w+/"
    r"(?:flow/api/trigger-webhook|base/automation/webhook/event)/|api\.day\.app/|sctapi\.ftqq\.com/|"
    r"chat\.googleapis\.com/v1/spaces/\w+/messages\?key=|hooks\.zapier\.com/hooks/catch/|maker\.ifttt\.com/trigger/"
    r"\w+/with/key/|hook\.(?:eu|us)\d\.make\.com/|pushplus\.plus/send\?token=|ntfy\.sh/|hc-ping\.com/)"
)
_OPENAI = r"sk-[A-Za-z0-9_-]{16,}"
_PEM = r"PRIVATE KEY(?: BLOCK)? ?-{4,5}"
_BODY = re.compile(rb"KEY(?: BLOCK)? ?-{4,5}(?s:.*?)(?:[A-Za-z0-9+/=]{16}|: [^\n]*\n|[.\xe2]{2,})")


def _mixed(least: int) -> Judge:
    """Letters and digits, enough of both that no word looks like it."""

    def judge(data: bytes, start: int, end: int) -> Found:
        value = data[start:end]
        longest = max(re.split(rb"[-_.]", value), key=len)
        if len(longest) < 12 or not re.search(rb"[A-Za-z]", value):
            return None
        cased = len(longest) > 19 and (longest.isupper() or not (longest.islower() or longest.istitle()))
        return (start, end, 0.97) if cased or len(re.findall(rb"\d", value)) >= least else None

    return judge


def _bearer(data: bytes, start: int, end: int) -> Found:
    value = data[start:end].rstrip(b".,;:")
    if re.search(rb"[$<{(*]", value) or not re.search(rb"[A-Za-z]", value):
        return None
    if not re.search(rb"\d", value) and (len(value) < 32 or value.islower()):
        return None
    return start, start + len(value), 0.9


def _hook(data: bytes, start: int, end: int) -> Found:
    value = data[start:end]
    return (start, end, 0.97) if re.search(rb"\d", value) and re.search(rb"[A-Za-z]", value) else None


def _pem(data: bytes, start: int, end: int) -> Found:
    """A first line alone is none, unless more may be to come."""
    held = _BODY.search(data, start, min(end, start + 400)) is not None
    return (start, end, 0.99) if held or not data[end : end + 80].strip(b" \t\r\n\\\"'`>|+,") else None


RULES = (
    Rule("API_KEY", Pattern(rf"\b(?:{'|'.join(_SHAPES)})", memory=_MEMORY), _mixed(1)),
    Rule("API_KEY", Pattern(rf"\b(?:{'|'.join(_HEADLESS)})", memory=_MEMORY), _mixed(1)),
    Rule("API_KEY", Pattern(rf"\b{_OPENAI}"), _mixed(2), b"sk-"),
    Rule("API_KEY", Pattern(rf"\b{_HOOKS}([\w@/-]{{16,}})"), _hook, cues="weixin feishu larksuite discord webhook "
        "day.app ftqq googleapis zapier ifttt make.com pushplus ntfy hc-ping"),
    Rule("API_KEY", Pattern(r"\dQ~[\w.~-]{31,34}"), sure(0.95), b"Q~"),
    Rule("API_KEY", Pattern(r"\batlasv1\.[\w-]{50,}"), sure(0.97), b"atlasv1"),
    Rule("API_KEY", Pattern(r"[A-Za-z0-9]{10,}JQQJ99[A-Za-z0-9]{20,}"), sure(0.97), b"JQQJ99"),
    Rule("API_KEY", Pattern(r"\b1//0[\w-]{30,}"), sure(0.95), b"1//0"),
    Rule("API_KEY", Pattern(r"Private-Lines: \d+\s+((?:[A-Za-z0-9+/=]{4,}\s+)+)"), sure(0.99), b"Private-Lines"),
    Rule("API_KEY", Pattern(r"(?i)\bbearer[ \t:=\"']{1,4}([\w.~+/=-]{8,})"), _bearer, cues="bearer"),
    Rule(
        "API_KEY",
        Pattern(
            rf"-{{4,5}} ?BEGIN [A-Z0-9 ]*{_PEM}(?:\s*[A-Za-z-]+: [^\n]*\n)*(?:[\s\\>|\"'+,]*[A-Za-z0-9+/=]{{16,}})*"
            rf"(?:[\s\\>|\"'+,]*[A-Za-z0-9+/=.…]+)?(?:[\s\\>|\"'+,]*-{{4,5}} ?END [A-Z0-9 ]*{_PEM})?"
        ),
        _pem,
        b"PRIVATE KEY",
    ),
)
