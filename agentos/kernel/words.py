"""What the kernel says in its own words, in the person's language. Figures and names come from results."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
