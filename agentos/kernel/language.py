"""The plan language: what the kernel model writes, one call a line.

    training.finetune(model="bert-mini", dataset="reviews")
    training.evaluate(model=s1.model, dataset="reviews-test")
    models.unload(model="llama") after s2

`s1` is the first line's result; `after` waits without using one. `?` stands for a required argument
that the sentence lacks. `none()` is a sentence that no syscall answers, `chat()` small talk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentos.errors import UserError
from agentos.registry import Registry
from agentos.syscall import Param, Syscall
from agentos.types import Json, Step
from agentos.types.calls import references

MOST_STEPS = 8
NONE, CHAT = "none()", "chat()"


@dataclass(frozen=True)
class Missing:
    """A required argument that the sentence does not give."""

    syscall: str
    parameter: str
    step: str = field(default="", compare=False)
    """Which of the plan's steps lacks it."""


@dataclass(frozen=True)
class Parsed:
    """What a model wrote, read back."""

    steps: tuple[Step, ...] = ()
    missing: tuple[Missing, ...] = ()
    chat: bool = False


def write(steps: Sequence[Step], table: Registry) -> str:
    """A plan in the language; edges that references imply are not repeated."""
    lines = []
    number = {step.id: f"s{index}" for index, step in enumerate(steps, 1)}
    for step in steps:
        order = [param.name for param in table[step.syscall].params]
        named = sorted(step.args.items(), key=lambda item: order.index(item[0]))
        args = ", ".join(f"{name}={_value(value, number)}" for name, value in named)
        implied = references(step.args)
        waits = [number[name] for name in step.after if name not in implied]
        lines.append(f"{step.syscall}({args})" + (f" after {', '.join(waits)}" if waits else ""))
    return "\n".join(lines) or NONE


def _value(value: Json, number: Mapping[str, str]) -> str:
    if isinstance(value, dict):
        step, _, name = str(value["$ref"]).partition(".")
        return f"{number.get(step, step)}.{name}"
    if isinstance(value, list):
        return f"[{', '.join(_value(item, number) for item in value)}]"
    if value == "?":
        return "?"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


_TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?(?:e-?\d+)?)(?![\w.])|(?P<ref>s\d+\.\w+)'
    r"|(?P<word>[A-Za-z_][\w.]*)|(?P<mark>[()\[\],=?]))"
)


class _Reader:
    def __init__(self, line: str) -> None:
        self.line, self.at = line, 0

    def peek(self) -> tuple[str, str]:
        match = _TOKEN.match(self.line, self.at)
        if match is None:
            rest = self.line[self.at :].strip()
            if rest:
                raise UserError(f"cannot read {rest!r} in the plan line {self.line!r}")
            return "end", ""
        return str(match.lastgroup), match.group(str(match.lastgroup))

    def next(self, *kinds: str) -> str:
        kind, text = self.peek()
        if kind not in kinds and text not in kinds:
            raise UserError(f"expected {' or '.join(kinds)}, not {text!r}, in the plan line {self.line!r}")
        match = _TOKEN.match(self.line, self.at)
        assert match is not None
        self.at = match.end()
        return text


def parse(text: str, table: Registry) -> Parsed:
    """Reads a plan back; names, references and the graph are checked, values are not yet.

    Raises:
        UserError: a line cannot be read, names no syscall, or refers to no earlier step.
    """
    lines = [line.strip() for line in text.strip().strip("`").splitlines()]
    lines = [line for line in lines if line and line not in {"python", "```"}]
    if not lines:
        raise UserError("the plan is empty")
    if lines[0].startswith((NONE, CHAT)):
        return Parsed(chat=lines[0].startswith(CHAT))
    steps: list[Step] = []
    missing: list[Missing] = []
    for index, line in enumerate(lines[:MOST_STEPS], 1):
        reader = _Reader(line)
        entry = table[reader.next("word")]
        reader.next("(")
        args: dict[str, Json] = {}
        while reader.peek()[1] != ")":
            name = reader.next("word")
            reader.next("=")
            if reader.peek()[1] == "?":
                reader.next("?")
                missing.append(Missing(entry.name, name, f"s{index}"))
            else:
                args[name] = _read_value(reader)
            if reader.peek()[1] == ",":
                reader.next(",")
        reader.next(")")
        after: list[str] = []
        if reader.peek()[1] == "after":
            reader.next("after")
            after.append(reader.next("word"))
            while reader.peek()[1] == ",":
                reader.next(",")
                after.append(reader.next("word"))
        if reader.peek()[0] != "end":
            raise UserError(f"there is more than a call in the plan line {line!r}")
        after += [name for name in references(args) if name not in after]
        wrong = [name for name in after if name not in {step.id for step in steps}]
        if wrong:
            raise UserError(f"{wrong[0]!r} is not an earlier step, in the plan line {line!r}")
        steps.append(Step(f"s{index}", entry.name, args, tuple(after)))
    return Parsed(tuple(steps), tuple(missing))


