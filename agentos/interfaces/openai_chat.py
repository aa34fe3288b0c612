"""`POST /v1/chat/completions`: a conversation with a model, or with the system itself."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agentos.interfaces.http_auth import known
from agentos.interfaces.http_scope import person
from agentos.interfaces.openai_answer import SYSTEM, Answers, Note, Piece, Said, until_gone, writes
from agentos.interfaces.openai_calls import CallReader
from agentos.interfaces.openai_read import raw, read
from agentos.interfaces.openai_request import generation, names, nth, session
from agentos.interfaces.openai_shapes import ChatRequest
from agentos.interfaces.openai_stream import streamed
from agentos.interfaces.openai_system import Spoken
from agentos.types import Answer, Caller, Generation, Logprob, ToolCall

Chunks = AsyncGenerator[Mapping[str, Any] | Note, None]


@dataclass
class Taken:
    """One choice, as it comes."""

    index: int
    reader: CallReader
    text: str = ""
    logprobs: list[Logprob] = field(default_factory=list)
    answer: Answer | None = None

    @property
    def finish(self) -> str:
        """Why it ended."""
        assert self.answer is not None
        return "tool_calls" if self.reader.calls and self.answer.finish_reason == "stop" else self.answer.finish_reason


class Chat:
    """The endpoint."""

    def __init__(self, answers: Answers, spoken: Spoken) -> None:
        """`answers` of models, and what the system itself says."""
        self._answers, self._spoken, self._system = answers, spoken, answers.system

    async def create(self, request: Request) -> Response:
        """A model's answer to a conversation, as a whole or as a stream."""
        asked = read(ChatRequest, await raw(request))
        self._answers.ready()
        caller = known(request, self._system, session(request, asked.user))
        head = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": asked.model}
        if asked.model == SYSTEM:
            self._spoken.check(asked)
            named = request.headers.get("x-session", "")
            work = self._spoken.stream(caller, asked.messages, lambda: person(request), named)
            if asked.stream:
                return await streamed(_spoken_chunks(head, asked, work))
            return JSONResponse(_whole(head, [await until_gone(request, _spoken(work))], asked))
        writes(self._system, asked.model)
        wanted = generation(asked, self._system.settings.context)
        count = asked.n or 1
        if asked.stream:
            return await streamed(self._chunks(head, asked, caller, wanted, count))
        taken = await until_gone(request, self._all(caller, asked, wanted, count))
        return JSONResponse(_whole(head, taken, asked))

    async def _all(self, caller: Caller, asked: ChatRequest, wanted: Generation, count: int) -> list[Taken]:
        async def one(index: int) -> Taken:
            taken = Taken(index, CallReader(names(asked)))
            async for _ in self._choice(caller, asked, wanted, taken):
                pass
            return taken

        if count == 1:
            return [await one(0)]
        tasks = [asyncio.create_task(one(index)) for index in range(count)]
        try:
            return [*await asyncio.gather(*tasks)]
        finally:  # of the others, where one has failed
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _choice(
        self, caller: Caller, asked: ChatRequest, wanted: Generation, taken: Taken
    ) -> AsyncGenerator[Mapping[str, Any] | Note, None]:
        """The deltas of one choice; what it came to is in `taken`."""
        request = nth(wanted, taken.index)
        async with aclosing(self._answers.stream(caller, asked.model, request)) as pieces:
            async for item in pieces:
                if isinstance(item, Note):
                    yield item
                    continue
                if isinstance(item, Answer):
                    taken.answer = item
                    text, calls = taken.reader.close()
                    likely: Sequence[Logprob] = ()
                else:
                    text, calls = taken.reader.feed(item.text)
                    likely = item.logprobs
                before = len(taken.reader.calls) - len(calls)
                taken.text += text
                taken.logprobs += likely
                if text or likely:
                    yield {"delta": {"content": text}, "logprobs": _likely(likely) if asked.logprobs else None}
                if calls:
                    yield {"delta": {"tool_calls": [
                        {"index": before + at, **_call(call)} for at, call in enumerate(calls)
                    ]}, "logprobs": None}

    async def _chunks(
        self, head: dict[str, Any], asked: ChatRequest, caller: Caller, wanted: Generation, count: int
    ) -> Chunks:
        taken = [Taken(index, CallReader(names(asked))) for index in range(count)]
        usage: dict[str, Any] = {"usage": None} if _wants_usage(asked) else {}
        begun: set[int] = set()
        async with aclosing(merged([self._choice(caller, asked, wanted, one) for one in taken])) as all_of_them:
            async for index, item in all_of_them:
                if isinstance(item, Note):
                    yield item
                    continue
                if index not in begun:
                    begun.add(index)
                    first = {"delta": {"role": "assistant", "content": ""}, "logprobs": None}
                    yield _chunk(head, index, first, **usage)
                if item is not None:
                    yield _chunk(head, index, item, **usage)
                else:
                    end: dict[str, Any] = {"delta": {}, "logprobs": None}
                    yield _chunk(head, index, end, taken[index].finish, **usage)
        if usage:
            yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": used(
                [one.answer for one in taken if one.answer is not None], count
            )}


