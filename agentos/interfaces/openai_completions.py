"""`POST /v1/completions`: text that a model goes on with."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agentos.interfaces.http_auth import known
from agentos.interfaces.openai_answer import SYSTEM, Answers, Note, Piece, until_gone, writes
from agentos.interfaces.openai_chat import merged, used
from agentos.interfaces.openai_errors import BadRequest
from agentos.interfaces.openai_read import raw, read
from agentos.interfaces.openai_request import nth, session
from agentos.interfaces.openai_shapes import CompletionRequest, nucleus
from agentos.interfaces.openai_stream import streamed
from agentos.types import Answer, Caller, Generation, Logprob, Prompt

DEFAULT = 16
"""Tokens of an answer where nobody says how many, as OpenAI has it."""
Said = AsyncGenerator[Mapping[str, Any] | Note, None]


class Completions:
    """The endpoint."""

    def __init__(self, answers: Answers) -> None:
        """`answers` of models."""
        self._answers, self._system = answers, answers.system

    async def create(self, request: Request) -> Response:
        """What a model goes on with after a text, as a whole or as a stream."""
        asked = read(CompletionRequest, await raw(request))
        self._answers.ready()
        caller = known(request, self._system, session(request, asked.user))
        if asked.model == SYSTEM:
            raise BadRequest(f"{SYSTEM!r} is spoken to at /v1/chat/completions; nothing was done", "model")
        if asked.stream_options is not None and not asked.stream:
            raise BadRequest("'stream_options' takes 'stream' to be true; nothing was done", "stream_options")
        if asked.echo and (asked.stream or asked.logprobs is not None):
            raise BadRequest("'echo' goes with neither 'stream' nor 'logprobs' here; nothing was done", "echo")
        prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
        writes(self._system, asked.model)
        head = {
            "id": f"cmpl-{secrets.token_hex(12)}", "object": "text_completion", "created": int(time.time()),
            "model": asked.model,
        }
        wanted = [nth(_generation(asked, prompt), index) for prompt in prompts for index in range(asked.n or 1)]
        if asked.stream:
            return await streamed(self._chunks(head, asked, caller, wanted))
        return JSONResponse(await until_gone(request, self._whole(head, asked, caller, wanted)))

    async def _chunks(
        self, head: dict[str, Any], asked: CompletionRequest, caller: Caller, wanted: Sequence[Generation]
    ) -> Said:
        counts = asked.stream_options is not None and bool(asked.stream_options.include_usage)
        usage: dict[str, Any] = {"usage": None} if counts else {}
        ends: list[Answer] = []
        offsets = [0] * len(wanted)
        async with aclosing(merged([self._pieces(caller, asked, one, ends) for one in wanted])) as all_of_them:
            async for index, item in all_of_them:
                if item is None:
                    continue
                if isinstance(item, Note):
                    yield item
                    continue
                choice = {"index": index, **item}
                if item["logprobs"] is not None:
                    choice["logprobs"] = _likely(item["logprobs"], offsets[index])
                offsets[index] += len(item["text"])
                yield {**head, "choices": [choice], **usage}
        if usage:
            yield {**head, "choices": [], "usage": used(ends, asked.n or 1)}

    async def _whole(
        self, head: dict[str, Any], asked: CompletionRequest, caller: Caller, wanted: Sequence[Generation]
    ) -> dict[str, Any]:
        ends: list[Answer] = []

        async def one(index: int, request: Generation) -> dict[str, Any]:
            text, finish = "", None
            likely: list[Logprob] = []
            async with aclosing(self._pieces(caller, asked, request, ends)) as pieces:
                async for item in pieces:
                    if not isinstance(item, Note):
                        text += item["text"]
                        likely += item["logprobs"] or []
                        finish = item["finish_reason"]
            before = request.prompt.text if asked.echo and isinstance(request.prompt, Prompt) else ""
            told = None if asked.logprobs is None else _likely(likely, 0)
            return {"index": index, "text": before + text, "logprobs": told, "finish_reason": finish}

        tasks = [asyncio.create_task(one(index, request)) for index, request in enumerate(wanted)]
        try:
            choices = [*await asyncio.gather(*tasks)]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {**head, "choices": choices, "usage": used(ends, asked.n or 1)}

    async def _pieces(
        self, caller: Caller, asked: CompletionRequest, request: Generation, ends: list[Answer]
    ) -> Said:
        async with aclosing(self._answers.stream(caller, asked.model, request)) as pieces:
            async for item in pieces:
                if isinstance(item, Note):
                    yield item
                elif isinstance(item, Piece):
                    likely = None if asked.logprobs is None else list(item.logprobs)
                    yield {"text": item.text, "logprobs": likely, "finish_reason": None}
                else:
                    ends.append(item)
                    yield {"text": "", "logprobs": None, "finish_reason": item.finish_reason}


def _generation(asked: CompletionRequest, prompt: str) -> Generation:
    return Generation(
        secrets.token_hex(12), Prompt(prompt), asked.max_tokens or DEFAULT,
        temperature=1.0 if asked.temperature is None else asked.temperature, top_p=nucleus(asked.top_p),
        stop=tuple(filter(None, asked.stops)), seed=asked.seed, logprobs=asked.logprobs,
    )


def _likely(logprobs: Sequence[Logprob], start: int) -> dict[str, Any]:
    offsets = []
    for one in logprobs:
        offsets.append(start)
        start += len(one.token)
    return {
        "tokens": [one.token for one in logprobs], "token_logprobs": [one.value for one in logprobs],
        "top_logprobs": [dict(one.top) for one in logprobs], "text_offset": offsets,
    }
