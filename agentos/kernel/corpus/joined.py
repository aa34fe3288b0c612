"""Requests of several steps from requests of one, and requests that leave something out."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from agentos.kernel.corpus.said import Pools, Said
from agentos.registry import Registry
from agentos.types import Json, Step

_IT = {
    "model": (("it", "that model", "the model", "the new model"), ("它", "这个模型", "该模型")),
    "dataset": (("it", "the result", "that data set", "the data"), ("它", "结果", "这个数据集")),
    "job": (("it", "that job", "the job"), ("它", "这个任务", "该任务")),
    "train": (("the training part", "the train half", "its training split"), ("训练部分", "训练集部分", "训练那份")),
    "test": (("the test part", "the held-out half", "its test split"), ("测试部分", "测试集部分", "测试那份")),
    "text": (("what it said", "the answer", "its reply"), ("它的回答", "上面的回答", "结果")),
    "run": (("that run", "the run"), ("这次训练", "这个运行")),
}
_MAKERS = {
    "models.pull", "models.load", "models.quantize", "models.generate", "datasets.add", "datasets.clean",
    "datasets.split", "training.pretrain", "training.finetune", "training.search", "jobs.submit", "jobs.retry",
}
"""What makes something that was not named before; what only shows a thing is followed by its name."""
OWN = "agentos"
"""The owner of the table's own syscalls, which are known one by one; of others, what is no read makes something."""
_MADE = {"model", "dataset", "train", "test", "text", "job", "run"}
_ANY = (("it", "the result", "that"), ("它", "结果", "这个"))
_NOUN_EN = r"(?:(?:the|a|my|our) )?(?:(?:model|data ?set|job|task|run|data)s? )?(?:called |named |number )?"
_NOUN_ZH = r"(?:这个|那个)?(?:模型|数据集|任务|数据|作业)?\s?"
_LACKING = {
    "model": (("a model", "the model", "it", "that model", "one of them"), ("模型", "一个模型", "那个模型", "它")),
    "dataset": (("a data set", "the data", "it", "my data"), ("数据集", "那份数据", "它", "数据")),
    "job": (("the job", "it", "that job", "my job"), ("任务", "那个任务", "它")),
    "command": (("it", "something", "my script", "a command"), ("它", "一个脚本", "我的命令", "点东西")),
    "prompt": (("something", "a question"), ("点什么", "一个问题")),
    "path": (("a file", "my file", "some data"), ("一个文件", "我的数据")),
    "run": (("that run", "the run"), ("那次训练", "那个运行")),
    "text": (("something", "a text", "it"), ("一段话", "一句话", "它")),
}
_ASKS = re.compile(r"[?？]\s*$|吗\s*$|呢\s*$")


def fit(said: Said) -> bool:
    """Whether a sentence may be a part of a longer one: one call, nothing left out, not long."""
    return len(said.steps) == 1 and "?" not in said.steps[0].args.values() and len(said.text) < 110


def makes(said: Said, table: Registry) -> bool:
    """Whether what it comes to last makes something that a later step may take."""
    entry = table[said.steps[-1].syscall]
    return entry.name in _MAKERS or (entry.owner != OWN and entry.effect != "read" and bool(entry.fields))


def several(parts: Sequence[Said], pools: Pools, draw: random.Random, in_order: bool) -> Said | None:
    """Requests one after the other, or side by side; None where the parts cannot be joined."""
    zh = parts[0].zh
    if any(part.zh != zh or (in_order and _ASKS.search(part.text)) for part in parts):
        return None
    text = _clean(parts[0].text)
    steps = [replace(parts[0].steps[0], id="s1")]
    for number, part in enumerate(parts[1:], 2):
        frame = pools.phrase("then" if in_order else "and", zh, draw)
        if number > 2:
            frame = draw.choice(("{a}，最后{b}", "{a}，再{b}") if zh else ("{a}, and finally {b}", "{a}, then {b}"))
            frame = frame if in_order else ("{a}，{b}" if zh else "{a}, {b}")
        plain = _clean(part.text)
        text = frame.format(a=text, b=plain if zh or not plain[:2].istitle() else plain[:1].lower() + plain[1:])
        step, before = part.steps[0], steps[-1]
        if in_order and step.syscall == "jobs.submit" and before.syscall == "jobs.submit" and "after" not in step.args:
            args: dict[str, Json] = {**step.args, "after": [{"$ref": f"{before.id}.job"}]}
            steps.append(replace(step, id=f"s{number}", args=args))
        else:
            steps.append(replace(step, id=f"s{number}", after=(before.id,) if in_order else ()))
    return Said(text, tuple(steps))


