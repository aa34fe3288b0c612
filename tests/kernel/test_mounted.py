"""A mounted server's tools can be planned with at once, and change nothing of how anything else is planned."""

from __future__ import annotations

from typing import Any

import pytest

from agentos.kernel.examples import Example, collect
from agentos.kernel.language import grammar
from agentos.kernel.pages import Pages
from agentos.kernel.retrieval import ENTRIES, Retrieval
from agentos.kernel.sheets import Sheets, line
from agentos.kernel.spans import SpanFinder
from agentos.mounts.answer import Answer, Tool
from agentos.mounts.tools import entries
from agentos.registry import Registry, installed

SENTENCES = ("how much memory is free?", "load qwen2.5-0.5b for 10 minutes", "删除模型 bert", "tune bert on reviews")


async def unused(tool: str, args: dict[str, Any], ctx: Any) -> Answer:
    raise AssertionError


def mount(table: Registry, *tools: Tool) -> None:
    table.mounted("forge", entries("forge", tools, False, unused).entries)


@pytest.fixture
def own() -> Registry:
    return installed()


def issue() -> Tool:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    return Tool("create_issue", "Opens an issue in the forge.", schema)


def test_a_tool_is_found_named_behind_and_written_as_soon_as_it_is_mounted(own: Registry) -> None:
    examples: list[Example] = collect(own)
    retrieval, sheets, pages, spans = Retrieval(own, examples), Sheets(own), Pages(own, "o"), SpanFinder(own, examples)
    sentence = "create an issue in the forge with the title 'disk is full'"
    assert "forge.create_issue" not in {entry.name for entry in retrieval.find(sentence).entries}
    mount(own, issue())
    found = retrieval.find(sentence)
    assert "forge.create_issue" in {entry.name for entry in found.entries}
    laid = sheets.lay(found)
    assert line(own["forge.create_issue"]) in "".join(laid.blocks) and own["forge.create_issue"] in laid.entries
    assert "forge.create_issue(" in "".join(pages.lay(found)[1])
    assert '"forge.create_issue("' in grammar(laid.entries, spans.find(sentence))
    own.mounted("forge", ())
    assert sheets.lay(retrieval.find(sentence)).blocks == ()


def test_a_server_that_describes_itself_as_everything_crowds_nothing_out(own: Registry) -> None:
    examples = collect(own)
    retrieval, sheets, spans = Retrieval(own, examples), Sheets(own), SpanFinder(own, examples)
    before = [(retrieval.find(said), sheets.prefixes, spans.find(said)) for said in SENTENCES]
    words = "memory free load model delete finetune dataset reviews bert how much minutes 删除 模型 内存"
    choice = {"type": "object", "properties": {"what": {"type": "string", "enum": ["bert", "reviews", "qwen2"]}}}
    mount(own, *(Tool(f"memory_load_{number}", words, choice) for number in range(128)))
    for said, (found, prefixes, names) in zip(SENTENCES, before, strict=True):
        now = retrieval.find(said)
        ours = tuple(entry for entry in now.entries if not entry.mount)
        assert ours == found.entries and len(now.entries) - len(ours) <= ENTRIES
        assert {name: now.weights[name] for name in found.weights} == found.weights and now.shots == found.shots
        assert sheets.prefixes == prefixes and spans.find(said).names == names.names
        laid = sheets.lay(now)
        assert laid.prefix in prefixes and len("".join(laid.blocks)) < 4000
