"""Which column is the text, which the label."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TEXTS = (
    "text", "sentence", "review", "content", "comment", "body", "document", "article", "message", "tweet", "post",
    "passage", "paragraph", "abstract", "utterance", "query", "question", "title", "texts", "sentences", "reviews",
    "文本", "内容", "评论", "评价", "句子", "正文", "文章", "问题", "标题", "留言", "描述",
    "內容", "評論", "評價", "問題", "標題",
)
LABELS = (
    "label", "labels", "class", "target", "sentiment", "category", "y", "polarity", "intent", "topic", "emotion",
    "rating", "stars", "score", "tag", "label_text", "classification", "is_spam", "spam", "gold_label", "type",
    "标签", "类别", "情感", "分类", "类型", "标注", "星级", "评分", "意图", "主题", "情绪",
    "標籤", "類別", "分類", "類型", "情緒",
)
PAIRS = (
    ("prompt", "completion"), ("prompt", "response"), ("prompt", "chosen"), ("instruction", "output"),
    ("instruction", "response"), ("input", "output"), ("question", "answer"), ("source", "target"),
    ("问题", "答案"), ("问题", "回答"), ("提问", "回答"), ("指令", "输出"), ("输入", "输出"),
)
MATCHED = (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("text1", "text2"), ("text_a", "text_b"),
    ("question1", "question2"), ("query", "passage"), ("sentence_a", "sentence_b"), ("句子1", "句子2"),
)
MOST_LABELS = 1000
_FEW = 50


@dataclass(frozen=True)
class Roles:
    """What a model reads of a data set, and what it is to say."""

    text: tuple[str, ...] = ()
    label: str | None = None
    guessed: tuple[str, ...] = ()
    """Why, in words."""


def guess(columns: Mapping[str, Sequence[Any]], strings: set[str], medium: str = "text") -> Roles:
    """The roles of columns, from their names and some of their values.

    Args:
        columns: Some values of each.
        strings: Those that hold texts.
        medium: `image` or `audio` where a column of that name holds it.
    """
    by_name = {name.strip().lower(): name for name in reversed(list(columns))}
    if medium != "text":
        label = by_name.get("label")
        why = "label: the folder's name" if label else "label: none; the files lie in one folder"
        return Roles((medium,), label, (why,))
    if "messages" in by_name and by_name["messages"] not in strings:
        return Roles((by_name["messages"],), None, ("text: 'messages', conversations",))
    for one, other in PAIRS:
        if {one, other} <= set(by_name) and {by_name[one], by_name[other]} <= strings and "label" not in by_name:
            pair = (by_name[one], by_name[other])
            why = f"text: {pair[0]!r} and {pair[1]!r}, pairs of what is asked and what is to be said"
            return Roles(pair, None, (why,))
    label, why_label = _label(columns, by_name)
    for one, other in MATCHED:
        if {one, other} <= set(by_name) and {by_name[one], by_name[other]} <= strings:
            pair = (by_name[one], by_name[other])
            return Roles(pair, label, (f"text: {pair[0]!r} and {pair[1]!r}, two texts of a row", why_label))
    text, why_text = _text(columns, strings - ({label} if label else set()), by_name)
    if text is None:
        return Roles((), label, (why_text, why_label))
    if label is None:
        label, why_label = _few(columns, strings, text)
    return Roles((text,), label, (why_text, why_label))


def _label(columns: Mapping[str, Sequence[Any]], by_name: Mapping[str, str]) -> tuple[str | None, str]:
    for known in LABELS:
        name = by_name.get(known)
        if name is None:
            continue
        values = {str(value) for value in columns[name] if value is not None}
        short = all(len(value) <= 80 for value in values)
        if values and short and len(values) <= max(2, min(MOST_LABELS, len(columns[name]) // 2)):
            return name, f"label: {name!r}, by its name"
    return None, "label: none"


def _text(
    columns: Mapping[str, Sequence[Any]], strings: set[str], by_name: Mapping[str, str]
) -> tuple[str | None, str]:
    named = next((by_name[name] for name in TEXTS if by_name.get(name) in strings), None)
    if named is not None:
        return named, f"text: {named!r}, by its name"
    lengths = {name: _mean(columns[name]) for name in columns if name in strings}
    if not lengths:
        return None, "text: none; no column holds texts"
    longest = max(lengths, key=lambda name: lengths[name])
    if not _spaced(columns[longest]) and len(columns) > 3:
        return None, "text: none; no column reads like sentences"
    return longest, f"text: {longest!r}, the longest column" if len(lengths) > 1 else f"text: {longest!r}"


def _few(columns: Mapping[str, Sequence[Any]], strings: set[str], text: str) -> tuple[str | None, str]:
    """The column with few distinct values, where one has."""
    found: dict[str, int] = {}
    for name, values in columns.items():
        if name == text or any(isinstance(value, float | list | dict | bytes) for value in values):
            continue
        there = [str(value) for value in values if value is not None and value != ""]
        distinct = set(there)
        if 2 <= len(distinct) <= _FEW and len(there) >= 2 * len(distinct) and all(len(v) <= 32 for v in distinct):
            found[name] = len(distinct)
    if not found:
        return None, "label: none"
    name = min(found, key=lambda key: found[key])
    return name, f"label: {name!r}, which has {found[name]} distinct values"


def _mean(values: Sequence[Any]) -> float:
    texts = [value for value in values if isinstance(value, str)]
    mean = sum(map(len, texts)) / max(len(texts), 1)
    return mean if _spaced(values) else mean / 100  # ids, hashes and addresses are long and no text


def _spaced(values: Sequence[Any]) -> bool:
    """Whether most values hold a space or Chinese, as sentences do."""
    texts = [value for value in values if isinstance(value, str)]
    return sum(1 for text in texts if re.search(r"\s|[一-鿿]", text)) * 2 >= len(texts)


def is_known(name: str) -> bool:
    """Whether a name is what people call a text or a label."""
    lower = name.strip().lower()
    return lower in TEXTS or lower in LABELS or any(lower in pair for pair in (*PAIRS, *MATCHED)) or lower == "id"
