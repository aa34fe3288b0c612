"""The HTTP API, the one that every client uses: `build` makes the application for one door."""

from __future__ import annotations

import functools
import secrets
from collections.abc import AsyncIterator, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agentos.errors import AgentosError, UserError, unknown
from agentos.interfaces import (
    http_acts,
    http_audit,
    http_kernel,
    http_mcp,
    http_mounts,
    http_openapi,
    http_page,
    http_people,
    http_policy,
    http_private,
    http_prompt,
    http_quotas,
    http_reviews,
    http_rules,
    http_secrets,
    http_signatures,
    http_views,
    openai_errors,
    openai_routes,
)
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import KeyGate, admin, known, who
from agentos.interfaces.http_body import body, text
from agentos.interfaces.http_errors import bug, failure, kind
from agentos.interfaces.http_scope import origin, person
from agentos.interfaces.http_stream import after_boot, collected, line, ndjson, ready, told
from agentos.interfaces.http_traffic import Front, RateGate, Traffic
from agentos.syscall import Syscall
from agentos.types import Caller, Event, Json

NDJSON = "application/x-ndjson"
_ANSWERS = ("once", "session", "always", "no")


def build(
    system: System, stop: Callable[[], None], hosts: set[str] | None = None, traffic: Traffic | None = None
) -> Starlette:
    """The application.

    Args:
        system: What it serves.
        stop: Called when somebody asks the system to end.
        hosts: Names under which a TCP address may be asked; None for the Unix socket, which needs no key.
        traffic: What the doors of a system share; its own where None.
    """
    traffic = traffic or Traffic(system)
    api, mcp = Api(system, stop), http_mcp.Mcp(system)
    routes = http_acts.recorded(system, [
        Route("/v1/status", api.status),
        Route("/v1/syscalls", api.syscalls),
        Route("/v1/syscalls/{name}", api.call, methods=["POST"]),
        Route("/v1/runs", api.run, methods=["POST"]),
        Route("/v1/runs/{id}/cancel", api.cancel, methods=["POST"]),
        Route("/v1/plans", api.plan, methods=["POST"]),
        Route("/v1/approvals/{id}", api.answer, methods=["POST"]),
        *openai_routes.routes(traffic),
        *http_prompt.routes(system),
        *http_policy.routes(system),
        *http_people.routes(system),
        *http_quotas.routes(system),
        *http_reviews.routes(system),
        *http_audit.routes(system),
        *http_rules.routes(system),
        *http_kernel.routes(system),
        *http_mounts.routes(system),
        *http_secrets.routes(system),
        *http_signatures.routes(system),
        *http_private.routes(system),
        *http_views.routes(system),
        Route("/v1/stop", api.stop, methods=["POST"]),
        Route("/openapi.json", http_openapi.Described(system).get),
        *([] if hosts is None else [*http_page.routes(), *mcp.routes()]),
    ])
    gates = [Middleware(Front, traffic=traffic, logs=hosts is not None)]
    if hosts is not None:
        gates.append(Middleware(
            KeyGate, system=system, hosts=hosts, open_paths=http_page.PATHS,
            refused=functools.partial(http_acts.out_of_scope, system),
        ))
        gates.append(Middleware(RateGate, rates=traffic.rates))
    app = Starlette(routes=routes, middleware=gates, exception_handlers={
        AgentosError: _failed, HTTPException: _no_route, Exception: _bug,
    })
    app.state.close = mcp.close
    return app


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, AgentosError)
    return failure(error, request.url.path)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if openai_errors.concerns(request.url.path):
        return openai_errors.no_route(request.method, request.url.path, error)
    said = {404: f"there is nothing at {request.url.path!r}", 405: f"{request.method} is not for {request.url.path!r}"}
    return JSONResponse(
        {"error": {"message": said.get(error.status_code, error.detail), "type": "not_found"}},
        error.status_code, error.headers,
    )


