"""A sentence and its plan, and how another one is made of it: other values, other words around, a typing error."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources

import yaml

from agentos.kernel.words import language
from agentos.registry import Registry
from agentos.syscall import Param
from agentos.types import Json, Step

_PAIRS = (("`", "`"), ('"', '"'), ("'", "'"), ("“", "”"), ("「", "」"), ("‘", "’"))
_EDGE = r"A-Za-z0-9_./:@~\-"
_NUMBERS_EN = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS_ZH = ("两", "三", "四", "五", "六", "七", "八", "九", "十")
_OPENS = re.compile(
    r"(?:please|could|can|would|i|i'm|what|whats|how|which|is|are|am|was|who|whose|why|where|does|do|did|any|anything|when|"
    r"has|have|there|oops|thanks|my|we|so|the|tell me)\b|请|麻烦|帮|能|我|有|谁|什么|为什么|怎么|哪|现在|它|这|那",
    re.I,
)
_MARK = re.compile("\x00(\\d+)\x00")


@dataclass(frozen=True)
class Said:
    """A sentence and what it comes to."""

    text: str
    steps: tuple[Step, ...]
    answer: str = ""
    """Of a sentence without steps: `none()` or `chat()`."""

    @property
    def zh(self) -> bool:
        """Whether it is Chinese."""
        return language(self.text) == "zh"


class Pools:
    """Values and phrases to draw from."""

    def __init__(self) -> None:
        """Reads the files beside this one."""
        folder = resources.files("agentos.kernel.corpus")
        self.values: dict[str, list[str]] = yaml.safe_load(folder.joinpath("values.yaml").read_text("utf-8"))
        self.phrases: dict[str, list[str]] = yaml.safe_load(folder.joinpath("phrases.yaml").read_text("utf-8"))

    def phrase(self, kind: str, zh: bool, draw: random.Random) -> str:
        """A phrase of a kind in a language."""
        return draw.choice(self.phrases[f"{kind}_{'zh' if zh else 'en'}"])

    def value(self, param: Param, family: str, old: str, zh: bool, draw: random.Random) -> str | None:
        """Another value for a parameter, of the kind that the old one is; None where there is no such pool."""
        pool = _pool(param, family, old, zh)
        return None if pool is None else draw.choice(self.values[pool])


def _pool(param: Param, family: str, old: str, zh: bool) -> str | None:
    tongue = "zh" if zh else "en"
    plain = {
        "model": "model", "dataset": "dataset", "user": "user", "run": "run", "job": "job", "after": "job",
        "folder": "folder", "env": "env", "secrets": "secret", "item": "model", "prompt": f"prompt_{tongue}",
        "text": f"text_{tongue}", "at": f"time_{tongue}", "since": f"since_{tongue}",
        "command": "command_hard" if re.search(r"[|&;<>*\"']", old) else "command_plain",
    }
    if param.name in ("path", "source"):
        if old.startswith("http"):
            return "url"
        if param.name == "source" and not old.startswith(("/", "~", ".")):
            return "hub"
        return "path_file" if "." in old.rpartition("/")[2] else "folder"
    if param.name == "output":
        return "dataset" if family == "datasets" else "model"
    if param.name == "name":
        return {"datasets": "dataset", "jobs": "job"}.get(family)
    return plain.get(param.name)


def revalued(said: Said, table: Registry, pools: Pools, draw: random.Random, share: float = 0.9) -> Said:
    """The same request about other things: what the sentence says of its values is said of others."""
    text, marks, steps = said.text, dict[str, str](), []
    fresh: list[str] = []

    def mark(old: str, new: str) -> None:
        nonlocal text
        if old not in marks:
            found = list(re.finditer(f"(?<![{_EDGE}]){re.escape(old)}(?![A-Za-z0-9_])", text))
            if len(found) != 1 and not (found and len(old) > 3):
                return
            marks[old] = new
            text = re.sub(f"(?<![{_EDGE}]){re.escape(old)}(?![A-Za-z0-9_])", f"\x00{len(fresh)}\x00", text)
            fresh.append(new)

    wanted: list[tuple[str, Param, str]] = [
        (one, param, step.syscall.partition(".")[0])
        for step in said.steps for param in table[step.syscall].params if param.name in step.args
        for one in _texts(step.args[param.name]) if param.kind in ("name", "private", "time", "text") and one != "?"
    ]
    for old, param, family in sorted(wanted, key=lambda item: -len(item[0])):
        if draw.random() < share and (new := pools.value(param, family, old, said.zh, draw)) is not None:
            if param.name == "name" and family == "jobs" and new.isdigit():
                continue
            mark(old, new)
    often = Counter(repr(value) for step in said.steps for value in step.args.values())
    for step in said.steps:
        args = {name: _mapped(value, marks) for name, value in step.args.items()}
        fixed = {param.name for param in table[step.syscall].params if param.choices}
        for name, value in args.items():
            once = name not in fixed and often[repr(value)] == 1  # one figure may be said of two things
            made = _number(text, value, draw) if once and draw.random() < share else None
            if made is not None:
                text, args[name] = made
        steps.append(replace(step, args=args))
    return replace(said, text=_filled(text, fresh, draw), steps=tuple(steps))


def _texts(value: Json) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed if isinstance(one, str)]


def _mapped(value: Json, marks: Mapping[str, str]) -> Json:
    if isinstance(value, list):
        return [_mapped(one, marks) for one in value]
    return marks.get(value, value) if isinstance(value, str) else value


def _number(text: str, value: Json, draw: random.Random) -> tuple[str, Json] | None:
    """Another number in the sentence and the argument, where the one says the other's."""
    amount = re.fullmatch(r"(\d+)([a-zA-Z]*)", value) if isinstance(value, str) else None
    if isinstance(value, bool) or not (isinstance(value, int) or (amount and amount.group(2))):
        return None
    old = int(amount.group(1)) if amount else int(value)  # type: ignore[arg-type]
    if old == 0:
        return None
    new = draw.randint(2, 12) if old <= 12 else draw.choice((16, 20, 24, 30, 32, 40, 45, 48, 50, 64, 75, 90, 100, 128))
    found = list(re.finditer(rf"(?<![{_EDGE}\x00\d]){old}(?![\d.\x00:/-])", text))
    if len(found) == 1:
        text = text[: found[0].start()] + str(new) + text[found[0].end() :]
    else:
        for said in (_NUMBERS_EN, _NUMBERS_ZH):
            if 2 <= old <= 10 and text.count(said[old - 2]) == 1:
                new = draw.randint(2, 10)
                text = text.replace(said[old - 2], said[new - 2])
                break
        else:
            return None
    return text, f"{new}{amount.group(2)}" if amount else new


