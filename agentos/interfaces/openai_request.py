"""A request in OpenAI's form as an engine takes it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from agentos.engines.tools import END
from agentos.interfaces.openai_errors import BadRequest
from agentos.interfaces.openai_shapes import ChatRequest, Choice, Turn, joined, nucleus
from agentos.types import Generation, Message, ToolCall

LONGEST_SESSION = 512


def generation(asked: ChatRequest, context: int) -> Generation:
    """What a model is asked.

    Raises:
        BadRequest: parameters do not go together.
    """
    if asked.top_logprobs is not None and not asked.logprobs:
        raise BadRequest("'top_logprobs' takes 'logprobs' to be true; nothing was done", "top_logprobs")
    if asked.stream_options is not None and not asked.stream:
        raise BadRequest("'stream_options' takes 'stream' to be true; nothing was done", "stream_options")
    if asked.max_tokens is not None and asked.max_completion_tokens is not None:
        raise BadRequest("give 'max_completion_tokens' or 'max_tokens', not both; nothing was done", "max_tokens")
    known = {tool.function.name for tool in asked.tools or ()}
    if len(known) != len(asked.tools or ()):
        raise BadRequest("two tools have one name; nothing was done", "tools")
    choice = asked.tool_choice
    if choice not in (None, "auto", "none") and not known:
        raise BadRequest("'tool_choice' takes 'tools' to choose from; nothing was done", "tool_choice")
    if isinstance(choice, Choice) and choice.function.name not in known:
        raise BadRequest(f"there is no tool {choice.function.name!r}; nothing was done", "tool_choice")
    form = asked.response_format
    schema: Any = None
    if form is not None and form.type != "text":
        schema = {"type": "object"} if form.type == "json_object" else form.json_schema.schema_
    likely = (asked.top_logprobs or 0) if asked.logprobs else None
    return Generation(
        secrets.token_hex(12), turns(asked.messages),
        asked.max_completion_tokens or asked.max_tokens or context,
        temperature=1.0 if asked.temperature is None else asked.temperature, top_p=nucleus(asked.top_p),
        stop=alone(tuple(filter(None, asked.stops)), asked.parallel_tool_calls if known else None), seed=asked.seed,
        logprobs=likely, schema=schema,
        tools=tuple(tool.function.model_dump(exclude_none=True, exclude={"strict"}) for tool in asked.tools or ()),
        tool_choice=choice.function.name if isinstance(choice, Choice) else choice or "auto",
        draft=(joined(asked.prediction.content),) if asked.prediction is not None else (),
    )


def alone(stop: tuple[str, ...], parallel: bool | None) -> tuple[str, ...]:
    """What ends an answer, the end of its first call included where calls may not be several."""
    return (*stop, END) if parallel is False else stop


def session(request: Request, user: str | None) -> str:
    """What a request belongs to: `X-Session`, or else OpenAI's `user`. A yes for a session holds within it.

    Raises:
        BadRequest: it is too long to be one.
    """
    said = request.headers.get("x-session", "") or user or ""
    if len(said) > LONGEST_SESSION:
        raise BadRequest(f"'X-Session' is longer than {LONGEST_SESSION} characters; nothing was done", "X-Session")
    return said


def turns(messages: Sequence[Turn]) -> tuple[Message, ...]:
    """A conversation as an engine takes it."""
    found = []
    for turn in messages:
        text = joined(turn.content)
        if turn.role == "assistant":
            calls = turn.tool_calls or ()
            made = tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in calls)
            found.append(Message("assistant", text or turn.refusal or "", made))
        elif turn.role == "tool":
            found.append(Message("tool", text, call=turn.tool_call_id))
        else:
            found.append(Message("user" if turn.role == "user" else "system", text))
    return tuple(found)


def nth(wanted: Generation, index: int) -> Generation:
    """The request for one of several choices: a seed of its own, where there is one."""
    seed = None if wanted.seed is None else wanted.seed + index
    return replace(wanted, id=f"{wanted.id}-{index}", seed=seed)


def names(asked: ChatRequest) -> set[str]:
    """Functions that may be called."""
    return {tool.function.name for tool in asked.tools or ()} if asked.tool_choice != "none" else set()
