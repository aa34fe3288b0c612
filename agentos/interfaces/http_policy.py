"""The endpoints for people's decisions: held calls, rules, users and keys."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.errors import UserError
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import admin, known
from agentos.interfaces.http_body import body, text
from agentos.types import Caller, Role

_ROLES: dict[str, Role] = {"viewer": "viewer", "operator": "operator", "admin": "admin"}


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Decisions(system)
    return [
        Route("/v1/approvals", api.approvals),
        Route("/v1/rules", api.rules),
        Route("/v1/rules/{id}", api.revoke_rule, methods=["DELETE"]),
        Route("/v1/users", api.users),
        Route("/v1/users/{name}", api.set_role, methods=["PUT"]),
        Route("/v1/keys", api.keys),
        Route("/v1/keys", api.create_key, methods=["POST"]),
        Route("/v1/keys/{id}", api.revoke_key, methods=["DELETE"]),
    ]


class Decisions:
    """What people decide. An administrator sees everybody's, others their own."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system

    async def approvals(self, request: Request) -> Response:
        """Calls that wait for a person."""
        mine = _mine(known(request, self._system))
        return JSONResponse({"approvals": plain(self._system.approvals.pending(mine))})

    async def rules(self, request: Request) -> Response:
        """Yeses that hold beforehand."""
        mine = _mine(known(request, self._system))
        return JSONResponse({"rules": plain(self._system.approvals.rules(mine))})

    async def revoke_rule(self, request: Request) -> Response:
        """Takes a rule back."""
        caller = known(request, self._system)
        return JSONResponse({"revoked": plain(self._system.approvals.revoke(request.path_params["id"], caller))})

    async def users(self, request: Request) -> Response:
        """Everyone and their roles."""
        admin(request, self._system)
        return JSONResponse({"users": plain(self._system.people.users())})

    async def set_role(self, request: Request) -> Response:
        """Gives a user a role."""
        admin(request, self._system)
        name, role = request.path_params["name"], _role(text(await body(request), "role"))
        self._system.people.set_role(name, role)
        return JSONResponse({"user": name, "role": role})

    async def keys(self, request: Request) -> Response:
        """Keys without their secrets."""
        admin(request, self._system)
        return JSONResponse({"keys": plain(self._system.people.keys())})

    async def create_key(self, request: Request) -> Response:
        """A new key, shown this once."""
        admin(request, self._system)
        data = await body(request)
        role = None if data.get("role") is None else _role(text(data, "role"))
        made = self._system.people.create_key(text(data, "user"), role)
        return JSONResponse(plain(made), 201, {"cache-control": "no-store"})

    async def revoke_key(self, request: Request) -> Response:
        """Ends a key."""
        admin(request, self._system)
        self._system.people.revoke_key(request.path_params["id"])
        return JSONResponse({"revoked": request.path_params["id"]})


def _mine(caller: Caller) -> str | None:
    return None if caller.role == "admin" else caller.user


def _role(said: str) -> Role:
    if said not in _ROLES:
        raise UserError(f"'role' must be viewer, operator or admin, and is {said!r}; nothing was changed")
    return _ROLES[said]
