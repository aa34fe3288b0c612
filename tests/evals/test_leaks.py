"""No sentence that a kernel is examined on is one that it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from functools import cache
from importlib import resources
from itertools import combinations
from typing import Any

import yaml

from agentos.kernel.corpus.build import Corpus
from agentos.kernel.evaluation import load_suite
from agentos.kernel.examples import collect, sayings
from agentos.registry import installed

TABLE = installed()
SUITES = [load_suite(name, TABLE) for name in ("plans", "unseen")]
EXAMINED = {f"{suite.name}/{case.id}": case.text for suite in SUITES for case in suite.cases}


@cache
def plain(text: str) -> str:
    """The letters, digits and characters of a sentence, in lower case."""
    return "".join(char for char in text.lower() if char.isalnum())


@cache
def grams(text: str) -> frozenset[str]:
    """Its runs of four characters."""
    return frozenset(text[at : at + 4] for at in range(len(text) - 3))


def alike(one: str, other: str) -> bool:
    """Whether two sentences are the same but for a slip of the pen."""
    a, b = plain(one), plain(other)
    if a == b:
        return True
    if grams(a) and grams(b) and len(grams(a) & grams(b)) > 0.8 * len(grams(a) | grams(b)):
        return True
    if 2 * min(len(a), len(b)) <= 0.9 * (len(a) + len(b)):  # then no ratio can be greater
        return False
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    return matcher.quick_ratio() > 0.9 and matcher.ratio() > 0.9


def sentences(value: Any) -> Iterator[str]:
    """Every `text` in an examples file, at whatever depth."""
    if isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value["text"]
        for inner in value.values():
            yield from sentences(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from sentences(inner)


def shown() -> list[str]:
    found = [sentence for entry in TABLE for sentence in entry.examples]
    found += [sentence for suite in SUITES for entry in suite.syscalls for sentence in entry.examples]
    for file in resources.files("agentos.tools").iterdir():
        if file.name.endswith(".yaml"):
            found += sentences(yaml.safe_load(file.read_text(encoding="utf-8")))
    return found


def learned() -> list[str]:
    """All that the kernel's training set is made of."""
    folder = resources.files("agentos.kernel.corpus")
    phrases = yaml.safe_load(folder.joinpath("phrases.yaml").read_text("utf-8"))
    kinds = ("decline", "chat", "context_before")
    found = [text for kind, listed in phrases.items() if kind.startswith(kinds) for text in listed]
    files = [file for name in ("tools", "sayings") for file in folder.joinpath(name).iterdir()]
    return found + [one for file in files for one in sentences(yaml.safe_load(file.read_text("utf-8")))]


def test_the_measure_finds_a_leak() -> None:
    assert alike("Load smollm2-135m, please!", "load smollm2-135m please")
    assert alike("delete the model called bert-mini from the disk", "delete the model called bert-mini from disk")
    assert alike("现在显卡占用怎么样？", "现在显卡占用怎么样")
    assert not alike("load smollm2-135m", "how much memory is free?")


def test_there_are_examples_to_compare_with() -> None:
    assert len(shown()) > 10


def test_no_sentence_of_a_suite_is_drawn_for_training() -> None:
    table = installed()
    examined = {plain(text) for text in EXAMINED.values()}
    rows = Corpus(table, [*collect(table), *sayings(table)], seed=11).rows(1500, others=10)
    assert not [row.text for row in rows if plain(row.text) in examined]


def test_no_sentence_of_a_suite_is_shown_to_the_kernel_or_learned() -> None:
    others = shown() + learned()
    leaks = [(case, text, other) for case, text in EXAMINED.items() for other in others if alike(text, other)]
    assert leaks == []


def test_no_two_sentences_of_the_suites_are_nearly_the_same() -> None:
    assert [(a, b) for (a, one), (b, other) in combinations(EXAMINED.items(), 2) if alike(one, other)] == []
