"""The few syscalls that could fit a sentence are found, however many there are."""

from __future__ import annotations

from typing import Any

import pytest

from agentos.kernel.examples import Example, collect
from agentos.kernel.retrieval import ENTRIES, SHOTS, Retrieval, beginning
from agentos.registry import Registry, installed
from agentos.syscall import describe, syscall
from agentos.types import Name, Undone


@pytest.fixture(scope="module")
def retrieval(syscalls: Registry, examples: list[Example]) -> Retrieval:
    return Retrieval(syscalls, examples)


def many(count: int) -> Registry:
    """The installed syscalls and so many more in families of eight."""
    table = installed()
    for number in range(count):

        @syscall(effect="read", name=f"frob{number}", examples={f"frobnicate number {number}": {"thing": "number"}})
        async def frob(ctx: Any, thing: Name) -> Undone:
            """Frobnicates a widget.

            Args:
                thing: Which.
            """
            return Undone("thing", thing)

        table.add(describe(frob, f"extra{number // 8}"))
    return table


def test_every_example_finds_its_own_syscalls_and_nearly_always_itself(
    retrieval: Retrieval, examples: list[Example]
) -> None:
    same = 0
    for example in examples:
        found = retrieval.find(example.text)
        assert example.syscalls <= {entry.name for entry in found.entries}, example.text
        same += found.guess is not None and found.guess.answer.split("(")[0] == example.answer.split("(")[0]
    assert same >= 0.95 * len(examples)


def test_a_clause_more_finds_a_syscall_more(retrieval: Retrieval) -> None:
    assert len(retrieval.find("load zeta").entries) == ENTRIES
    assert len(retrieval.find("load zeta and then show the disks").entries) == ENTRIES + 1


def test_each_clause_finds_its_own(retrieval: Retrieval) -> None:
    names = {entry.name for entry in retrieval.find("delete zeta, then show me the disk usage").entries}
    assert {"models.delete", "resources.query"} <= names


def test_what_is_shown_is_known_beforehand(retrieval: Retrieval, examples: list[Example]) -> None:
    known = {shown for _, shown in retrieval.around}
    for sentence in ("load zeta", "what is going on", "把它删了", *(example.text for example in examples[::7])):
        shown = retrieval.find(sentence).shots
        assert shown in known and len(shown) <= SHOTS


def test_a_sentence_like_nothing_still_finds_something(retrieval: Retrieval) -> None:
    found = retrieval.find("ξψζ")
    assert found.guess is None and found.shots == () and len(found.entries) == ENTRIES


def test_a_larger_table_finds_no_more(retrieval: Retrieval) -> None:
    table = many(200)
    larger = Retrieval(table, collect(table))
    for sentence in ("load zeta-7b", "现在GPU占用怎么样", "delete zeta, then show me the disk usage"):
        small, large = retrieval.find(sentence), larger.find(sentence)
        assert len(large.entries) == len(small.entries) and large.entries[0].name == small.entries[0].name
        assert len(large.shots) <= SHOTS


def test_an_answer_begins_up_to_the_first_copied_value() -> None:
    example = Example("load m now", 'models.load(model="m", device="gpu")', frozenset({"models.load"}))
    assert beginning(example) == 'models.load(model="'
    plain = Example("is there a gpu", 'resources.query(kind="memory")', frozenset())
    assert beginning(plain) == 'resources.query(kind="memory")'
