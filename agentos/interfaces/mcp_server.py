"""The syscall table as tools of the Model Context Protocol: the one module here that knows the protocol's library.

A held call is confirmed by elicitation, which the protocol has in two forms: up to 2025-11-25 the server asks within
the call; from 2026-07-28 on the call comes back as a question, and once more with the answer. A client that cannot ask
a person gets the approval's id instead; nothing runs without a yes in any of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.types import Receive, Scope, Send

import agentos
from agentos.errors import AgentosError, NotFound
from agentos.interfaces.http_body import LIMIT
from agentos.interfaces.http_errors import kind
from agentos.interfaces.mcp_calls import ASK, Door, Event, Gathered, held_text, waits_text

Context = ServerRequestContext[Any, Any]
_KEY = "approve"
_OPEN, _PATIENCE = 256, 3600.0
"""Questions that may be open at once, and seconds for which one is."""
_TICK = 0.1
"""Seconds between two notices of progress."""
_SAYS = (
    "Each tool is a syscall of agentos, an operating system whose kernel is a language model: models, data sets,"
    " training, jobs and the machine. What executes or destroys is confirmed by a person first; a tool that waits for"
    " one says so. `ask` takes a whole sentence, in English or Chinese, and plans and runs it."
)


@dataclass
class _Question:
    """A held call that a client was asked about and has not answered."""

    who: str
    tool: str
    args: dict[str, Any]
    approval: str
    gathered: Gathered
    until: float


class Tools:
    """The handlers of one server."""

    def __init__(self, door: Callable[[Context], Door], clock: Callable[[], float] = time.monotonic) -> None:
        """`door` gives the way to the system for who makes a request."""
        self._door, self._clock = door, clock
        self._questions: dict[str, _Question] = {}

    def server(self) -> Server[Any]:
        """The protocol's server with these tools."""
        return Server(
            "agentos", version=agentos.__version__, instructions=_SAYS, on_list_tools=self.listed,
            on_call_tool=self.called,
        )

    async def listed(self, ctx: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        """The table as it is now."""
        try:
            entries = await self._door(ctx).table()
        except AgentosError as error:
            raise MCPError(_code(error), str(error)) from error
        return ListToolsResult(tools=[*map(_tool, entries), _ASK])

    async def called(self, ctx: Context, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
        """Makes a call, and asks a person where it is held."""
        door, args = self._door(ctx), dict(params.arguments or {})
        told = _notices(ctx)
        gathered = Gathered()
        try:
            if params.request_state is not None:
                question = self._taken(params, args, door)
                if question is None:
                    return _failure("denied", door.say("mcp_closed"))
                gathered, gathered.errors = question.gathered, []
                said = (params.input_responses or {}).get(_KEY)
                await gathered.follow(door.answer(question.approval, _yes(said)), told)
            elif params.name == ASK:
                if not isinstance(text := args.get("text"), str) or args.keys() != {"text"}:
                    return _failure("user", "`ask` takes `text`, a sentence, and nothing else")
                await gathered.follow(door.ask(text), told)
            else:
                await gathered.follow(door.call(params.name, args), told)
            return await self._finished(ctx, params, args, door, gathered)
        except NotFound as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        except AgentosError as error:
            return _failure(kind(error), str(error))
        except BaseException:
            if gathered.run:  # who asked has gone, or taken it back
                with anyio.CancelScope(shield=True), contextlib.suppress(AgentosError):
                    await door.cancel(gathered.run)
            raise

    async def _finished(
        self, ctx: Context, params: CallToolRequestParams, args: dict[str, Any], door: Door, gathered: Gathered
    ) -> CallToolResult | InputRequiredResult:
        while (held := gathered.next()) is not None:
            form = ElicitRequestFormParams(
                message=held_text(held, door.say), requested_schema={"type": "object", "properties": {}}
            )
            if not _asks_people(ctx):
                return _failure("held", waits_text(held, door.say), approval=held["approval"])
            if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
                state = self._opened(_Question(
                    door.who, params.name, args, str(held["approval"]), gathered, self._clock() + _PATIENCE
                ))
                return InputRequiredResult(input_requests={_KEY: ElicitRequest(params=form)}, request_state=state)
            said = await ctx.session.elicit_form(form.message, form.requested_schema, ctx.request_id)
            gathered.errors = []
            await gathered.follow(door.answer(str(held["approval"]), _yes(said)), _notices(ctx))
        if params.name == ASK:
            shown = gathered.of_sentence()
            return _result(gathered.words() or json.dumps(shown, ensure_ascii=False), shown, not gathered.ok)
        if not gathered.ok:
            return _failure(str(gathered.error.get("kind")), str(gathered.error.get("message")))
        result = gathered.of_call()
        return _result(json.dumps(result, ensure_ascii=False), result, False)

    def _opened(self, question: _Question) -> str:
        now = self._clock()
        self._questions = {key: one for key, one in self._questions.items() if one.until > now}
        while len(self._questions) >= _OPEN:
            self._questions.pop(next(iter(self._questions)))
        state = secrets.token_urlsafe(24)
        self._questions[state] = question
        return state

    def _taken(self, params: CallToolRequestParams, args: dict[str, Any], door: Door) -> _Question | None:
        """The question that an answer is to; it is answered once, by whom it was put to, about the very same call."""
        question = self._questions.get(params.request_state or "")
        if question is None or question.until <= self._clock() or question.who != door.who:
            return None
        del self._questions[params.request_state or ""]
        return question if (question.tool, question.args) == (params.name, args) else None


def _asks_people(ctx: Context) -> bool:
    """Whether the client can show a person a form."""
    able = ctx.session.client_capabilities
    if able is None or able.elicitation is None:
        return False
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS and not ctx.session.can_send_request:
        return False
    return able.elicitation.form is not None or able.elicitation.url is None


def _yes(said: Any) -> str:
    return "once" if isinstance(said, ElicitResult) and said.action == "accept" else "no"


def _notices(ctx: Context) -> Any:
    last = [0.0]

    async def told(done: float, total: float | None, message: str) -> None:
        if time.monotonic() - last[0] >= _TICK:
            last[0] = time.monotonic()
            await ctx.session.report_progress(done, total, message)

    return told


def _tool(entry: Event) -> Tool:
    effect = entry["effect"]
    return Tool(
        name=entry["name"], description=entry["doc"], input_schema=entry["schema"],
        annotations=ToolAnnotations(
            read_only_hint=effect == "read", destructive_hint=effect == "destroy", open_world_hint=bool(entry["mount"]),
        ),
    )


_ASK = Tool(
    name=ASK, description="Plans a sentence in English or Chinese as syscalls and runs them. The result has the plan.",
    input_schema={
        "type": "object", "properties": {"text": {"type": "string", "description": "What is wanted."}},
        "required": ["text"], "additionalProperties": False,
    },
    annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=True),
)


def _result(text: str, structured: Any, failed: bool) -> CallToolResult:
    shown = structured if isinstance(structured, dict) else None
    return CallToolResult(content=[TextContent(text=text)], structured_content=shown, is_error=failed)


def _failure(sort: str, message: str, **more: Any) -> CallToolResult:
    return _result(message, {"error": {"type": sort, "message": message, **more}}, True)


def _code(error: AgentosError) -> int:
    return -32603 if error.http_status >= 500 else INVALID_PARAMS


def over_stdio(door: Door) -> int:
    """Serves one client on standard input and output until it leaves; gives the exit code."""

    async def run() -> None:
        server = Tools(lambda ctx: door).server()
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(run)
    return 0


def _of_request(door: Callable[[Scope], Door]) -> Callable[[Context], Door]:
    def found(ctx: Context) -> Door:
        assert ctx.request is not None
        return door(ctx.request.scope)

    return found


class OverHttp:
    """The streamable HTTP transport, for callers whom the gate before it has told."""

    def __init__(self, door: Callable[[Scope], Door]) -> None:
        """`door` gives the way to the system for who makes a request."""
        self._door = door
        server = Tools(_of_request(door)).server()
        self._manager = StreamableHTTPSessionManager(server, max_request_body_size=LIMIT, max_sessions=_OPEN)
        self._started, self._end = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes one request; a session is its opener's alone."""
        await self._started.wait()
        who = AuthenticatedUser(AccessToken(token="-", client_id=self._door(scope).who, scopes=[]))
        await self._manager.handle_request({**scope, "user": who}, receive, send)

    def close(self) -> None:
        """Ends every session, so that nobody waits for one."""
        self._end.set()

    async def _run(self) -> None:
        async with self._manager.run():
            self._started.set()
            await self._end.wait()