def _filled(text: str, fresh: list[str], draw: random.Random) -> str:
    """Values in their places, in quotation marks where they need some."""
    while (match := _MARK.search(text)) is not None:
        value, before, after = fresh[int(match.group(1))], text[: match.start()], text[match.end() :]
        quoted = any(before.endswith(left) and after.startswith(right) for left, right in _PAIRS)
        bare = not re.search(r"[\s,;，；。！？!?]", value) or value.isascii() is False and len(value) <= 12
        last = not after.strip(" .。!！?？")
        if quoted:
            before, after = before[:-1], after[1:]
        if quoted or not (bare or (last and draw.random() < 0.3)):
            fits = [pair for pair in _PAIRS if pair[0] not in value and pair[1] not in value]
            left, right = draw.choice(fits[:3] if value.isascii() else fits) if fits else ("`", "`")
            value = f"{left}{value}{right}"
        text = before + value + after
    return text


def dressed(said: Said, pools: Pools, draw: random.Random) -> Said:
    """The same request in another tone: polite, dictated, hurried, with something around it, mistyped."""
    text, zh = said.text, said.zh
    space = "" if zh else " "
    values = [one for step in said.steps for value in step.args.values() for one in _texts(value)]
    for way in draw.sample(("before", "after", "filler", "context", "reason", "plain", "typo", "case"), 2):
        if draw.random() < 0.62:
            continue
        if way == "before" and not _OPENS.match(text):
            text = f"{pools.phrase('polite_before', zh, draw)}{space}{_lowered(text, values)}"
        elif way == "after" and text[-1] not in "?？":
            suffix = pools.phrase("polite_after", zh, draw)
            text = text.rstrip(".。!！") + (" " if not zh and suffix[0].isalnum() else "") + suffix
        elif way == "filler":
            text = f"{pools.phrase('filler_before', zh, draw)}{space}{_lowered(text, values)}"
        elif way == "context":
            text = f"{pools.phrase('context_before', zh, draw)}{space}{text}"
        elif way == "reason" and text[-1] not in "?？":
            text = text.rstrip(".。!！") + pools.phrase("context_after", zh, draw)
        elif way == "plain":
            text = re.sub(r"[.!?。！？]$", "", text)
        elif way == "typo" and not zh:
            text = _mistyped(text, values, draw)
        elif way == "case":
            text = _lowered(text, values) if draw.random() < 0.5 else text[:1].upper() + text[1:]
    if any(text.count(value) < 1 for value in values if value != "?" and value in said.text):
        return said
    return replace(said, text=text)


def _lowered(text: str, values: list[str]) -> str:
    return text if any(text.startswith(value) for value in values) else text[:1].lower() + text[1:]


def _mistyped(text: str, values: list[str], draw: random.Random) -> str:
    inside = [range(text.find(v), text.find(v) + len(v)) for v in values if v in text]
    words = [
        m for m in re.finditer(r"(?<![\w./-])[a-z]{5,}(?![\w./-])", text)
        if not any(m.start() < part.stop and part.start < m.end() for part in inside)
    ]
    if not words:
        return text
    word = draw.choice(words)
    old, at = word.group(), draw.randrange(1, len(word.group()) - 1)
    new = draw.choice((
        old[:at] + old[at + 1 :], old[:at] + old[at] + old[at:], old[:at] + old[at + 1] + old[at] + old[at + 2 :],
    ))
    return text[: word.start()] + new + text[word.end() :]

