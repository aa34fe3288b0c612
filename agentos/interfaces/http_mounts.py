"""The endpoints for mounted servers: whose tools are syscalls here, and administrators' say over them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.dispatch.mounting import Mounting
from agentos.errors import Retry
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import known
from agentos.interfaces.http_body import body, text
from agentos.interfaces.http_scope import person
from agentos.interfaces.http_stream import ready
from agentos.mounts.service import Mount
from agentos.types import Caller, Json


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Servers(system)
    return [
        Route("/v1/mounts", api.listing),
        Route("/v1/mounts", api.add, methods=["POST"]),
        Route("/v1/mounts/{name}", api.remove, methods=["DELETE"]),
        Route("/v1/mounts/{name}/refresh", api.refresh, methods=["POST"]),
    ]


class Servers:
    """The mounted servers. They are no syscalls: a model mounts nothing."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system

    async def listing(self, request: Request) -> Response:
        """Every one; how it failed last, and what was refused of it, for administrators."""
        caller, mounting = self._caller(request)
        return JSONResponse({"mounts": [_shown(mount, caller) for mount in mounting.listing()]})

    async def add(self, request: Request) -> Response:
        """Mounts one: `name`, and how it is reached (`command`, `env`, `folder`; or `url`, `headers`)."""
        data = await body(request)
        person(request)
        await ready(self._system)
        caller, mounting = self._caller(request)
        name = text(data, "name")
        said = {key: value for key, value in data.items() if key != "name"}
        return JSONResponse({"mount": _shown(await mounting.add(caller, name, said), caller)}, 201)

    async def refresh(self, request: Request) -> Response:
        """Takes in what one offers now."""
        await body(request)
        person(request)
        await ready(self._system)
        caller, mounting = self._caller(request)
        done = await mounting.refresh(caller, request.path_params["name"])
        return JSONResponse({
            "mount": _shown(done.mount, caller), "added": list(done.added), "removed": list(done.removed),
            "changed": list(done.changed),
        })

    async def remove(self, request: Request) -> Response:
        """Takes one away."""
        person(request)
        await ready(self._system)
        caller, mounting = self._caller(request)
        return JSONResponse({"removed": _shown(await mounting.remove(caller, request.path_params["name"]), caller)})

    def _caller(self, request: Request) -> tuple[Caller, Mounting]:
        caller = known(request, self._system)
        mounting = getattr(self._system, "mounting", None)
        if not isinstance(mounting, Mounting):
            raise Retry(f"the system is starting ({self._system.boot}); ask again in a second")
        return caller, mounting


def _shown(mount: Mount, caller: Caller) -> Json:
    said = plain(mount)
    assert isinstance(said, dict)
    return said if caller.role == "admin" else {**said, "fault": "", "refused": [], "server": {}}
