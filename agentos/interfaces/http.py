"""The HTTP API, the one that every client uses: `build` makes the application for one door."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agentos.errors import AgentosError, DeniedError, Retry, UserError, unknown
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import KeyGate, who
from agentos.interfaces.http_errors import bug, failure, kind
from agentos.interfaces.http_stream import Runs, after_boot, collected, line, ndjson, ready
from agentos.syscall import Syscall
from agentos.types import Caller, Json

BODY_LIMIT = 1024 * 1024
"""Longest request, in bytes."""
NDJSON = "application/x-ndjson"
_ANSWERS = ("once", "session", "always", "no")


class TooLarge(UserError):
    """A request beyond `BODY_LIMIT`."""

    http_status = 413


def build(
    system: System, runs: Runs, stop: Callable[[], None], hosts: set[str] | None = None
) -> Starlette:
    """The application.

    Args:
        system: What it serves.
        runs: Where runs are kept, shared by every door.
        stop: Called when somebody asks the system to end.
        hosts: Names under which a TCP address may be asked; None for the Unix socket, which needs no key.
    """
    api = Api(system, runs, stop)
    routes = [
        Route("/v1/status", api.status),
        Route("/v1/syscalls", api.syscalls),
        Route("/v1/syscalls/{name}", api.call, methods=["POST"]),
        Route("/v1/names", api.names),
        Route("/v1/runs", api.run, methods=["POST"]),
        Route("/v1/runs/{id}/cancel", api.cancel, methods=["POST"]),
        Route("/v1/plans", api.plan, methods=["POST"]),
        Route("/v1/approvals", api.approvals),
        Route("/v1/approvals/{id}", api.answer, methods=["POST"]),
        Route("/v1/rules", api.rules),
        Route("/v1/rules/{id}", api.revoke_rule, methods=["DELETE"]),
        Route("/v1/users", api.users),
        Route("/v1/users/{name}", api.set_role, methods=["PUT"]),
        Route("/v1/keys", api.keys),
        Route("/v1/keys", api.create_key, methods=["POST"]),
        Route("/v1/keys/{id}", api.revoke_key, methods=["DELETE"]),
        Route("/v1/stop", api.stop, methods=["POST"]),
    ]
    gates = [] if hosts is None else [Middleware(KeyGate, system=system, hosts=hosts)]
    return Starlette(routes=routes, middleware=gates, exception_handlers={
        AgentosError: _failed, HTTPException: _no_route, Exception: _bug,
    })


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, AgentosError)
    return failure(error)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = {404: f"there is nothing at {request.url.path!r}", 405: f"{request.method} is not for {request.url.path!r}"}
    return JSONResponse(
        {"error": {"message": said.get(error.status_code, error.detail), "type": "not_found"}},
        error.status_code, error.headers,
    )


async def _bug(request: Request, error: Exception) -> Response:
    return failure(bug())


async def body(request: Request) -> dict[str, Json]:
    """The request's JSON object.

    Raises:
        UserError: it is too long, not JSON, or not an object.
    """
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > BODY_LIMIT:
            raise TooLarge(f"the request is longer than {BODY_LIMIT} bytes; nothing was done")
    try:
        data = json.loads(read or b"{}")
    except (ValueError, RecursionError) as error:
        raise UserError(f"the request is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise UserError("the request must be a JSON object")
    return data


def text(data: Mapping[str, Json], name: str, default: str | None = None) -> str:
    """A string of the request.

    Raises:
        UserError: it is missing or something else.
    """
    value = data.get(name, default)
    if not isinstance(value, str):
        raise UserError(f"{name!r} must be a text, and is {value!r}" if name in data else f"{name!r} is missing")
    return value


def entry(call: Syscall) -> dict[str, Json]:
    """One syscall for a listing."""
    return {
        "name": call.name, "effect": call.effect, "doc": call.doc, "owner": call.owner,
        "params": [
            {"name": p.name, "required": p.required, "default": p.default, "doc": p.doc,
             "choices": list(p.choices), "kind": p.kind, "many": p.many}
            for p in call.params
        ],
        "fields": list(call.fields), "examples": plain(call.examples),
    }


class Api:
    """The endpoints."""

    def __init__(self, system: System, runs: Runs, stop: Callable[[], None]) -> None:
        """Serves one system."""
        self.system, self.runs, self._stop = system, runs, stop

    async def status(self, request: Request) -> Response:
        """How the system does; answers while it boots too."""
        said = {**self.system.status()}
        said.update(
            ready=self.system.ready, boot=self.system.boot, boot_done=self.system.boot_done,
            boot_total=self.system.boot_total, boot_error=self.system.boot_error,
        )
        return JSONResponse(plain(said))

    async def syscalls(self, request: Request) -> Response:
        """The table."""
        return JSONResponse({"syscalls": [entry(call) for call in self.system.registry]})

    async def names(self, request: Request) -> Response:
        """Names that a prompt can complete, by what they are of."""
        self._who(request)
        models = self.system.models.listing("all").models if self.system.ready else []
        return JSONResponse({
            "syscall": [call.name for call in self.system.registry], "model": [row.model for row in models],
        })

    async def run(self, request: Request) -> Response:
        """A sentence: planned and run."""
        data = await body(request)
        said, session = text(data, "text"), text(data, "session", "")
        if not said.strip():
            raise UserError("'text' is empty")
        return ndjson(self.runs.events(lambda: after_boot(
            self.system, lambda: self.system.run_sentence(said, who(request, self.system, session))
        )))

    async def call(self, request: Request) -> Response:
        """One syscall: a stream where the client takes one, else its result."""
        name = request.path_params["name"]
        data = await body(request)
        args, yes, session = data.get("args", {}), data.get("yes", False), text(data, "session", "")
        if not isinstance(args, dict) or not isinstance(yes, bool):
            raise UserError("'args' must be an object and 'yes' true or false")
        if name not in self.system.registry:
            raise unknown("syscall", name, [call.name for call in self.system.registry])
        events = self.runs.events(lambda: after_boot(
            self.system, lambda: self.system.run_call(name, args, who(request, self.system, session), yes)
        ))
        if NDJSON in request.headers.get("accept", ""):
            return ndjson(events)
        return JSONResponse(await collected(events))

    async def cancel(self, request: Request) -> Response:
        """Ends a run."""
        return JSONResponse({"cancelled": await self.system.cancel(request.path_params["id"], self._who(request))})

    async def plan(self, request: Request) -> Response:
        """A plan, or one a line for a batch, in order; nothing runs."""
        data = await body(request)
        batch = data.get("batch")
        if batch is None:
            said, name = text(data, "text"), text(data, "id", "")
            await ready(self.system)
            plan = await self.system.plan(said, self._who(request), name)
            return JSONResponse(plan.to_json())
        if not isinstance(batch, list) or not all(isinstance(item, dict) for item in batch):
            raise UserError("'batch' must be a list of objects with 'id' and 'text'")
        asked = [(item.get("id"), text(item, "text")) for item in batch if isinstance(item, dict)]
        await ready(self.system)
        return StreamingResponse(self._plans(asked, self._who(request)), media_type=NDJSON)

    async def _plans(self, asked: list[tuple[Json, str]], caller: Caller) -> AsyncIterator[bytes]:
        for name, said in asked:
            try:
                plan = (await self.system.plan(said, caller, str(name or ""))).to_json()
            except AgentosError as error:
                plan = {"steps": [], "reply": None, "error": {"message": str(error), "type": kind(error)}}
            yield line({**plan, "id": name if name is not None else plan.get("id")})

    async def approvals(self, request: Request) -> Response:
        """Calls that wait for a person: all for an administrator, one's own for others."""
        caller = self._who(request)
        waiting = plain(self.system.approvals.pending())
        return JSONResponse({"approvals": _own(waiting, caller)})

    async def answer(self, request: Request) -> Response:
        """A person's answer to a held call; the run goes on in the response."""
        data = await body(request)
        said, reason, session = text(data, "answer"), text(data, "reason", ""), text(data, "session", "")
        if said not in _ANSWERS:
            raise UserError(f"'answer' must be one of {', '.join(_ANSWERS)}, and is {said!r}")
        caller = self._who(request, session)
        held = request.path_params["id"]
        return ndjson(self.runs.events(lambda: self.system.answer(held, said, caller, reason)))

    async def rules(self, request: Request) -> Response:
        """Answers given for always: all for an administrator, one's own for others."""
        caller = self._who(request)
        return JSONResponse({"rules": _own(plain(self.system.approvals.rules()), caller)})

    async def revoke_rule(self, request: Request) -> Response:
        """Takes a rule back."""
        caller, name = self._who(request), request.path_params["id"]
        listed = _own(plain(self.system.approvals.rules()), caller)
        if not any(isinstance(rule, dict) and rule.get("id") == name for rule in listed):
            raise unknown("rule", name, [str(rule.get("id")) for rule in listed if isinstance(rule, dict)])
        return JSONResponse({"revoked": name, "rule": plain(self.system.approvals.revoke(name))})

    async def users(self, request: Request) -> Response:
        """Everyone and their roles."""
        self._admin(request)
        return JSONResponse({"users": plain(self.system.people.users())})

    async def set_role(self, request: Request) -> Response:
        """Gives a user a role."""
        self._admin(request)
        data = await body(request)
        name, role = request.path_params["name"], _role(text(data, "role"))
        changed = plain(self.system.people.set_role(name, role))
        return JSONResponse({"user": name, "role": role, **(changed if isinstance(changed, dict) else {})})

    async def keys(self, request: Request) -> Response:
        """Keys without their secrets."""
        self._admin(request)
        return JSONResponse({"keys": plain(self.system.people.keys())})

    async def create_key(self, request: Request) -> Response:
        """A new key, shown this once."""
        self._admin(request)
        data = await body(request)
        user, role = text(data, "user"), data.get("role")
        made = plain(self.system.people.create_key(user, None if role is None else _role(text(data, "role"))))
        shown = made if isinstance(made, dict) else {"key": made, "user": user}
        return JSONResponse(shown, 201, {"cache-control": "no-store"})

    async def revoke_key(self, request: Request) -> Response:
        """Ends a key."""
        self._admin(request)
        name = request.path_params["id"]
        self.system.people.revoke_key(name)
        return JSONResponse({"revoked": name})

    async def stop(self, request: Request) -> Response:
        """Ends the system."""
        if self.system.ready:
            self._admin(request)
        self._stop()
        return JSONResponse({"stopping": True, **{"pid": self.system.status().get("pid")}}, 202)

    def _who(self, request: Request, session: str = "") -> Caller:
        if getattr(self.system, "people", None) is None:
            raise Retry(f"the system is starting ({self.system.boot}); ask again in a second")
        return who(request, self.system, session)

    def _admin(self, request: Request) -> Caller:
        caller = self._who(request)
        if caller.role != "admin":
            raise DeniedError(f"this takes an administrator, and {caller.user!r} is {caller.role}; nothing was changed")
        return caller


def _own(listed: Json, caller: Caller) -> list[Any]:
    rows = listed if isinstance(listed, list) else []
    return [row for row in rows if caller.role == "admin" or (isinstance(row, dict) and row.get("user") == caller.user)]


def _role(said: str) -> str:
    if said not in ("viewer", "operator", "admin"):
        raise UserError(f"'role' must be viewer, operator or admin, and is {said!r}; nothing was changed")
    return said