def _read_value(reader: _Reader) -> Json:
    kind, text = reader.peek()
    if text == "[":
        reader.next("[")
        items: list[Json] = []
        while reader.peek()[1] != "]":
            items.append(_read_value(reader))
            if reader.peek()[1] == ",":
                reader.next(",")
        reader.next("]")
        return items
    reader.next("string", "number", "ref", "word")
    if kind == "string":
        try:
            value: Json = json.loads(text)
        except ValueError:
            value = text[1:-1]
        return str(value).strip()
    if kind == "number":
        return float(text) if "." in text or "e" in text else int(text)
    if kind == "ref":
        return {"$ref": text}
    words: dict[str, Json] = {"True": True, "False": False, "true": True, "false": False}
    if text not in words:
        raise UserError(f"{text!r} is no value, in the plan line {reader.line!r}")
    return words[text]


_WORD = re.compile(
    r"<[A-Z][A-Z_]+_[1-9][0-9]*>|"  # stands for a private value
    r"[~.]{0,2}/[^\s,;\"'`，。；、“”’」』）]+|[A-Za-z0-9_~/.][A-Za-z0-9_~/.:@+\\-]*"
)
_EDGES = ".,:;!?/"


def chunks(sentence: str) -> list[str]:
    """The sentence in pieces that a value may begin and end at: words, single marks, single Chinese characters."""
    pieces: list[str] = []
    at = 0
    while at < len(sentence):
        match = _WORD.match(sentence, at)
        word = match.group() if match else sentence[at]
        if len(word) > 1:
            kept = word.rstrip(_EDGES)
            word = kept or word[0]
        pieces.append(word)
        at += len(word)
    return pieces


@dataclass(frozen=True)
class Spans:
    """What of a sentence may become a value."""

    pieces: tuple[str, ...]
    """The sentence, in pieces that free text may begin and end at."""
    names: tuple[str, ...]
    """What may be a name."""
    syscalls: tuple[str, ...]
    """The table's names."""
    topics: tuple[str, ...]
    """Syscalls and families that are named."""
    counted: bool
    """Whether a number or a duration is said at all."""
    chosen: Mapping[tuple[str, str], tuple[str, ...]]
    """For parameters (syscall, name) whose values are said literally: those that are said."""
    most: int = MOST_STEPS
    """Most calls that so many clauses can come to."""
    numbers: tuple[str, ...] = ()
    """The whole numbers that are said, where no other one can be meant; empty: any."""
    durations: tuple[str, ...] = ()
    """The durations that are said, in all ways of writing them; empty: any."""