async def _bug(request: Request, error: Exception) -> Response:
    return failure(bug(), request.url.path)


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

    def __init__(self, system: System, stop: Callable[[], None]) -> None:
        """Serves one system."""
        self.system, self._stop = system, stop

    async def status(self, request: Request) -> Response:
        """How the system does; answers while it boots too."""
        return JSONResponse(plain({**self.system.status(), "policy": http_rules.brief(self.system)}))

    async def syscalls(self, request: Request) -> Response:
        """The table; with `?schema=true` a JSON Schema of each syscall's arguments, too."""
        asked = request.query_params.get("schema", "false")
        if asked not in ("true", "false"):
            raise UserError(f"'schema' is true or false, and not {asked!r}")
        schemas = asked == "true"
        more: list[dict[str, Json]] = [
            {"mount": call.mount, "schema": call.schema} if schemas else {} for call in self.system.registry
        ]
        listed = map(entry, self.system.registry)
        return JSONResponse({"syscalls": [{**one, **rest} for one, rest in zip(listed, more, strict=True)]})

    async def run(self, request: Request) -> Response:
        """A sentence: planned and run; or the `plan` run that the person made of it, in the plan language."""
        data = await body(request)
        said, session, plan = text(data, "text"), text(data, "session", ""), text(data, "plan", "")
        if not said.strip():
            raise UserError("'text' is empty")
        return ndjson(told(lambda: after_boot(
            self.system, lambda: self.system.run_sentence(said, who(request, self.system, session), plan)
        )))

    async def call(self, request: Request) -> Response:
        """One syscall: a stream where the client takes one, else its result."""
        name = request.path_params["name"]
        data = await body(request)
        args, yes, session = data.get("args", {}), data.get("yes", False), text(data, "session", "")
        if not isinstance(args, dict) or not isinstance(yes, bool):
            raise UserError("'args' must be an object and 'yes' true or false")
        if odd := sorted({*data} - {"args", "yes", "session"}):
            raise UserError(f"there is no {odd[0]!r} here; what {name} takes goes in 'args'")
        if name not in self.system.registry:
            raise unknown("syscall", name, [call.name for call in self.system.registry])
        yes = yes and not origin(request)  # a job's command says yes to nothing: the call waits for a person
        events = told(lambda: after_boot(
            self.system, lambda: self.system.run_call(name, args, who(request, self.system, session), yes)
        ))
        if NDJSON in request.headers.get("accept", ""):
            return ndjson(events)
        return JSONResponse(await collected(events))

    async def cancel(self, request: Request) -> Response:
        """Ends a run."""
        await body(request)
        return JSONResponse({"cancelled": await self.system.cancel(request.path_params["id"], self._who(request))})

    async def plan(self, request: Request) -> Response:
        """A plan, or one a line for a batch, in order; nothing runs."""
        data = await body(request)
        batch = data.get("batch")
        if batch is None:
            said, name = text(data, "text"), text(data, "id", "") or f"p{secrets.token_hex(4)}"
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

    async def answer(self, request: Request) -> Response:
        """A person's answer to a held call; the run goes on in the response."""
        data = await body(request)
        said, reason, session = text(data, "answer"), text(data, "reason", ""), text(data, "session", "")
        if said not in _ANSWERS:
            raise UserError(f"'answer' must be one of {', '.join(_ANSWERS)}, and is {said!r}")
        caller = self._who(request, session)
        person(request)
        held = request.path_params["id"]

        def answered() -> AsyncIterator[Event]:
            asked: dict[str, Json] = {"id": held, "answer": said}
            with http_acts.refusing(self.system, request, caller, "approvals.answer", asked):
                return self.system.answer(held, said, caller, reason)

        return ndjson(told(answered))

    async def stop(self, request: Request) -> Response:
        """Ends the system."""
        await body(request)
        if self.system.ready:
            admin(request, self.system)
        self._stop()
        return JSONResponse({"stopping": True, **{"pid": self.system.status().get("pid")}}, 202)

    def _who(self, request: Request, session: str = "") -> Caller:
        return known(request, self.system, session)
