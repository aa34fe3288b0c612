"""ID_CARD and SSN as other countries write them, where their name stands before: `NRIC S1234567D`, `CPF 123...-09`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from agentos.redact.entity import Hit, Kind
from agentos.redact.patterns import Pattern
from agentos.redact.rules import digits, embedded

_FAR = r"[ \t]{0,3}(?:\([^()\n]{1,24}\)|（[^（）\n]{1,16}）)?"
_IS = (
    r"[\"'*_`]{0,3}(?:[ \t-]?(?:no\b\.?|nr\b\.?|n[°º]|num(?:ber|mer|ero)?\b|#|card|id|code|ending|号码?|號碼?|字號|"
    r"字号|番号|번호))"
    r"{0,3}" + _FAR + r"[\"'*_`]{0,3}[ \t]{0,3}(?:[:：=|#>,-]|->|→|\bis\b|\bare\b|\bwas\b|是|为|為|は)?[ \t\"'*`(（|"
                      r"]{0,6}"
)
_NAMES: tuple[tuple[Kind, str, str], ...] = (
    ("ID_CARD", r"hk ?id(?: ?card)?|香港(?:居民)?身[份分][证證]|hong kong (?:identity|id)(?: card)?|身[份分][证證]",
     r"[A-Z]{1,2}\d{6} ?(?:\([0-9A]\)|[0-9A]\b)"),
    ("ID_CARD", r"澳[门門](?:居民)?身[份分][证證]|bir|macau id(?: card)?|身[份分][证證]", r"[1578][ /]?\d{6}[ "
        r"/]?\(\d\)"),
    ("ID_CARD", r"身[份分][证證](?:字[號号]|統一編號|号|號)?|統一編號|居留[证證]|台[湾灣]身[份分][证證]|taiwan id|"
                r"arc|national id",
     r"[A-Z][1289A-D]\d{8}"),
    ("ID_CARD", r"军官证|士兵证|警官证|军人证|文职证",
     r"(?:[军海空武南北东西中参政后装沈济兰成广]{1,2}字?第?)?\d{6,8}号?"),
    ("ID_CARD", r"永久?居留?(?:身份)?证|永居|学籍号", r"[A-Z]{3}\d{12}|9\d{16}[\dXx]|[GLJ]\d{17}[\dXx]"),
    ("ID_CARD", r"nric(?: ?/ ?fin)?|fin|singapore id|ic", r"[STFGM]\d{7}[A-Z]"),
    ("ID_CARD", r"aadhaa?r|aadhar|uidai?|आधार", r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}"),
    ("ID_CARD", r"pan|pan card|permanent account", r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]"),
    ("ID_CARD", r"nino|ni|n\.i\.|national insurance|nat\.? ?ins\.?",
     r"[A-CEGHJ-TW-Z][A-CEGHJ-NP-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"),
    ("ID_CARD", r"nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}"),
    ("ID_CARD", r"my ?number|マイナンバ[ー-]|個人番号|个人番号", r"\d{4}[ -]?\d{4}[ -]?\d{4}"),
    ("ID_CARD", r"주민등록번호|주민번호|rrn|resident registration|外国人登录|외국인등록번호", r"\d{6}[ -]?[1-8]\d{6}"),
    ("ID_CARD", r"my ?kad|ic|nric|kad pengenalan", r"\d{6}-\d\d-\d{4}"),
    ("ID_CARD", r"nik|ktp", r"\d{16}"),
    ("ID_CARD", r"(?:thai )?(?:national )?id(?: card)?|บัตรประชาชน|เลขประจำตัวประชาชน",
     r"\d-\d{4}-\d{5}-\d\d-\d|\d \d{4} \d{5} \d\d \d"),
    ("ID_CARD", r"cccd|cmnd|căn cước(?: công dân)?", r"\d{12}|\d{9}"),
    ("ID_CARD", r"philsys|psn|umid|crn", r"\d{4}-\d{4}-\d{4}(?:-\d{4})?|\d{4}-\d{7}-\d"),
    ("ID_CARD", r"cnic|nadra", r"\d{5}-\d{7}-\d"),
    ("ID_CARD", r"emirates id|eid|هوية", r"784-?\d{4}-?\d{7}-?\d"),
    ("ID_CARD", r"iqama|saudi id|teudat zehut|t\.?z\.?|תעודת זהות|civil id|qid", r"\d{9,12}"),
    ("ID_CARD", r"pesel", r"\d{11}"),
    ("ID_CARD", r"dni|nif|d\.n\.i\.|documento nacional", r"\d{2}\.?\d{3}\.?\d{3}[ -]?[A-Z]|\d{8}[ -]?[A-Z]|"
                                                         r"\d{2}\.\d{3}\.\d{3}"),
    ("ID_CARD", r"nie|nif", r"[XYZ][ -]?\d{7}[ -]?[A-Z]"),
    ("ID_CARD", r"codice fiscale|cod\.? ?fisc\.?|c\.?f\.?",
     r"[A-Z]{6} ?\d\d[A-EHLMPRST]\d\d ?[A-Z]\d{3} ?[A-Z]|[A-Z]{3} ?[A-Z]{3} ?\d\d[A-EHLMPRST]\d\d ?[A-Z]\d{3}[A-Z]"),
    ("ID_CARD", r"bsn|burgerservicenummer|sofi(?:nummer)?", r"\d{4}[. ]?\d{2}[. ]?\d{3}|\d{3}[. ]\d{3}[. ]\d{3}"),
    ("ID_CARD", r"personnummer|fødselsnummer|fnr|cpr|henkilötunnus|hetu|kennitala|personal identity",
     r"(?:\d\d)?\d{6}[ +A-]?\d{3,4}[A-Z]?|\d{6} ?\d{5}"),
    ("ID_CARD", r"personalausweis(?:nummer|nr)?|ausweis(?:nummer|nr)?|perso",
     r"[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}\d?"),
    ("ID_CARD", r"steuer-?id(?:entifikationsnummer|nr)?|idnr|steuerliche identifikationsnummer",
     r"\d{2} ?\d{3} ?\d{3} ?\d{3}"),
    ("ID_CARD", r"insee|nir|num[ée]ro de s[ée]curit[ée] sociale|s[ée]curit[ée] sociale|n° ?s[ée]cu|s[ée]cu",
     r"[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3}(?: ?\d\d)?"),
    ("ID_CARD", r"ahv(?:-?n(?:ummer|r))?|avs|oasi", r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d"),
    ("ID_CARD", r"rijksregister(?:nummer)?|registre national|nn|rrn", r"\d\d[. ]\d\d[. ]\d\d[- ]\d{3}[. ]\d\d"),
    ("ID_CARD", r"rodn[ée] [čc][íi]slo|r[čc]", r"\d{6}/\d{3,4}"),
    ("ID_CARD", r"cnp|oib|jmbg|egn|егн|isikukood|asmens kodas|personas kods", r"\d{6}-\d{5}|\d{10,13}"),
    ("ID_CARD", r"amka|αμκα|t\.?c\.? ?kimlik(?: no)?|tc(?: ?kimlik)? ?no|tckn", r"\d{11}"),
    ("ID_CARD", r"svnr|sozialversicherungsnummer|sv-?nummer|rentenversicherungsnummer",
     r"\d{4} ?\d{6}|\d\d ?\d{6} ?[A-Z] ?\d{3}"),
    ("ID_CARD", r"ppsn?|p\.p\.s", r"\d{7}[A-W][A-IW]?"),
    ("ID_CARD", r"снилс|snils", r"\d{3}-\d{3}-\d{3}[ -]\d\d"),
    ("ID_CARD", r"cpf", r"\d{3}[. ]?\d{3}[. ]?\d{3}[-. ]?\d\d"),
    ("ID_CARD", r"rg", r"\d{1,2}\.\d{3}\.\d{3}-[\dX]"),
    ("ID_CARD", r"curp", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d"),
    ("ID_CARD", r"rut|run", r"\d{1,2}\.?\d{3}\.?\d{3}-[\dkK]"),
    ("ID_CARD", r"c[ée]dula(?: de ciudadan[íi]a)?|c\.c\.", r"\d{1,3}(?:\.\d{3}){2,3}|\d{8,10}|\d-\d{4}-\d{4}"),
    ("ID_CARD", r"tfn|tax file(?: number)?|medicare", r"\d{3}[ -]?\d{3}[ -]?\d{3}|\d{4}[ -]\d{5}[ -]\d"),
    ("ID_CARD", r"(?:national|citizen|government|personal|resident) (?:id(?:entity|entification)?|insurance)(?: "
                r"card)?|identity card",
     r"[A-Z]{0,2}\d(?:[ .-]?\d){6,13}[A-Z]?"),
    ("ID_CARD", r"sa id|south african id|rsa id|id", r"\d{6} \d{4} [01]8\d"),
    ("PASSPORT", r"证件(?:号码?)?|旅行证件|护照|證件(?:號碼?)?|回乡证|通行证", r"[EGDSPHKMC][A-Z]?\d{7,8}|[HM]\d{10}"),
    ("SSN", r"itin|ssn|s\.s\.n\.?|ss|ssno|soc\.? ?sec\.?(?:urity)?|soc|social(?: security| insurance)?|sin|tin|"
            r"tax(?:payer)? id(?:entification)?|社会安全号|社安号?|工卡号|社会保险号|社會安全號",
     r"\d{3}[ .\xb7/_-]{0,3}\d\d[ .\xb7/_-]{0,3}\d{4}|\d{3}[ .-]\d{3}[ .-]\d{3}"),
)
_FIRST = "|".join(dict.fromkeys(name for _, name, _ in _NAMES))
_HEADS = Pattern(
    rf"(?i)(?:\A|[^A-Za-z0-9])({_FIRST}){_IS}(?-i:[A-Z]{{0,6}}[ -]?\d[\d ./-]|"
    rf"[\x{{4e00}}-\x{{9fff}}]{{1,2}}字?第?\d{{6}}|[A-Z0-9]{{9}})"
)
_SHAPES = tuple(
    (kind, re.compile(rf"(?i:{name})"), re.compile(rf"(?:{shape})(?![A-Za-z0-9])")) for kind, name, shape in _NAMES
)
_LINK = re.compile(rf"(?i:{_IS})")
_NEXT = re.compile(r"[ \t]?(?:[,;/&、和与]| and | or )[ \t]?(?:and )?")
_REACH = 160
"""Characters from a name within which its number ends."""
_DATED = re.compile(r"(?:19|20)\d\d[ .-]?[01]\d[ .-]?[0-3]\d\Z")


_DIGIT = re.compile(rb"\d\d")


@lru_cache(maxsize=512)
def _shapes(name: str) -> tuple[tuple[Kind, re.Pattern[str]], ...]:
    """What numbers look like that have this name."""
    return tuple((kind, shape) for kind, called, shape in _SHAPES if called.fullmatch(name))


class Called:
    """Numbers of which each has its country's own shape, directly after its country's own name for it."""

    kind: Kind = "ID_CARD"

    def suits(self, data: bytes) -> bool:
        """Whether there is a digit at all."""
        return _DIGIT.search(data) is not None

    def hits(self, data: bytes) -> Iterator[Hit]:
        """Each, and those that are listed after it."""
        at = 0
        while (span := _HEADS.next(data, at)) is not None:
            at = span[1]
            name = data[slice(*span)].decode(errors="replace")
            shapes = _shapes(name)
            rest = data[at : at + _REACH].decode("utf-8", errors="ignore")
            link = _LINK.match(rest)
            first = link.end() if link is not None else 0
            while found := next(((kind, one) for kind, shape in shapes if (one := shape.match(rest, first))), None):
                kind, value = found
                start = at + len(rest[: value.start()].encode())
                stop = start + len(value.group().encode())
                number = digits(value.group().encode())
                if len(set(number)) < 2 or _DATED.match(value.group()) or embedded(data, start, stop):
                    break
                yield Hit(kind, start, stop, 0.85)
                more = _NEXT.match(rest, value.end())
                first = more.end() if more is not None else len(rest)


RULES = (Called(),)
