"""Tools and JSON for models that only write text: what they are told, and the grammar that holds them to it.

A call is written as `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, the form of Hermes and Qwen; a model whose
chat template has that form reads its tools through the template, any other one in its system message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentos.errors import UserError
from agentos.types import Generation, Json, Message, Prompt

BEGIN, END = "<tool_call>", "</tool_call>"
_COMPACT: dict[str, Json] = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_TOLD = """You may call functions. Their signatures, one a line:
{0}
To call one, write in place of an answer:
<tool_call>
{{"name": NAME, "arguments": OBJECT}}
</tool_call>
What it gave comes back in <tool_response></tool_response>."""


def native(template: object) -> bool:
    """Whether a chat template tells of tools by itself, and has calls written in this form."""
    return isinstance(template, str) and BEGIN in template and "tools" in template


def written(name: str, arguments: str) -> str:
    """A call as text."""
    return f'{BEGIN}\n{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": {arguments or "{}"}}}\n{END}'


def held(request: Generation, token: Callable[[str], int | None] = lambda text: None) -> Generation:
    """The request with the grammar that its schema and its choice of tools come to.

    Args:
        request: What is asked.
        token: The id of a text that is one token of its own; such a text is none of characters to a grammar.

    Raises:
        UserError: it has a grammar besides, or chooses a tool that it does not have.
    """
    grammar = _grammar(request, token)
    if grammar is None:
        return request
    if request.grammar is not None:
        raise UserError("an answer follows a grammar or a JSON Schema, not both")
    return replace(request, grammar=grammar)


def told(messages: Sequence[Message], tools: Sequence[Mapping[str, Json]]) -> list[dict[str, Any]]:
    """Turns as plain text for a model that knows nothing of tools; theirs are in its system message."""
    turns: list[dict[str, Any]] = []
    for turn in messages:
        if turn.role == "tool":
            turns.append({"role": "user", "content": f"<tool_response>\n{turn.content}\n</tool_response>"})
            continue
        calls = [written(call.name, call.arguments) for call in turn.calls]
        turns.append({"role": turn.role, "content": "\n".join(filter(None, [turn.content, *calls]))})
    if tools:
        text = _TOLD.format("\n".join(json.dumps(dict(tool), ensure_ascii=False) for tool in tools))
        if turns and turns[0]["role"] == "system":
            turns[0]["content"] += f"\n\n{text}"
        else:
            turns.insert(0, {"role": "system", "content": text})
    return turns


def templated(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Turns as a chat template of tools takes them."""
    turns: list[dict[str, Any]] = []
    for turn in messages:
        said: dict[str, Any] = {"role": turn.role, "content": turn.content}
        if turn.calls:
            said["tool_calls"] = [
                {"type": "function", "id": call.id, "function": {"name": call.name, "arguments": _read(call.arguments)}}
                for call in turn.calls
            ]
        if turn.role == "tool":
            said["tool_call_id"] = turn.call
        turns.append(said)
    return turns


def functions(tools: Sequence[Mapping[str, Json]]) -> list[dict[str, Any]]:
    """Tools in OpenAI's form, which templates and providers take."""
    return [{"type": "function", "function": dict(tool)} for tool in tools]


def _read(arguments: str) -> Any:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def _grammar(request: Generation, token: Callable[[str], int | None]) -> str | None:
    if isinstance(request.prompt, Prompt):
        tools: list[Mapping[str, Json]] = []
    else:
        tools = [tool for tool in request.tools if request.tool_choice in ("auto", "required", tool["name"])]
    choice = request.tool_choice
    if choice not in ("auto", "none") and not tools:
        raise UserError(f"the tool {choice!r} is to be called and is none of the tools; nothing was asked")
    must = choice not in ("auto", "none")
    if request.schema is None and not must:
        return None
    rules, starts = [], []
    if request.schema is not None and not must:
        rules.append(f"answer: %json {_compact(request.schema)}")
        starts.append("answer")
    for number, tool in enumerate(tools):
        begin = json.dumps(f'\n{{"name": {json.dumps(tool["name"])}, "arguments": ')
        marks = [_mark(BEGIN, token), begin, f"arguments{number}", json.dumps("}\n"), _mark(END, token)]
        rules.append(f"call{number}: {' '.join(marks)}")
        rules.append(f"arguments{number}: %json {_compact(tool.get('parameters') or {'type': 'object'})}")
        starts.append(f"call{number}")
    return "\n".join([f"start: {' | '.join(starts)}", *rules, ""])


def _mark(text: str, token: Callable[[str], int | None]) -> str:
    number = token(text)
    return json.dumps(text) if number is None else f"<[{number}]>"


def _compact(schema: Json) -> str:
    """A schema as the grammar has it, without free white space: a weak model would write it for ever."""
    if isinstance(schema, dict):
        schema = {**schema, "x-guidance": {**_COMPACT}}
    return json.dumps(schema, ensure_ascii=False)
