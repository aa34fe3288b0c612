"""The endpoints for secrets: a person's own, put in and taken out; no value ever comes back."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.interfaces.app import System
from agentos.interfaces.http_auth import known
from agentos.interfaces.http_body import body, text


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Own(system)
    return [
        Route("/v1/secrets", api.names),
        Route("/v1/secrets/{name}", api.put, methods=["PUT"]),
        Route("/v1/secrets/{name}", api.drop, methods=["DELETE"]),
    ]


class Own:
    """The caller's secrets. They are no syscalls: a model never handles them."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system

    async def names(self, request: Request) -> Response:
        """What they are called."""
        return JSONResponse({"secrets": self._system.secrets.names(known(request, self._system).user)})

    async def put(self, request: Request) -> Response:
        """Keeps one."""
        caller, name = known(request, self._system), request.path_params["name"]
        self._system.secrets.put(name, text(await body(request), "value"), caller.user)
        return JSONResponse({"kept": name}, headers={"cache-control": "no-store"})

    async def drop(self, request: Request) -> Response:
        """Forgets one."""
        caller, name = known(request, self._system), request.path_params["name"]
        self._system.secrets.drop(name, caller.user)
        return JSONResponse({"deleted": name})