def handed_on(first: Said, second: Said, table: Registry, pools: Pools, draw: random.Random) -> Said | None:
    """Two requests of which the second takes the first one's result, by a word such as `it`; None where none does."""
    zh, give = first.zh, table[first.steps[-1].syscall]
    if second.zh != zh or _ASKS.search(first.text) or not makes(first, table):
        return None
    taker, step = table[second.steps[0].syscall], second.steps[0]
    for param in taker.params:
        value = step.args.get(param.name)
        listed = value if isinstance(value, list) else [value]
        gives = [field for field in give.fields if give.owner != OWN or field in _MADE]
        fields = [field for field in gives if field in (param.field, "text" if param.kind == "private" else "")]
        if param.field == "dataset" and give.name.endswith(".split"):
            fields = ["train", "test"] if not taker.name.endswith("evaluate") else ["test"]
        if not fields or len(listed) != 1 or not isinstance(listed[0], str) or listed[0] == "?":
            continue
        if not (param.required or param.name == "after") or give.name == taker.name:
            continue
        where = re.escape(listed[0])
        noun = _NOUN_ZH if zh else _NOUN_EN
        found = re.findall(f"{noun}[`\"'“「]?{where}[`\"'”」]?", second.text, re.I)
        field = draw.choice(fields)
        if len(found) != 1 or second.text.count(listed[0]) != 1:
            continue
        word = draw.choice(_IT.get(field, _ANY)[zh])
        start = second.text.find(found[0])
        text = second.text[:start] + word + second.text[start + len(found[0]) :]
        last = first.steps[-1].id
        ref: Json = {"$ref": f"{last}.{field}"}
        taken: dict[str, Json] = {**step.args, param.name: [ref] if isinstance(value, list) else ref}
        frame = pools.phrase("then", zh, draw) if draw.random() < 0.7 else ("{a}，{b}" if zh else "{a} and {b}")
        if len(first.steps) > 1:
            frame = draw.choice(("{a}，最后{b}", "{a}，再{b}") if zh else ("{a}, then {b}", "{a}, and finally {b}"))
        whole = frame.format(a=_clean(first.text), b=_clean(text)[:1].lower() + _clean(text)[1:])
        return Said(whole, (*first.steps, Step(f"s{len(first.steps) + 1}", taker.name, taken)))
    return None


def lacking(said: Said, table: Registry, draw: random.Random) -> Said | None:
    """The request without a required argument, which a word such as `it` stands for; None where there is none."""
    step = said.steps[0]
    needed = [
        param for param in table[step.syscall].params
        if param.required and param.name in _LACKING and isinstance(step.args.get(param.name), str)
    ]
    if not needed:
        return None
    param = draw.choice(needed)
    value = str(step.args[param.name])
    noun = _NOUN_ZH if said.zh else _NOUN_EN
    found = re.findall(f"{noun}[`\"'“「]?{re.escape(value)}[`\"'”」]?", said.text, re.I)
    if len(found) != 1 or said.text.count(value) != 1:
        return None
    text = said.text.replace(found[0], draw.choice(_LACKING[param.name][said.zh]), 1)
    return replace(said, text=text, steps=(replace(step, args={**step.args, param.name: "?"}),))


def _clean(text: str) -> str:
    return re.sub(r"[.。!！；;,，]+$", "", text.strip())
