"""Tools and JSON Schemas for models that only write text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from llguidance import LLMatcher
from transformers import AutoTokenizer

from agentos.engines import tools
from agentos.engines.form import form
from agentos.errors import UserError
from agentos.types import Completed, Generation, Message, ToolCall

WEATHER: dict[str, Any] = {
    "name": "weather", "description": "How the weather is in a city, now.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TALK = (
    Message("system", "Be brief."), Message("user", "How is it in Oslo?"),
    Message("assistant", "", (ToolCall("c1", "weather", '{"city": "Oslo"}'),)), Message("tool", "fine", call="c1"),
)


def asked(**more: Any) -> Generation:
    return Generation("t", (Message("user", "x"),), **more)


@pytest.mark.parametrize("more", [
    {"schema": {"type": "object"}},
    {"tools": (WEATHER,), "tool_choice": "required"},
    {"tools": (WEATHER, {"name": "now"}), "tool_choice": "now"},
    {"tools": (WEATHER,), "schema": {"enum": ["a", 'b"\\n']}},
    {"tools": ({"name": "f-1", "parameters": {"$defs": {"d": {"type": "integer"}}, "$ref": "#/$defs/d"}},),
     "tool_choice": "required"},
])
def test_what_is_asked_for_becomes_a_grammar_that_compiles(more: dict[str, Any]) -> None:
    grammar = tools.held(asked(**more)).grammar
    assert grammar and not LLMatcher.validate_grammar(grammar)


def test_nothing_is_held_that_need_not_be() -> None:
    assert tools.held(asked(tools=(WEATHER,))).grammar is None
    assert tools.held(asked(tools=(WEATHER,), tool_choice="none")).grammar is None
    assert tools.held(asked(grammar='start: "a"')).grammar == 'start: "a"'


@pytest.mark.parametrize("more", [
    {"tools": (WEATHER,), "tool_choice": "snow"}, {"tool_choice": "required"},
    {"grammar": 'start: "a"', "schema": {"type": "object"}},
])
def test_what_cannot_be_held_is_the_askers_error(more: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        tools.held(asked(**more))


def test_a_model_without_tools_in_its_template_reads_them_as_text() -> None:
    turns = tools.told(TALK, (WEATHER,))
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[0]["content"].startswith("Be brief.\n\n") and "How the weather is" in turns[0]["content"]
    assert turns[2]["content"] == '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
    assert turns[3]["content"] == "<tool_response>\nfine\n</tool_response>"
    assert tools.told(TALK[1:2], (WEATHER,))[0]["role"] == "system"


def test_a_template_with_tools_gets_them_in_its_own_form(tiny_models: dict[str, Path]) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_models["qwen2"])
    tokenizer.chat_template = "{# <tool_call> #}{{ [tools, messages] | tojson }}"
    known, turns = json.loads(form(tokenizer, Generation("t", TALK, tools=(WEATHER,))).text)
    assert known == [{"type": "function", "function": WEATHER}]
    assert turns[2]["tool_calls"][0]["function"] == {"name": "weather", "arguments": {"city": "Oslo"}}
    assert turns[3]["tool_call_id"] == "c1"
    assert json.loads(form(tokenizer, Generation("t", TALK, tools=(WEATHER,), tool_choice="none")).text)[0] is None
    tokenizer.chat_template = "{{ raise_exception('no system messages') }}"
    with pytest.raises(UserError, match="no system messages"):
        form(tokenizer, Generation("t", TALK))


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="session")
async def test_the_default_model_calls_a_tool_of_its_own_accord_and_answers_in_a_schema(kernel_engine: Any) -> None:
    async def answer(**more: Any) -> Completed:
        async for item in kernel_engine.generate(Generation("tools", **more)):
            if isinstance(item, Completed):
                return item
        raise AssertionError("an answer ended without saying so")

    question = (Message("user", "What is the weather in Oslo? Use the tool."),)
    end = await answer(prompt=question, tools=(WEATHER,), tool_choice="required", max_tokens=60)
    body = end.text.removeprefix("<tool_call>").removesuffix("</tool_call>")
    assert json.loads(body) == {"name": "weather", "arguments": {"city": "Oslo"}}
    schema: Any = {"type": "object", "properties": {"capital": {"type": "string", "maxLength": 20}},
                   "required": ["capital"], "additionalProperties": False}
    end = await answer(prompt=(Message("user", "What is the capital of France?"),), schema=schema, max_tokens=40)
    assert json.loads(end.text) == {"capital": "Paris"}
