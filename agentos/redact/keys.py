"""API_KEY by shape: keys of known services, tokens of HTTP, private keys."""

from __future__ import annotations

import re

from agentos.redact.patterns import Pattern
from agentos.redact.rules import Found, Judge, Rule, sure

_SHAPES = (
    r"(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ABIA|ACCA)[A-Z0-9]{16}",
    r"gh[pousr]_[A-Za-z0-9]{20,}",
    r"github_pat_[A-Za-z0-9_]{20,}",
    r"gl(?:pat|dt|rt|ptt|cbt|soat|ft|imt|agent)-[\w-]{16,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"xapp-\d-[A-Za-z0-9-]{10,}",
    r"AIza[\w-]{30,40}",
    r"ya29\.[\w-]{20,}",
    r"GOCSPX-[\w-]{16,}",
    r"hf_[A-Za-z0-9]{20,}",
    r"api_org_[A-Za-z0-9]{20,}",
    r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}",
    r"whsec_[A-Za-z0-9+/=]{16,}",
    r"eyJ[\w-]{6,}\.[\w-]{8,}(?:\.[\w-]*)?",
    r"SG\.[\w-]{12,}\.[\w-]{12,}",
    r"npm_[A-Za-z0-9]{30,}",
    r"pypi-[\w-]{30,}",
    r"\d{8,10}:[A-Z]{2}[\w-]{32,34}",
    r"[MNO][\w-]{22,27}\.[\w-]{6,7}\.[\w-]{26,}",
    r"do[opr]_v1_[a-f0-9]{40,}",
    r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
    r"sq0[a-z]{3}-[\w-]{20,}",
    r"EAAC[A-Za-z0-9]{30,}",
    r"key-[0-9a-f]{32}",
    r"[0-9a-f]{32}-us\d{1,2}",
    r"(?:SK|AC)[0-9a-f]{32}",
    r"LTAI[A-Za-z0-9]{12,24}",
    r"AKID[A-Za-z0-9]{20,36}",
    r"dapi[0-9a-f]{32}",
    r"(?:gsk|tvly|r8|pplx|xai|fw|csk|nvapi|lin_api|ntn|glsa|glc|hvs|hvb|sbp|sntrys|figd|dckr_pat|rnd|PMAK|tskey-\w+|jina|"
    r"lsv2_pt|lsv2_sk|wandb_v1|e2b|phc|phx)[_.-][\w.=-]*[A-Za-z0-9=]{18,}",
    r"ATATT3[\w=-]{20,}",
    r"AGE-SECRET-KEY-1[A-Z0-9]{40,}",
    r"hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]{16,}",
    r"NRAK-[A-Z0-9]{20,}",
)
SHAPES = rf"(?:{'|'.join(_SHAPES)}|sk-[A-Za-z0-9_-]{{16,}})"
"""All that is a key by its shape alone."""
_HOOKS = (
    r"(?:qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key=|(?:feishu\.cn|larksuite\.com)/open-apis/bot/(?:v2/)?hook/|"
    r"discord(?:app)?\.com/api/webhooks/\d+/|webhook\.office\.com/webhookb2/)"
)
_OPENAI = r"sk-[A-Za-z0-9_-]{16,}"
_PEM = r"PRIVATE KEY(?: BLOCK)?-----"


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


RULES = (
    Rule("API_KEY", Pattern(rf"\b(?:{'|'.join(_SHAPES)})"), _mixed(1)),
    Rule("API_KEY", Pattern(rf"\b{_OPENAI}"), _mixed(2), b"sk-"),
    Rule("API_KEY", Pattern(rf"\b{_HOOKS}([\w@/-]{{16,}})"), sure(0.97), b"hook"),
    Rule("API_KEY", Pattern(r"(?i)\bbearer[ \t:=\"']{1,4}([\w.~+/=-]{8,})"), _bearer),
    Rule(
        "API_KEY",
        Pattern(
            r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?(?:basic|token|bot|apikey|digest|key)[ :=]\s*[\"']?"
            r"([\w.~+/=:-]{6,})"
        ),
        sure(0.9),
    ),
    Rule(
        "API_KEY",
        Pattern(
            rf"-----BEGIN [A-Z0-9 ]*{_PEM}(?:\s*[A-Za-z-]+: [^\n]*\n)*(?:[\s\\]*[A-Za-z0-9+/=]{{16,}})*"
            rf"(?:[\s\\]*[A-Za-z0-9+/=.…]+)?(?:[\s\\]*-----END [A-Z0-9 ]*{_PEM})?"
        ),
        sure(0.99),
        b"PRIVATE KEY",
    ),
)
