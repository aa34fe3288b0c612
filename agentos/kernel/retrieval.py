"""The few syscalls and examples that could fit a sentence: TF-IDF over the table's own words.

Retrieval only narrows what the model is shown, so that a prompt costs the same over 30 syscalls as
over 300; which syscall it is, if any, is the model's choice.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentos.kernel.examples import Example
from agentos.registry import Registry
from agentos.syscall import Syscall

ENTRIES = 4
"""Syscalls that a sentence of one clause is held to; one more for each further clause."""
SHOTS = 6
"""Examples shown."""
CLAUSE, DOCUMENTED = 0.8, 0.5
"""What a likeness to one clause, or to the documentation, counts against one to an example as a whole."""


@dataclass(frozen=True)
class Found:
    """What fits a sentence, best first."""

    entries: tuple[Syscall, ...]
    shots: tuple[Example, ...]
    """A group of alike examples with the nearest one among them; always the same for one nearest example."""
    guess: Example | None
    """The nearest example."""
    weights: dict[str, float]
    """How near the nearest example of each syscall is, 0 to 1; `none()` and `chat()` among them."""
    beginnings: dict[str, float]
    """The same for how answers begin, up to the first value that is copied from the sentence."""


def features(text: str) -> Counter[str]:
    """Words, pairs of words, three-letter pieces of words, Chinese characters and pairs of them."""
    said = text.lower()
    words = re.findall(r"[a-z]+|\d+", said)
    found: Counter[str] = Counter(words)
    found.update(f"{a} {b}" for a, b in zip(words, words[1:], strict=False))
    for word in words:
        padded = f"^{word}$"
        found.update(f"~{padded[i : i + 3]}" for i in range(len(padded) - 2))
    for run in re.findall(r"[\u3400-\u9fff]+", said):
        found.update(run)
        found.update(run[i : i + 2] for i in range(len(run) - 1))
    return found


NAMED = re.compile(
    r"""(?<!\w)(?=[\w./:@-]*[A-Za-z])(?=[\w./:@-]*[0-9_./:-])[A-Za-z0-9~/.][\w./:@-]*\w|["“「『`][^"”」』`]+["”」』`]""",
    re.ASCII,
)
"""What is a name by its shape (`qwen2.5-0.5b`, `/data/x.gguf`), or stands in quotes."""


class Index:
    """TF-IDF vectors in an inverted index."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Reads the texts once; the numbers `rank` gives are places in this list."""
        counts = [features(text) for text in texts]
        spread = Counter(name for count in counts for name in count)
        self._weight = {name: math.log(1 + len(texts) / (1 + seen)) for name, seen in spread.items()}
        self._where: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, count in enumerate(counts):
            vector = {name: (1 + math.log(times)) * self._weight[name] for name, times in count.items()}
            norm = math.sqrt(sum(value * value for value in vector.values())) or 1.0
            for name, value in vector.items():
                self._where[name].append((number, value / norm))

    def rank(self, text: str) -> dict[int, float]:
        """Cosine similarities of the texts that share anything with this one."""
        scores: dict[int, float] = defaultdict(float)
        vector = {n: (1 + math.log(times)) * self._weight.get(n, 0.0) for n, times in features(text).items()}
        norm = math.sqrt(sum(value * value for value in vector.values())) or 1.0
        for name, value in vector.items():
            for number, other in self._where.get(name, ()):
                scores[number] += value / norm * other
        return scores


JOINTS = re.compile(
    r"\b(?:and then|then|after that|afterwards|and|also|plus)\b|[,;.!?，；。！？]\s*"
    r"|然后|接着|之后|同时|顺便|并且|再",
    re.I,
)


def beginning(example: Example) -> str:
    """How an example's answer begins, up to the first value that is copied from its sentence."""
    line = example.answer.split("\n", 1)[0]
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"', line):
        if match.group(1) in example.text:
            return line[: match.start() + 1]
    return line


def _documentation(entry: Syscall) -> str:
    return f"{entry.name.replace('.', ' ')} {entry.doc}"


