"""`/v1/responses`: the newer form of a conversation, with what came before kept for those who name it."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agentos.interfaces.http_auth import known
from agentos.interfaces.http_scope import person
from agentos.interfaces.openai_answer import SYSTEM, Answers, Note, Piece, until_gone, writes
from agentos.interfaces.openai_errors import BadRequest
from agentos.interfaces.openai_read import raw, read
from agentos.interfaces.openai_request import alone, session
from agentos.interfaces.openai_response_events import Output
from agentos.interfaces.openai_response_shapes import CallItem, FlatChoice, MessageItem, OutputItem, ResponseRequest
from agentos.interfaces.openai_response_store import Kept, ResponseStore
from agentos.interfaces.openai_shapes import AssistantTurn, SystemTurn, UserTurn, nucleus
from agentos.interfaces.openai_stream import streamed
from agentos.interfaces.openai_system import Spoken
from agentos.types import Answer, Caller, Generation, Message, ToolCall

Events = AsyncGenerator[Mapping[str, Any] | Note, None]


class Responses:
    """The endpoints."""

    def __init__(self, answers: Answers, spoken: Spoken, store: ResponseStore) -> None:
        """`answers` of models, what the system itself says, and where responses are kept."""
        self._answers, self._spoken, self._store, self._system = answers, spoken, store, answers.system

    async def create(self, request: Request) -> Response:
        """A response to a text or a conversation, as a whole or as a stream."""
        asked = read(ResponseRequest, await raw(request))
        self._answers.ready()
        caller = known(request, self._system, session(request, asked.user))
        before: tuple[Message, ...] = ()
        if asked.previous_response_id is not None:
            before = self._store.get(asked.previous_response_id, caller.user).turns
        turns = (*before, *_turns(asked))
        output = Output(_head(asked), {tool.name for tool in asked.tools or ()} if asked.tool_choice != "none" else ())
        if asked.model == SYSTEM:
            self._check(asked, turns)
            work = self._said(caller, turns, output, lambda: person(request), request.headers.get("x-session", ""))
        else:
            writes(self._system, asked.model)
            work = self._written(caller, _generation(asked, turns, self._system.settings.context), asked.model, output)
        events = self._kept(caller, asked, turns, work, output)
        if asked.stream:
            return await streamed(events, named=True, failed=output.fail, last=b"")
        return JSONResponse(await until_gone(request, _whole(events, output)))

    async def get(self, request: Request) -> Response:
        """One that was kept."""
        caller = known(request, self._system)
        return JSONResponse(self._store.get(request.path_params["id"], caller.user).said)

    async def delete(self, request: Request) -> Response:
        """Forgets one."""
        caller, name = known(request, self._system), request.path_params["id"]
        self._store.drop(name, caller.user)
        return JSONResponse({"id": name, "object": "response", "deleted": True})

    async def _kept(
        self, caller: Caller, asked: ResponseRequest, turns: tuple[Message, ...], work: Events, output: Output
    ) -> Events:
        """The events; at their end the response is kept."""
        async with aclosing(work):
            async for event in work:
                yield event
        if asked.store is not False:
            calls = tuple(ToolCall(call.id, call.name, call.arguments) for call in output.reader.calls)
            said = Message("assistant", output.text, calls)
            self._store.put(Kept(caller.user, output.said, (*turns, said)))

    async def _written(self, caller: Caller, wanted: Generation, model: str, output: Output) -> Events:
        async with aclosing(self._answers.stream(caller, model, wanted)) as pieces:
            async for item in pieces:
                if isinstance(item, Note):
                    yield item
                    continue
                for event in output.begin():  # not before, so that a refusal is still a status
                    yield event
                text, calls = output.reader.close() if isinstance(item, Answer) else output.reader.feed(item.text)
                for event in output.add(text, calls):
                    yield event
                if isinstance(item, Answer):
                    for event in output.end(item):
                        yield event

    async def _said(
        self, caller: Caller, turns: tuple[Message, ...], output: Output, person: Callable[[], None], session: str
    ) -> Events:
        messages: Any = [_plainly(turn) for turn in turns]
        answer = Answer("", SYSTEM, 0, 0.0)
        async with aclosing(self._spoken.stream(caller, messages, person, session)) as items:
            async for item in items:
                if isinstance(item, Answer):
                    answer = item
                    continue
                for event in output.begin():
                    yield event
                if isinstance(item, Piece):
                    for event in output.add(item.text, []):
                        yield event
                else:
                    yield item
        for event in output.end(answer):
            yield event

    def _check(self, asked: ResponseRequest, turns: tuple[Message, ...]) -> None:
        for name in ("tools", "tool_choice"):
            if getattr(asked, name):
                raise BadRequest(
                    f"{SYSTEM!r} plans with its own syscalls and takes no {name!r}; nothing was done", name,
                    "unsupported_parameter",
                )
        if asked.text is not None and asked.text.format is not None and asked.text.format.type != "text":
            raise BadRequest(f"{SYSTEM!r} answers in text; nothing was done", "text.format", "unsupported_parameter")
        if not turns or turns[-1].role != "user" or not turns[-1].content.strip():
            raise BadRequest(f"the last of 'input' must be what a person says to {SYSTEM!r}; nothing was done", "input")


def _plainly(turn: Message) -> Any:
    if turn.role == "user":
        return UserTurn(role="user", content=turn.content)
    if turn.role == "assistant":
        return AssistantTurn(role="assistant", content=turn.content)
    return SystemTurn(role="system", content=turn.content)


def _turns(asked: ResponseRequest) -> tuple[Message, ...]:
    if isinstance(asked.input, str):
        return (Message("user", asked.input),)
    found: list[Message] = []
    for item in asked.input:
        if isinstance(item, CallItem):
            call = ToolCall(item.call_id, item.name, item.arguments)
            if found and found[-1].role == "assistant":
                last = found.pop()
                found.append(Message("assistant", last.content, (*last.calls, call)))
            else:
                found.append(Message("assistant", "", (call,)))
        elif isinstance(item, OutputItem):
            found.append(Message("tool", _text(item.output), call=item.call_id))
        else:
            assert isinstance(item, MessageItem)
            role: Any = "system" if item.role == "developer" else item.role
            found.append(Message(role, _text(item.content)))
    return tuple(found)


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _generation(asked: ResponseRequest, turns: tuple[Message, ...], context: int) -> Generation:
    names = {tool.name for tool in asked.tools or ()}
    choice = asked.tool_choice
    if len(names) != len(asked.tools or ()):
        raise BadRequest("two tools have one name; nothing was done", "tools")
    if choice not in (None, "auto", "none") and not names:
        raise BadRequest("'tool_choice' takes 'tools' to choose from; nothing was done", "tool_choice")
    if isinstance(choice, FlatChoice) and choice.name not in names:
        raise BadRequest(f"there is no tool {choice.name!r}; nothing was done", "tool_choice")
    form = asked.text.format if asked.text is not None else None
    schema: Any = None
    if form is not None and form.type != "text":
        schema = {"type": "object"} if form.type == "json_object" else form.schema_
    told = (Message("system", asked.instructions),) if asked.instructions else ()
    return Generation(
        secrets.token_hex(12), (*told, *turns), asked.max_output_tokens or context,
        temperature=1.0 if asked.temperature is None else asked.temperature, top_p=nucleus(asked.top_p),
        stop=alone((), asked.parallel_tool_calls if names else None), schema=schema,
        tools=tuple(tool.model_dump(exclude_none=True, exclude={"strict", "type"}) for tool in asked.tools or ()),
        tool_choice=choice.name if isinstance(choice, FlatChoice) else choice or "auto",
    )


def _head(asked: ResponseRequest) -> dict[str, Any]:
    said = asked.model_dump(mode="json", by_alias=True, exclude={"input", "stream", "stream_options"})
    return {
        "id": f"resp_{secrets.token_hex(16)}", "object": "response", "created_at": int(time.time()), "error": None,
        "incomplete_details": None, "instructions": asked.instructions, "metadata": asked.metadata or {},
        "model": asked.model, "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "tool_choice": said["tool_choice"] or "auto", "tools": said["tools"] or [],
        "max_output_tokens": asked.max_output_tokens, "previous_response_id": asked.previous_response_id,
        "text": {"format": (said["text"] or {}).get("format") or {"type": "text"}}, "truncation": "disabled",
        "user": asked.user, "store": asked.store is not False,
    }


async def _whole(events: Events, output: Output) -> dict[str, Any]:
    async with aclosing(events):
        async for _ in events:
            pass
    return output.said