def grammar(entries: Sequence[Syscall], spans: Spans) -> str:
    """A Lark grammar (llguidance's dialect) of the plans over some syscalls for one sentence.

    Names and free text can only be what the person wrote, or an earlier step's result. An optional
    figure can only be given where the sentence has one, and where it has no name only "?" can stand
    for one.
    """
    words = json.dumps([_escape(piece) for piece in spans.pieces] or [" "], ensure_ascii=False)
    rules = ['FREE: SPAN & /[^ ]((.|\n)*[^ ])?/', f'SPAN: %regex {{ "substring_chunks": {words} }}']
    if spans.names:
        rules.append(f"name: {' | '.join(_quote(_escape(name)) for name in spans.names)}")
    rules.append(f"syscall: {' | '.join(map(_quote, spans.syscalls))}")
    first: list[str] = []
    later: list[str] = []
    for index, entry in enumerate(entries):
        for where, listed in (("first", first), ("later", later)):
            call = _args(entry, entries, spans, later=where == "later")
            if call is not None:
                rules.append(f"{where}_{index}: {_quote(entry.name + '(')} {call} \")\"")
                listed.append(f"{where}_{index}")
    rules.append(r'after: " after " STEP (", " STEP)*')
    rules.append("STEP: /s[1-8]/")
    rest = f"({' | '.join(first)})"
    if spans.most > 1:
        rest += f' ("\\n" ({" | ".join(later)}) after?)~0..{spans.most - 1}'
    else:
        rules = [rule for rule in rules if not rule.startswith(("later_", "after:", "STEP:"))]
    rules.append(f"start: {_quote(NONE)} | {_quote(CHAT)} | {rest}")
    return "\n".join(rules)


def _args(entry: Syscall, entries: Sequence[Syscall], spans: Spans, later: bool) -> str | None:
    """The arguments in the signature's order, optional ones left out or not."""
    shaped = [(param, _shape(entry, param, entries, spans, later)) for param in entry.params]
    shapes = [(p.required, f'{_quote(p.name + "=")} {shape}') for p, shape in shaped if shape is not None]
    required = [shape for needed, shape in shapes if needed]
    optional = [shape for needed, shape in shapes if not needed]
    tails = [f'(", " {shape})?' for shape in optional]
    if required:
        return ' ", " '.join(required) + " " + " ".join(tails)
    starts = [f"{shape} {' '.join(tails[index + 1 :])}".strip() for index, shape in enumerate(optional)]
    return f"({' | '.join(starts)})?" if starts else ""


def _shape(
    entry: Syscall, param: Param, entries: Sequence[Syscall], spans: Spans, later: bool
) -> str | None:
    """What may stand for a parameter; None where nothing in the sentence can."""
    # one of a few numbers may be said within a word: `int8`
    said = spans.counted or (bool(param.choices) and any(map(str.isdigit, "".join(spans.pieces))))
    if param.kind in ("int", "float", "duration", "size") and not param.required and not said:
        return None
    whole = param.choices or spans.numbers
    said_so = " | ".join(map(_quote, spans.durations))
    lasting = f"({said_so})" if said_so else r'(/([0-9]{1,4}[wdhms]){1,3}/ | "forever")'
    choices = param.choices if param.required else spans.chosen.get((entry.name, param.name), param.choices)
    if param.kind == "choice" and not choices:
        return None
    shapes = {
        "choice": f'"\\"" ({" | ".join(_quote(choice) for choice in choices)}) "\\""',
        "int": f"({' | '.join(map(_quote, whole))})" if whole else "/[0-9]{1,7}/",
        "float": r"/[0-9]{1,4}(\.[0-9]{1,6})?(e-[0-9]{1,2})?/",
        "bool": '("True" | "False")',
        "duration": f'"\\"" {lasting} "\\""',
        "size": r'"\"" /[0-9]{1,5}(\.[0-9]{1,3})? ?([kmgtKMGT]i?)?[bB]?/ "\""',
        "private": '"\\"" FREE "\\""',
        "time": '"\\"" FREE "\\""',
        "text": '"\\"" FREE "\\""',
        "syscall": '"\\"" syscall "\\""',
    }
    name = '"\\"" name "\\""' if spans.names else None
    kinds = [shapes.get(param.kind, name)]
    if param.kind == "topic":
        kinds += [f'"\\"" {_quote(topic)} "\\""' for topic in spans.topics]
    wanted = {param.field, "text"} if param.kind == "private" else {param.field}
    fields = wanted & {field for other in entries for field in other.fields}
    if later and fields:
        kinds.append(f"/s[1-7]/ ({' | '.join(_quote('.' + field) for field in sorted(fields))})")
    if param.required and not param.many:
        kinds.append('"?"')
    kept = [kind for kind in kinds if kind]
    if not kept:
        return None
    one = f"({' | '.join(kept)})"
    return f'"[" {one} (", " {one})* "]"' if param.many else one


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _escape(piece: str) -> str:
    return json.dumps(piece, ensure_ascii=False)[1:-1]
