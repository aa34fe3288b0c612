"""What the kernel says in its own words, in the person's language. Figures and names come from results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agentos.kernel.language import Missing
from agentos.registry import Registry

_HAN = re.compile(r"[\u3400-\u9fff]")


def language(sentence: str) -> str:
    """`zh` where the sentence has Chinese in it, else `en`."""
    return "zh" if _HAN.search(sentence) else "en"


def declined(sentence: str, nearest: Sequence[str]) -> str:
    """Nothing in the table answers."""
    if language(sentence) == "zh":
        near = "、".join(nearest)
        return f"系统调用表里没有能做这件事的调用，什么都没有执行。最接近的是：{near}。问“你能做什么”可以看全部。"
    near = ", ".join(nearest)
    return f'Nothing in the syscall table does that; nothing was run. Nearest: {near}. Ask "what can you do?" for all.'


def asked(sentence: str, missing: Sequence[Missing], table: Registry) -> str:
    """A required argument is missing."""
    listed = []
    for item in missing:
        doc = next(param.doc for param in table[item.syscall].params if param.name == item.parameter)
        listed.append((item, doc.rstrip(".。")))
    if language(sentence) == "zh":
        return "；".join(f"{i.syscall} 还需要参数 {i.parameter}（{doc}），请补充" for i, doc in listed) + "。"
    return "; ".join(f"{i.syscall} needs '{i.parameter}' ({doc}): which one?" for i, doc in listed)


def unsure(sentence: str, plan: str) -> str:
    """The plan is little more than a guess; the person is asked instead."""
    if language(sentence) == "zh":
        return f"不太确定你的意思，什么都没有执行。你是想要：\n{plan}\n吗？请说得更明确一些。"
    return f"Not sure what you mean; nothing was run. Did you mean this?\n{plan}\nPlease say it more plainly."


def unplanned(sentence: str, why: str) -> str:
    """The model's plan could not be used, and neither could its second one."""
    if language(sentence) == "zh":
        return f"没能把这句话变成可执行的计划（{why}），什么都没有执行。请换个说法。"
    return f"No valid plan came of that ({why}); nothing was run. Please say it another way."


def partly(sentence: str, done: int, count: int) -> str:
    """Some steps did not succeed."""
    if language(sentence) == "zh":
        return f"{count} 步中完成了 {done} 步。"
    return f"{done} of {count} steps succeeded."


def taken(pairs: Iterable[tuple[str, str]]) -> str:
    """What a word was taken to mean: `it: zeta`."""
    return "; ".join(f"{word}：{value}" if language(word) == "zh" else f"{word}: {value}" for word, value in pairs)


def between(sentence: str, candidates: Sequence[str]) -> str:
    """The candidates for what is asked."""
    listed = list(dict.fromkeys(candidates))[:5]
    if language(sentence) == "zh":
        return f"是{'，还是'.join(listed)}？"
    return f" It may be {' or '.join(listed)}."


def labels(sentence: str, examples: Sequence[str]) -> str:
    """How an answer says which of several arguments it gives."""
    if language(sentence) == "zh":
        return f"请说明是哪一个参数，例如：{'，或 '.join(examples)}。"
    return f" Say which of them it is, for example: {', or '.join(examples)}."


def instead(sentence: str, name: str, places: Sequence[str]) -> str:
    """The plan before names several things in whose place another could come."""
    if language(sentence) == "zh":
        return f"什么都没有执行。{name} 应该代替哪一个：{'，还是 '.join(places)}？请说出完整的句子。"
    return f"Nothing was run. Which is {name} to take the place of: {' or '.join(places)}? Please say it in full."


def which(sentence: str, word: str, things: Sequence[str]) -> str:
    """A pronoun may mean things of several kinds."""
    if language(sentence) == "zh":
        return f"什么都没有执行。“{word}”指的是哪一个：{'，还是 '.join(things)}？请说出完整的句子。"
    return f"Nothing was run. What is '{word}': {' or '.join(things)}? Please say it in full."


def left(sentence: str) -> str:
    """The person took back what was asked."""
    return "好的，什么都没有执行。" if language(sentence) == "zh" else "All right; nothing was run."
