"""How a sentence refers to what was said before it: by a pronoun, by an answer, by "the same for"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_THING = r"model|data ?set|data|job|task|run|user|one"
_BACK = re.compile(
    r"\b(?P<en>it|them|him|her|the same(?: (?:one|" + _THING + r"))?|those(?: ones)?|these(?: ones)?"
    r"|(?:that|this)(?: (?:" + _THING + r")|(?=\s*(?:$|[.,;!?]|again\b|now\b|too\b|as well\b|please\b|on\b|with\b)))"
    r"|the (?:last|previous|latest|new|above) (?:" + _THING + r"))\b"
    r"|(?P<zh>它们?|这一?个|那一?个|这些|那些|刚才(?:那个|的)?|刚刚(?:那个|的)?|上一个|前面(?:那个|的)?|上面(?:那个|的)?|同一个"
    r"|(?:该|此)(?=模型|数据集|任务|作业|运行|用户)|[他她](?:们)?(?!人))",
    re.I,
)
_ELLIPSIS = re.compile(
    r"^(?P<start>and|then|also|now)\b[^,，]*$|\b(?P<end>again|once more)\b\s*[.!?]*$"
    r"|(?P<zh>再(?:来)?.{0,8}[一1](?:次|遍|下))",
    re.I,
)
_NEW = re.compile(
    r"\b(?:a|an|some|any|another|one of)\b(?! (?:bit|moment|while|second|minute|hour|day|week))"
    r"|\b(?:each|every|all|both|other|others)\b"
    r"|某个?|另外?一?个|(?<![这那同上下])[一两三几]个(?!小时)|随便|任意|所有|全部|每个|其他|别的",
    re.I,
)
"""What names a thing that was not spoken of: none of it is taken from before."""
_QUOTATION = re.compile(
    r"\"[^\"]*(?:\"|$)|“[^”]*(?:”|$)|「[^」]*(?:」|$)|『[^』]*(?:』|$)|`[^`]*(?:`|$)|(?<!\w)['‘].*?(?:['’](?!\w)|$)",
    re.S,
)
SAYING = re.compile(
    r"\b(?:ask|tell(?! (?:me|us)\b)|prompt|say|write|generate|translate|summari[sz]e|answer|explain|describe|complete"
    r"|continue|rewrite|paraphrase|reply|compose|chat with|talk to|echo|print|execute)\b"
    r"|问|告诉(?!我)|写|说|生成|翻译|总结|回答|解释|续写|改写|聊",
    re.I,
)
"""Verbs after which a text of the person's may come."""
_FILL = (
    r"(?:(?:it(?:'?s| is| was)?|that(?:'?s| is)|use|take|choose|pick|the|with|for|on|to|my|called|named|please|just"
    r"|let'?s|go|i|mean|meant|want|model|data ?set|job|run|user|one|oh|ah|ok|okay|yes|well|sorry|,|:)[\s,:]+)*+"
)
_TAIL = r"(?:[\s,]+(?:please|one|model|data ?set|job|run|user|then|thanks|thank you))*+"
_FILL_ZH = r"(?:那就|那|就|用|选择?|是|叫做?|模型|数据集|任务|作业|运行|用户|请|我要|要|对|给|把|好的?|嗯|[，,、\s])*+"
_TAIL_ZH = r"(?:吧|的|那个|这个|模型|数据集|任务|作业|用户|好了|就行|就好|就可以|谢谢|[，,\s])*+"
_ANSWER = re.compile(rf"\s*{_FILL}\0{_TAIL}[\s.!]*|\s*{_FILL_ZH}\0{_TAIL_ZH}[。！.!\s]*", re.I)
_ALONE = re.compile(
    r"\s*(?:use |take |with |on |for |the )*(?P<word>it|that|this|that one|this one|(?:the )?same(?: one)?|the last one"
    r"|the previous one|它|这个|那个|刚才(?:那个|的)?|同一个|上一个)(?:\s+please|吧|的)?\s*[.!。！]*\s*",
    re.I,
)
_NO = re.compile(
    r"\s*(?:no(?:ne|thing|t now|pe)?|never ?mind|forget (?:it|that)|cancel(?: that)?|stop|skip(?: it)?|leave it"
    r"|不用了?|算了吧?|取消|不要了?|没有|都不要|不了|停)\s*(?:please|thanks|thank you|谢谢)?\s*[.!。！]*\s*",
    re.I,
)
_SAME = re.compile(
    r"\s*(?:(?:and|now|then|also|please|do|could you|can you|ok|okay|the|exactly|,)[\s,]+)*+same(?: thing)?(?: again)?"
    r"\s+(?:for|with|to|on)\s+(?:the )?(?P<kind>model |data ?set |job |run |user )?"
    r"\0(?:[\s,]+(?:too|as well|also|please|now|then))*[\s.!?]*"
    r"|\s*(?:(?:and|now|then|ok|okay|so)[\s,]+)*+(?:what|how) about\s+(?:the )?\0\s*[?.!]*"
    r"|\s*(?:(?:and|now)[\s,]+)*(?:with |for )?\0[\s,]+(?:too|as well|also|next|likewise)(?:[\s,]+please)?\s*[.!?]*"
    r"|\s*(?:and|ditto for|likewise for)\s+(?:with |for )?\0\s*[.!?]*"
    r"|\s*(?:现在|再|那么?|然后|接着|请|[，,\s])*+(?:也|同样)?(?:对|给|把|用|为)?\s*\0\s*"
    r"(?:也|同样|照样)(?:是|要|来|请)?(?:这样|那样|同样|一样|照样)?(?:地)?(?:做|来|处理|办|的事|的操作|一次|一遍|一下|吧)*[。！.!\s]*"
    r"|\s*(?:现在|再|那么?|然后|接着|请|[，,\s])*+(?:也)?(?:对|给|把|用|为)\s*\0\s*(?:也)?(?:做|来|执行)(?:同样|一样|相同)的?"
    r"(?:事情?|操作|处理)?(?:吧)?[。！.!\s]*"
    r"|\s*(?:现在|再|那么?|然后|请)?也(?:对|给|把|用|为)\s*\0\s*(?:来|做|跑)(?:一次|一遍|一下)[。！.!\s]*"
    r"|\s*(?:那么?|然后)?[，,\s]*\0\s*呢\s*[？?]*|\s*(?:再|那|现在|然后|请)?(?:换成|改成|换)\s*\0\s*(?:再来一次|再来一遍|试试|吧)?[。！.!\s]*"
    r"|\s*(?:现在|再|然后|请)?(?:同样|一样)(?:处理|对待|地)?\s*\0[。！.!\s]*",
    re.I,
)
LONGEST = 200
"""Characters of a sentence that may be an answer or say "the same for": those are short."""
_LABELS = {
    "model": "model|模型", "dataset": "data ?set|data|数据集|数据", "job": "job|task|任务|作业", "run": "run|运行|训练",
    "user": "user|用户",
}
_REST = re.compile(r"(?:and|with|on|use|the|please|for|is|用|和|在|请|[\s,，、;；.。!！])*", re.I)