def used(answers: Sequence[Answer], each: int) -> dict[str, Any]:
    """What answers took, `each` so many to one prompt, which counts once."""
    prompt = sum(answer.prompt_tokens for answer in answers) // each
    made = sum(answer.tokens for answer in answers)
    return {
        "prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made,
        "prompt_tokens_details": {"cached_tokens": max((a.cached_tokens for a in answers), default=0)},
    }


def _wants_usage(asked: ChatRequest) -> bool:
    return asked.stream_options is not None and bool(asked.stream_options.include_usage)


def _chunk(
    head: dict[str, Any], index: int, said: Mapping[str, Any], finish: str | None = None, **usage: Any
) -> dict[str, Any]:
    choice = {"index": index, **said, "finish_reason": finish}
    return {**head, "object": "chat.completion.chunk", "choices": [choice], **usage}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _likely(logprobs: Sequence[Logprob]) -> dict[str, Any]:
    def one(token: str, value: float) -> dict[str, Any]:
        return {"token": token, "logprob": value, "bytes": None if "\ufffd" in token else list(token.encode())}

    rows = [{**one(each.token, each.value), "top_logprobs": [one(*top) for top in each.top]} for each in logprobs]
    return {"content": rows, "refusal": None}


def _whole(head: dict[str, Any], taken: Sequence[Taken], asked: ChatRequest) -> dict[str, Any]:
    choices = []
    for one in taken:
        message: dict[str, Any] = {"role": "assistant", "content": one.text, "refusal": None}
        if one.reader.calls:
            message |= {"content": one.text or None, "tool_calls": [_call(call) for call in one.reader.calls]}
        likely = _likely(one.logprobs) if asked.logprobs else None
        choices.append({"index": one.index, "message": message, "logprobs": likely, "finish_reason": one.finish})
    answers = [one.answer for one in taken if one.answer is not None]
    return {**head, "object": "chat.completion", "choices": choices, "usage": used(answers, len(taken))}


async def merged(streams: Sequence[Chunks]) -> AsyncGenerator[tuple[int, Mapping[str, Any] | Note | None], None]:
    """What several streams give as it comes, with which one it was; None at the end of each."""
    events: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()

    async def drain(index: int, stream: Chunks) -> None:
        try:
            async with aclosing(stream):
                async for item in stream:
                    events.put_nowait((index, item))
            events.put_nowait((index, None))
        except Exception as error:
            events.put_nowait((index, error))

    tasks = [asyncio.create_task(drain(index, stream)) for index, stream in enumerate(streams)]
    left = len(tasks)
    try:
        while left:
            index, item = await events.get()
            if isinstance(item, Exception):
                raise item
            yield index, item
            left -= item is None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _spoken(work: AsyncGenerator[Said, None]) -> Taken:
    taken = Taken(0, CallReader(()))
    async with aclosing(work):
        async for item in work:
            if isinstance(item, Piece):
                taken.text += item.text
            elif isinstance(item, Answer):
                taken.answer = item
    return taken


async def _spoken_chunks(head: dict[str, Any], asked: ChatRequest, work: AsyncGenerator[Said, None]) -> Chunks:
    usage: dict[str, Any] = {"usage": None} if _wants_usage(asked) else {}
    begun, answers = False, []
    async with aclosing(work):
        async for item in work:
            if isinstance(item, Answer):
                answers.append(item)
                continue
            if not begun:
                begun = True
                yield _chunk(head, 0, {"delta": {"role": "assistant", "content": ""}, "logprobs": None}, **usage)
            text = f"> {item.text}\n\n" if isinstance(item, Note) else item.text
            yield _chunk(head, 0, {"delta": {"content": text}, "logprobs": None}, **usage)
    yield _chunk(head, 0, {"delta": {}, "logprobs": None}, "stop", **usage)
    if usage:
        yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": used(answers, 1)}