class Retrieval:
    """Retrieval over one table."""

    def __init__(self, table: Registry, examples: Iterable[Example], grouped: bool = True) -> None:
        """Indexes the examples' sentences and the syscalls' names and docstrings.

        Args:
            table: The syscalls.
            examples: Sentences whose plans are known.
            grouped: Whether to find which examples are shown together; a kernel that is shown none needs it not.
        """
        self._table = table
        self._examples = list(examples)
        self._entries = list(table.own())
        self._mounted: list[Syscall] = []
        self._seen = -1
        params = [param for entry in self._entries for param in entry.params if param.kind == "choice"]
        self._choices = {choice for param in params for choice in param.choices}
        self._plain = [self._without_values(example) for example in self._examples]
        self._said = Index(self._plain)
        self._documented = Index(list(map(_documentation, self._entries)))
        self._described = Index([])
        self._starts = [beginning(example) for example in self._examples]
        self._around = self._neighbourhoods() if grouped else [()] * len(self._examples)

    @property
    def around(self) -> list[tuple[Example, tuple[Example, ...]]]:
        """Each example with the `Found.shots` of sentences that it is the nearest to."""
        return list(zip(self._examples, self._around, strict=True))

    def find(self, sentence: str) -> Found:
        """The syscalls and examples nearest to a sentence, and to each of its clauses."""
        plain = NAMED.sub(" ", sentence)
        clauses = [part for part in JOINTS.split(plain) if part and part.strip()]
        asked = [plain, *clauses] if len(clauses) > 1 else [plain]
        whole = self._said.rank(plain)
        self._follow()
        near: dict[int, float] = defaultdict(float)
        weights: dict[str, float] = defaultdict(float)
        beginnings: dict[str, float] = defaultdict(float)
        for number, text in enumerate(asked):
            share = 1.0 if number == 0 else CLAUSE
            for place, score in self._said.rank(text).items():
                near[place] = max(near[place], share * score)
            for place, score in self._documented.rank(text).items():
                name = self._entries[place].name
                weights[name] = max(weights[name], DOCUMENTED * share * score)
            for place, score in self._described.rank(text).items():
                name = self._mounted[place].name
                weights[name] = max(weights[name], DOCUMENTED * share * score)
        for place, score in near.items():
            example = self._examples[place]
            for name in example.syscalls or {example.answer}:
                weights[name] = max(weights[name], score)
            start = self._starts[place]
            beginnings[start] = max(beginnings[start], score)
        names = [entry.name for entry in self._entries]
        best = sorted(names, key=lambda name: -weights.get(name, 0.0))[: ENTRIES + len(clauses) - 1]
        # Beside the others and never in their place: who describes a tool elsewhere crowds nothing out here.
        others = sorted((entry.name for entry in self._mounted if weights.get(entry.name)), key=lambda n: -weights[n])
        best = sorted([*best, *others[:ENTRIES]], key=lambda name: -weights.get(name, 0.0))
        first = max(whole, key=lambda place: whole[place], default=None)
        entries = tuple(self._table[name] for name in best)
        shots = () if first is None else self._around[first]
        guess = None if first is None else self._examples[first]
        return Found(entries, shots, guess, dict(weights), dict(beginnings))

    def _follow(self) -> None:
        """Takes in what servers that are mounted describe, apart from the rest: their words weigh no other's."""
        if self._seen != self._table.version:
            self._seen = self._table.version
            self._mounted = [entry for entry in self._table if entry.mount]
            self._described = Index(list(map(_documentation, self._mounted)))

    def _without_values(self, example: Example) -> str:
        """An example's sentence less its names and texts, which say nothing of what is asked."""
        text = NAMED.sub(" ", example.text)
        for value in re.findall(r'"((?:[^"\\]|\\.)*)"', example.answer):
            if value not in self._choices:
                text = text.replace(value, " ")
        return text

    def _neighbourhoods(self) -> list[tuple[Example, ...]]:
        """For each example, the group that is shown where it is the nearest; neighbours share one.

        A group is an example and its nearest neighbours; of all such groups, few enough are kept that every
        example is in one (greedy set cover), because the states of each one are kept in memory.
        """
        groups = []
        for place, plain in enumerate(self._plain):
            scores = self._said.rank(plain)
            others = sorted((other for other in scores if other != place), key=lambda other: -scores[other])
            groups.append([*reversed(others[: SHOTS - 1]), place])
        around: dict[int, list[int]] = {}
        left = [set(group) for group in groups]
        while len(around) < len(groups):
            best = max(range(len(groups)), key=lambda place: (len(left[place]), -place))
            fresh = left[best] - around.keys()
            around.update(dict.fromkeys(fresh, groups[best]))
            left = [members - fresh for members in left]
        return [tuple(self._examples[member] for member in around[place]) for place in range(len(groups))]