@dataclass(frozen=True)
class Same:
    """The plan before, over another thing."""

    name: str
    label: str = ""
    """What that thing is, where it is said: `model`."""


def without_texts(sentence: str) -> str:
    """A sentence with marks over its quotations and what a colon begins after `ask it`: no word there refers back."""
    own = _QUOTATION.sub(lambda match: "\0" * len(match[0]), sentence)
    saying = SAYING.search(own)
    colon = re.compile(r":(?!/)|：").search(own, saying.end()) if saying is not None else None
    return own if colon is None else own[: colon.end()] + "\0" * (len(own) - colon.end())


def back(sentence: str) -> str:
    """The word by which a sentence refers to what was spoken of; empty where it does not, or names something new."""
    own = without_texts(sentence)
    if _NEW.search(own):
        return ""
    match = _BACK.search(own)
    if match is not None:
        return match[0].lower()
    less = _ELLIPSIS.search(own)
    return next(filter(None, less.groups()), "").lower() if less is not None else ""


def alone(sentence: str) -> str:
    """The word where a sentence is no more than one: `that one`."""
    match = _ALONE.fullmatch(sentence)
    return match["word"].lower() if match is not None else ""


def refused(sentence: str) -> bool:
    """Whether it takes back what was asked."""
    return _NO.fullmatch(sentence) is not None


def answered(sentence: str, names: Sequence[str]) -> str:
    """The one name that a sentence is made of, with nothing but an answer's words around it; empty where it is more."""
    return next((name for name, rest in _without(sentence, names) if _ANSWER.fullmatch(rest)), "")


def same(sentence: str, names: Sequence[str]) -> Same | None:
    """What the plan before is to be made for, too; None where that is not what a sentence says."""
    for name, rest in _without(sentence, names):
        if (match := _SAME.fullmatch(rest)) is not None:
            said = (match["kind"] or "").strip().lower().replace(" ", "")
            return Same(name, said)
    return None


def quoted(sentence: str) -> str:
    """What a sentence that is one quotation says."""
    text = sentence.strip()
    pairs = {'"': '"', "“": "”", "「": "」", "'": "'", "『": "』"}
    return text[1:-1].strip() if len(text) > 2 and pairs.get(text[0]) == text[-1] else ""


def labelled(sentence: str, names: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """Arguments that an answer gives by their names and nothing besides: `model zeta, dataset reviews`."""
    found: dict[str, str] = {}
    rest = sentence
    for name in sorted(names if len(sentence) <= LONGEST else (), key=len, reverse=True):
        for one in wanted:
            label = _LABELS.get(one, re.escape(one))
            said = rf"(?:{label})\s*(?:=|:|：|is|called|是|为|叫|用)?\s*[\"'“「]?{re.escape(name)}(?![\w.-])[\"'”」]?"
            if one not in found and (match := re.search(said, rest, re.I)) is not None:
                found[one], rest = name, rest[: match.start()] + " " + rest[match.end() :]
    return found if found and _REST.fullmatch(rest) else {}


def _without(sentence: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """Each name and the sentence with a mark in its place, quotes and all; the longest first."""
    found: list[tuple[str, str]] = []
    if len(sentence) > LONGEST:
        return found
    for name in sorted(names, key=len, reverse=True):
        at = sentence.find(name)
        if at >= 0:
            before, after = sentence[:at].rstrip("\"'“‘「『`"), sentence[at + len(name) :].lstrip("\"'”’」』`")
            found.append((name, f"{before}\0{after}"))
    return found
