"""Puts the name of what was spoken of in a pronoun's place: a sentence that names its thing is planned best.

Only where a pronoun is the object of what is asked: no expletive `it`, and none in a quotation or a text for a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentos.kernel import referring, words
from agentos.kernel.context import Past, Value, kind_of
from agentos.kernel.language import Missing
from agentos.kernel.planner import Planned
from agentos.registry import Registry
from agentos.types import Step

_NOUNS = {
    "model": "model", "dataset": "dataset", "data set": "dataset", "job": "job", "task": "job", "run": "run",
    "user": "user", "模型": "model", "数据集": "dataset", "任务": "job", "作业": "job", "训练": "run", "用户": "user",
}
_SAID = {
    "model": ("the model", "模型"), "dataset": ("the dataset", "数据集"), "job": ("job", "任务"),
    "run": ("the run", "训练"), "user": ("user", "用户"),
}
"""How a sentence says what a thing is: `delete reviews` may mean a model, `delete the dataset reviews` does not."""
_EN = r"model|data ?set|job|task|run|user"
_ZH = "模型|数据集|任务|作业|训练|用户"
_END = r"(?=\s*(?:$|[.,;!?，。；！？]|(?:and|then|again|now|too|as well|please|once|instead|to|from|for|on|with)\b))"
_PRONOUN = re.compile(
    rf"\b(?:(?:that|this|the same) (?P<en>{_EN})(?!\w)|(?:that|this) one\b|the same one\b|(?:those|these) ones\b"
    rf"|it\b(?!['’])|them\b|him\b|(?:that|this|those|these|her)\b{_END})"
    rf"|(?:这|那|刚才那|刚刚那|前面那|上面那|同一)一?个(?P<zh>{_ZH})|[该此](?P<short>{_ZH})"
    r"|(?<![其吉])它们?|(?<![其吉])[他她](?![人们国乡])|(?:刚才|刚刚|前面|上面)那一?个"
    r"|(?<=[把给对将])(?:这|那)一?个(?=[卸删加载停取量训评清拆分释关看重])|(?:这|那)一?个(?=\s*(?:$|[.,;!?，。；！？吧也再]))",
    re.I,
)
_PERSONS = frozenset({"him", "her", "他", "她"})
_BEFORE = re.compile(r"(?P<word>[A-Za-z]+)\s+$")
_NO_OBJECT = re.compile(
    r"(?:is|isn|was|wasn|are|were|will|would|won|could|can|may|might|should|shall|must|do|does|doesn|did|has|had|hasn|be"
    r"|if|when|while|that|this|because|since|as|whether|what|how|why|where|who|once|until|unless|before|after|so|but|or"
    r"|think|hope|guess|mean|like|say|says|said|believe|worth|mind|got|make|made|done|doing|undo|redo|undid|try|retry"
    r"|repeat|revert|forget|s|t|ll)",
    re.I,
)
"""After these no pronoun is a thing that something is done to: `is it possible`, `do it again`, `undo that`."""
_SUBJECT = re.compile(
    r"\s+(?:is|isn|was|wasn|are|were|will|would|can|could|may|might|should|must|does|doesn|did|has|had|seems?|looks?"
    r"|takes?|took|matters?|works?|worked|happens?|depends|feels?|sounds?|easy)\b|(?<=它)(?:是|会|能|在|为什么|怎么)",
    re.I,
)
_IDLE = re.compile(r"(?:不管|随|管|去|由)$")
_PLAIN = re.compile(r"[^\s\"'“”‘’「」『』`\\]+(?: [^\s\"'“”‘’「」『』`\\]+)*")


@dataclass(frozen=True)
class Pronoun:
    """A pronoun, in all places of a sentence where it is an object."""

    sentence: str
    places: tuple[tuple[int, int], ...]
    word: str
    kind: str
    """What it says that its thing is: `that model`; empty where it does not."""

    def put(self, value: Value, named: Callable[[str], Sequence[str]]) -> str:
        """The sentence with a thing's name instead.

        Args:
            value: The thing.
            named: The names that are found in a sentence; one that is not found bare is put in quotes.
        """
        label = _SAID.get(value.kind, ("", ""))[words.language(self.sentence) == "zh"]
        bare = self._with(f"{label} {value.value}".strip())
        if " " not in value.value and value.value in named(bare):
            return bare
        return self._with(f'{label} "{value.value}"'.strip())

    def names_besides(self, names: Sequence[str]) -> bool:
        """Whether a sentence names a thing itself; the word right before a pronoun is a verb, however rare it is."""
        before = (_BEFORE.search(self.sentence[:start]) for start, _ in self.places)
        return bool(set(names) - {match["word"] for match in before if match is not None})

    def _with(self, said: str) -> str:
        made, at = "", 0
        for start, end in self.places:
            before, after = self.sentence[at:start], self.sentence[end : end + 1]
            made += before + (" " if before and not before[-1].isspace() else "") + said
            made += " " if after.isalnum() else ""
            at = end
        return made + self.sentence[at:]


def find(sentence: str) -> Pronoun | None:
    """The one pronoun that stands for a thing; None where there is none, or several that may differ."""
    if len(sentence) > referring.LONGEST:
        return None
    head = referring.without_texts(sentence)
    saying = referring.SAYING.search(head)
    found = [match for match in _PRONOUN.finditer(head) if _object(head, match)]
    if saying is not None:  # what follows whom something is said to is a text for it
        found = [match for match in found if not head[saying.end() : match.start()].strip()]
    said = {match[0].lower() for match in found}
    if len(said) != 1:
        return None
    noun = next(filter(None, found[0].groups()), "").lower()
    places = tuple(match.span() for match in found)
    return Pronoun(sentence, places, said.pop(), _NOUNS.get(noun, "dataset" if noun else ""))


def _object(head: str, match: re.Match[str]) -> bool:
    """Whether something is done to what a pronoun means."""
    before, after = head[: match.start()], head[match.end() :]
    if _SUBJECT.match(head, match.end()):
        return False
    if words.language(match[0]) == "zh":
        return _IDLE.search(before) is None
    word = _BEFORE.search(before)
    return word is not None and not _NO_OBJECT.fullmatch(word["word"]) and not after.startswith("-")


def spoken(pronoun: Pronoun, past: Past) -> tuple[Value, ...]:
    """What a pronoun may mean: the things that were spoken of last, each once."""
    kind = pronoun.kind or ("user" if pronoun.word in _PERSONS else "")
    if kind:
        return past.candidates(kind)
    last: Sequence[Value] = next((turn.values for turn in reversed(past.turns) if turn.values), ())
    found = {(one.kind, one.value): one for one in last if one.kind != "user"}
    return tuple(found.values())


def sayable(values: Sequence[Value]) -> bool:
    """Whether a sentence may name these: of one kind, and none given by text from outside, of which no plan is made."""
    own = all(not one.source and len(one.value) <= referring.LONGEST and _PLAIN.fullmatch(one.value) for one in values)
    return own and len({one.kind for one in values}) == 1


def used(steps: Sequence[Step], value: Value, table: Registry) -> tuple[Missing, ...]:
    """The arguments that are a thing; none where it is none, or stands where no thing of its kind belongs."""
    whole = re.compile(rf"(?<![\w.-]){re.escape(value.value)}(?![\w.-])")
    found = []
    for step in steps:
        kinds = {param.name: kind_of(table[step.syscall], param) for param in table[step.syscall].params}
        for name, said in step.args.items():
            if said == value.value and kinds.get(name) == value.kind:
                found.append(Missing(step.syscall, name, step.id))
            elif not isinstance(said, dict) and whole.search(str(said)) and not isinstance(said, int | float):
                return ()
    return tuple(found)


def kinds(planned: Planned, table: Registry) -> set[str]:
    """What the arguments are of that a plan lacks."""
    params = [(table[one.syscall], one.parameter) for one in planned.missing]
    return {kind_of(entry, param) for entry, name in params for param in entry.params if param.name == name}


def rivals(planned: Planned, values: Sequence[Value], table: Registry) -> list[str]:
    """Things of several kinds to each of which a plan's one call could be made: `delete it`."""
    if len(planned.steps) != 1:
        return []
    verb = _verb(planned.steps[0])
    takes = {
        kind_of(entry, param) for entry in table if entry.name.rpartition(".")[2] == verb
        for param in entry.params if param.required
    }
    found = [one for one in values if one.kind in takes]
    return [f"{one.kind} {one.value}" for one in found] if len({one.kind for one in found}) > 1 else []


def alike(planned: Planned, steps: Sequence[Step]) -> bool:
    """Whether steps do what a plan that lacks arguments does, be it to another kind of thing."""
    return [_verb(one) for one in planned.steps] == [_verb(one) for one in steps]


def _verb(step: Step) -> str:
    return step.syscall.rpartition(".")[2]
