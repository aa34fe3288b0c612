"""Server-sent events: an answer as a stream that is refused with a status as long as nothing of it was sent."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any

from starlette.responses import StreamingResponse

from agentos.errors import AgentosError
from agentos.interfaces.http_errors import bug
from agentos.interfaces.openai_answer import Note
from agentos.interfaces.openai_errors import described

log = logging.getLogger(__name__)

EARLY = 1.0
"""Seconds within which an error is still told by the status."""
BEAT = 15.0
"""Seconds of silence after which a comment is sent, so that nobody on the way hangs up."""
DONE = b"data: [DONE]\n\n"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def data(value: Mapping[str, Any], event: str = "") -> bytes:
    """One event."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event}\ndata: {text}\n\n".encode() if event else f"data: {text}\n\n".encode()


def comment(text: str) -> bytes:
    """A line that clients skip."""
    return f": {' '.join(text.split())}\n\n".encode()


async def streamed(
    chunks: AsyncGenerator[Mapping[str, Any] | Note, None], *, named: bool = False,
    failed: Callable[[Mapping[str, Any]], Iterable[Mapping[str, Any]]] = lambda said: [{"error": said}],
    last: bytes = DONE,
) -> StreamingResponse:
    """Chunks as a response. The first one is waited for, a while, so that an error is one.

    Args:
        chunks: What is sent; closed when the client goes away.
        named: Whether each event has its `type` as its name, as those of `/v1/responses` have.
        failed: What is sent of an error once something was.
        last: What ends the stream.

    Raises:
        AgentosError: nothing could be sent.
    """
    first: asyncio.Future[Any] = asyncio.ensure_future(anext(chunks))
    try:
        await asyncio.wait([first], timeout=EARLY)
        if first.done() and (error := first.exception()) is not None and not isinstance(error, StopAsyncIteration):
            raise error
    except BaseException:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await chunks.aclose()
        raise
    return StreamingResponse(
        _lines(first, chunks, named, failed, last), media_type="text/event-stream", headers=_HEADERS
    )


async def _lines(
    first: asyncio.Future[Any], chunks: AsyncGenerator[Mapping[str, Any] | Note, None], named: bool,
    failed: Callable[[Mapping[str, Any]], Iterable[Mapping[str, Any]]], last: bytes,
) -> AsyncIterator[bytes]:
    def sent(chunk: Mapping[str, Any]) -> bytes:
        return data(chunk, chunk["type"] if named else "")

    coming = first
    async with aclosing(chunks):
        try:
            while True:
                if not (await asyncio.wait([coming], timeout=BEAT))[0]:
                    yield comment("still at it")
                    continue
                chunk = coming.result()
                yield comment(chunk.text) if isinstance(chunk, Note) else sent(chunk)
                coming = asyncio.ensure_future(anext(chunks))
        except StopAsyncIteration:
            yield last
        except AgentosError as error:
            for said in failed(described(error)):
                yield sent(said)
        except Exception:
            log.exception("a stream ended with a bug")
            for said in failed(described(bug())):
                yield sent(said)
        finally:
            if not coming.done():
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
