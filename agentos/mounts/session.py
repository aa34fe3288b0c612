"""The connection to another server: the one module here that knows the protocol's library.

Whatever comes over it is another's. No schema of theirs is compiled and no pattern of theirs is run: an answer is taken
for text and data, in bounds. The server may ask us nothing: neither for a model's answer nor for a person's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx2
from mcp.client import Client, ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    REQUEST_TIMEOUT,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    InputRequiredResult,
    PaginatedRequestParams,
    jsonrpc_message_adapter,
)
from pydantic import TypeAdapter, ValidationError

import agentos
from agentos.errors import Failed
from agentos.mounts import child as children
from agentos.mounts.answer import Answer, Tool
from agentos.mounts.cleaned import block, data, line
from agentos.mounts.spec import Spec
from agentos.types import Json, Progress, Seconds

TEXT, DATA = 64 * 1024, 64 * 1024
"""Most characters of an answer."""
_PAGES = 16
_GIVEN: Any = TypeAdapter(CallToolResult | InputRequiredResult)
_MESSAGE = 300


class Silent(Exception):
    """A call that was not answered in time."""


class Gone(Exception):
    """A connection that ended while it was needed."""


class Peer:
    """A connected server."""

    def __init__(self, session: ClientSession, child: children.Child | None, ended: asyncio.Event) -> None:
        """Over a session that has begun; without a child there is nothing that could be ended."""
        self._session, self.child, self.ended = session, child, ended

    def heard_since(self, moment: Seconds) -> bool:
        """Whether it has said anything since (`time.monotonic`); of an address nobody can tell."""
        return self.child is None or self.child.heard >= moment

    async def tools(self) -> list[Tool]:
        """All that it offers.

        Raises:
            Failed: it does not list them.
            Gone: it ended.
        """
        found: list[Tool] = []
        cursor: str | None = None
        try:
            for _ in range(_PAGES):
                page = await self._session.list_tools(params=PaginatedRequestParams(cursor=cursor))
                for tool in page.tools:
                    hints = tool.annotations
                    found.append(Tool(
                        tool.name, tool.description or tool.title or "", tool.input_schema,
                        bool(hints and hints.read_only_hint), bool(hints and hints.destructive_hint),
                    ))
                cursor = page.next_cursor
                if cursor is None:
                    break
        except MCPError as error:
            raise _other(error) from error
        except ValidationError as error:
            raise Failed("it lists its tools in a way that is not the protocol's") from error
        return found

    async def call(self, tool: str, args: dict[str, Json], limit: Seconds, say: Progress) -> Answer:
        """What a tool gives.

        Raises:
            Silent: it was not there in time.
            Gone: the server ended.
            Failed: the tool failed, as its server says.
        """
        told = time.monotonic()

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            nonlocal told
            if time.monotonic() - told >= 0.1:
                told = time.monotonic()
                await say(line(message, _MESSAGE) or tool, progress, total)

        request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=args))
        try:
            with anyio.fail_after(limit):  # also while it does not read what is sent
                given = await self._session.send_request(request, _GIVEN, progress_callback=tell)
        except TimeoutError:
            raise Silent from None
        except MCPError as error:
            if error.code == REQUEST_TIMEOUT:
                raise Silent from None
            raise _other(error) from error
        except ValidationError as error:
            raise Failed("it answered with what is no result of a tool") from error
        if not isinstance(given, CallToolResult):
            raise Failed("it asks for more input in the middle of a call, which is not given to other servers")
        return _answer(given)


def _other(error: MCPError) -> Exception:
    return Gone() if error.code == CONNECTION_CLOSED else Failed(line(error.message, _MESSAGE) or "it refused")


def _answer(given: CallToolResult) -> Answer:
    """An answer in bounds.

    Raises:
        Failed: it is the tool's own error.
    """
    said = "\n".join(_shown(part) for part in given.content)
    if given.is_error:
        raise Failed(line(said, 4 * _MESSAGE) or "the tool failed and did not say why")
    text, lost = block(said, TEXT)
    structured = data(given.structured_content, DATA)
    if not text and structured is not None:
        text = json.dumps(structured, ensure_ascii=False)
    return Answer(text, structured, lost)


def _shown(part: Any) -> str:
    """A part of an answer as text; what is none is named."""
    if part.type == "text":
        return str(part.text)
    if part.type == "resource" and hasattr(part.resource, "text"):
        return str(part.resource.text)
    if part.type == "resource_link":
        return f"[{line(part.name, 80)}: {line(str(part.uri), 300)}]"
    kind = getattr(part, "mime_type", None) or part.type
    return f"[{line(str(kind), 80)}, which is not shown]"


@contextlib.asynccontextmanager
async def connected(spec: Spec) -> AsyncIterator[Peer]:
    """A server that is started, or asked, and has greeted.

    Raises:
        Failed: it cannot be started.
        Exception: whatever else the transport fails with; `reason` says it.
    """
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it logs what servers say
    info = Implementation(name="agentos", version=agentos.__version__)
    if not spec.command:
        limits = httpx2.Timeout(30.0, read=spec.timeout)
        async with (
            httpx2.AsyncClient(headers=dict(spec.headers), timeout=limits, transport=_Bounded()) as asked,
            Client(
                streamable_http_client(spec.url, http_client=asked, max_sse_event_size=children.LINE),
                client_info=info, cache=None,
            ) as client,
        ):
            yield Peer(client.session, None, asyncio.Event())
        return
    child = await children.start(spec)
    over, greeted = asyncio.Event(), False
    try:
        async with Client(_Pipes(child, over), client_info=info, cache=None) as client:
            peer, greeted = Peer(client.session, child, over), True
            yield peer
    except Exception as error:
        if greeted:
            raise
        why = f"{await child.ended()} before it had greeted" if over.is_set() else reason(error)
        raise Failed(f"{why}, saying: {child.said}" if child.said else why) from error
    finally:
        await asyncio.shield(child.end("was ended"))


class _Pipes:
    """A child's lines as the streams that the library reads and writes."""

    def __init__(self, child: children.Child, over: asyncio.Event) -> None:
        self._child, self._over = child, over
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Any:
        return await self._stack.enter_async_context(self._streams())

    async def __aexit__(self, *error: Any) -> bool | None:
        return await self._stack.__aexit__(*error)

    @contextlib.asynccontextmanager
    async def _streams(self) -> AsyncIterator[Any]:
        heard_in, heard = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        said, said_out = anyio.create_memory_object_stream[SessionMessage](0)

        async def hear() -> None:
            async with heard_in:
                with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                    async for message in self._child.lines():
                        with contextlib.suppress(ValueError):  # a line that is no message is nobody's
                            await heard_in.send(
                                SessionMessage(jsonrpc_message_adapter.validate_json(message, by_name=False))
                            )
                self._over.set()

        async def speak() -> None:
            async with said_out:
                with contextlib.suppress(OSError, anyio.ClosedResourceError):
                    async for message in said_out:
                        await self._child.send(
                            message.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
                        )

        async with heard, said, anyio.create_task_group() as tasks:
            tasks.start_soon(hear)
            tasks.start_soon(speak)
            try:
                yield heard, said
            finally:
                tasks.cancel_scope.cancel()


class _Bounded(httpx2.AsyncHTTPTransport):
    """HTTP whose answers have an end, but for streams of events, which the library bounds one by one."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Sends a request; its answer breaks off where it grows too long."""
        response = await super().handle_async_request(request)
        events = response.headers.get("content-type", "").startswith("text/event-stream")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream, children.MOST_BYTES if events else children.LINE)
        return response


class _Counted(httpx2.AsyncByteStream):
    """A body up to a length."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream, self._most = stream, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for piece in self._stream:
            seen += len(piece)
            if seen > self._most:
                raise httpx2.ReadError(f"the answer is longer than {self._most >> 20} MiB")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


def reason(error: BaseException) -> str:
    """An error of a connection in a few words, out of whatever groups it is wrapped in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, Gone) or (isinstance(error, MCPError) and error.code == CONNECTION_CLOSED):
        return "ended before it had greeted"
    if isinstance(error, MCPError):
        return f"refused the connection ({line(error.message, _MESSAGE)})"
    if isinstance(error, Failed):
        return line(str(error), _MESSAGE)
    return f"could not be reached ({line(str(error) or type(error).__name__, _MESSAGE)})"
