"""`/openapi.json`: every endpoint as OpenAPI 3.1, made of the routes, the table of syscalls and the request shapes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from agentos.interfaces.app import System
from agentos.interfaces.http_auth import known
from agentos.interfaces.http_bodies import BODIES, QUERIES, schema
from agentos.interfaces.openai_errors import concerns
from agentos.interfaces.openai_response_shapes import ResponseRequest
from agentos.interfaces.openai_shapes import ChatRequest, CompletionRequest, EmbeddingRequest
from agentos.syscall import Syscall

_SHAPES: dict[str, type[BaseModel]] = {
    "POST /v1/chat/completions": ChatRequest, "POST /v1/completions": CompletionRequest,
    "POST /v1/embeddings": EmbeddingRequest, "POST /v1/responses": ResponseRequest,
}
_ERROR: dict[str, Any] = {
    "type": "object", "required": ["error"], "properties": {"error": {
        "type": "object", "required": ["message", "type"], "properties": {
            "message": {"type": "string"}, "type": {"type": "string"}, "param": {"type": ["string", "null"]},
            "code": {"type": ["string", "null"]}, "approval": {"type": "string"},
        },
    }},
}
_FAILED = {"description": "It was not done; the message says why.", "content": {
    "application/json": {"schema": {"$ref": "#/components/schemas/Error"}},
}}
_LINES = {"/v1/runs", "/v1/plans", "/v1/approvals/{id}", "/v1/audit/export"}
_PLACED = re.compile(r"{(\w+)(?::\w+)?}")


class Described:
    """The endpoint."""

    def __init__(self, system: System) -> None:
        """Describes one system."""
        self._system = system

    async def get(self, request: Request) -> Response:
        """Every endpoint, as OpenAPI 3.1."""
        known(request, self._system)
        return JSONResponse(document(self._system, request.app.routes), headers={"cache-control": "no-store"})


def document(system: System, routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The description of a door's routes, each syscall with the schema of its arguments."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if isinstance(route, Route) and (route.path.startswith("/v1/") or route.path in ("/metrics", "/openapi.json")):
            for method, said in _operations(route):
                paths.setdefault(_PLACED.sub(r"{\1}", route.path), {})[method.lower()] = said
    for call in system.registry:
        paths[f"/v1/syscalls/{call.name}"] = {"post": _call(call)}
    for path, what in (("/live", "Whether the process answers."), ("/ready", "Whether requests are taken.")):
        shape = {"type": "object", "required": [path[1:]], "properties": {path[1:]: {"type": "boolean"}}}
        answer = {"description": what, "content": {"application/json": {"schema": shape}}}
        codes = {"200": answer} | ({"503": answer} if path == "/ready" else {})
        paths[path] = {"get": {"operationId": f"get{path.replace('/', '_')}", "summary": what, "security": [],
                               "tags": ["life"], "responses": codes}}
    _, shapes = models_json_schema(
        [(shape, "validation") for shape in _SHAPES.values()], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "agentos", "version": system.version, "description": __doc__.partition(":")[2].strip()},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR, **shapes["$defs"]},
        },
    }


def _operations(route: Route) -> Iterator[tuple[str, dict[str, Any]]]:
    for method in sorted((route.methods or set()) - {"HEAD"}):
        path = _PLACED.sub(r"{\1}", route.path)
        name = f"{method} {path}"
        queries = [{"name": key, "in": "query", "schema": kind} for key, kind in QUERIES.get(name, {}).items()]
        said: dict[str, Any] = {
            "operationId": re.sub(r"\W+", "_", name.lower()).strip("_"), "summary": _summary(route.endpoint),
            "tags": ["openai" if concerns(path) else path.split("/")[2] if path.count("/") > 1 else "system"],
            "parameters": [*_places(route.path), *queries], "responses": _answers(path, method),
        }
        body = _body(name, method)
        if body is not None:
            said["requestBody"] = {"required": name in _SHAPES or "required" in body,
                                   "content": {"application/json": {"schema": body}}}
        yield method, said


def _body(name: str, method: str) -> dict[str, Any] | None:
    if name in _SHAPES:
        return {"$ref": f"#/components/schemas/{_SHAPES[name].__name__}"}
    if name in BODIES:
        return schema(BODIES[name])
    return {"type": "object"} if method in ("POST", "PUT") else None


def _places(path: str) -> list[dict[str, Any]]:
    kind = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": kind} for name in _PLACED.findall(path)]


def _answers(path: str, method: str) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": {"type": "object"}}}
    if path in _LINES or path.startswith("/v1/syscalls/"):
        content["application/x-ndjson"] = {"schema": {"type": "string"}}
    if concerns(path) and method == "POST" and path != "/v1/embeddings":
        content["text/event-stream"] = {"schema": {}}  # OpenAPI 3.1 has no word for what each event is
    if path == "/metrics":
        content = {"text/plain": {"schema": {"type": "string"}},
                   "application/openmetrics-text": {"schema": {"type": "string"}}}
    if path.startswith("/v1/syscalls/"):
        content["application/json"] = {"schema": {}}
    return {"2XX": {"description": "It was done.", "content": content}, "4XX": _FAILED, "5XX": _FAILED}


def _call(call: Syscall) -> dict[str, Any]:
    arguments = {key: value for key, value in call.schema.items() if key != "title"}
    body = {"type": "object", "properties": {"args": arguments, "yes": {"type": "boolean"},
                                             "session": {"type": "string"}}, "additionalProperties": False}
    if arguments.get("required"):
        body["required"] = ["args"]
    return {
        "operationId": f"call_{call.name.replace('.', '_')}", "summary": call.doc, "tags": [call.family],
        "x-effect": call.effect, "responses": _answers("/v1/syscalls/{name}", "POST"),
        "requestBody": {"required": "required" in body, "content": {"application/json": {"schema": body}}},
    }


def _summary(endpoint: Any) -> str:
    return (inspect.getdoc(endpoint) or "").split("\n\n", 1)[0].replace("\n", " ")
