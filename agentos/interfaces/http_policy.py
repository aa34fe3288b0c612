"""The endpoints for people's decisions: held calls, rules, users and keys."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.errors import DeniedError, UserError
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_acts import made
from agentos.interfaces.http_auth import admin, known
from agentos.interfaces.http_body import body, text
from agentos.policy.scopes import READ_ONLY, inside, read
from agentos.types import Caller, Json, Role
from agentos.types.units import seconds

_ROLES: dict[str, Role] = {"viewer": "viewer", "operator": "operator", "admin": "admin"}


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Decisions(system)
    return [
        Route("/v1/approvals", api.approvals),
        Route("/v1/rules", api.rules),
        Route("/v1/rules/{id}", api.revoke_rule, methods=["DELETE"]),
        Route("/v1/users", api.users),
        Route("/v1/users", api.create_user, methods=["POST"]),
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
        """Calls that wait for a person, and beside them those that nobody answered in time."""
        mine = _mine(known(request, self._system))
        held = self._system.approvals
        return JSONResponse({"approvals": plain(held.pending(mine)), "expired": plain(held.expired(mine))})

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

    async def create_user(self, request: Request) -> Response:
        """Makes a user, a person or a service account."""
        admin(request, self._system)
        data = await body(request)
        name, service = text(data, "name"), data.get("service", False)
        if not isinstance(service, bool):
            raise UserError(f"'service' must be true or false, and is {service!r}; nothing was changed")
        role, custom = self._role(text(data, "role", "viewer"))
        self._system.people.add(name, role, service=service, custom=custom)
        return JSONResponse({"user": name, "role": custom or role, "service": service}, 201)

    async def set_role(self, request: Request) -> Response:
        """Gives a user a role."""
        admin(request, self._system)
        name, (role, custom) = request.path_params["name"], self._role(text(await body(request), "role"))
        self._system.people.set_role(name, role, custom)
        return JSONResponse({"user": name, "role": custom or role})

    async def keys(self, request: Request) -> Response:
        """Keys without their secrets."""
        admin(request, self._system)
        return JSONResponse({"keys": plain(self._system.people.keys())})

    async def create_key(self, request: Request) -> Response:
        """A new key, shown this once."""
        caller, data = admin(request, self._system), await body(request)
        role = None if data.get("role") is None else _role(text(data, "role"))
        scope = self._scope(data)
        if not inside(scope, caller.scope):
            raise DeniedError(
                f"this key is for {', '.join(caller.scope or ())} and makes no key that is for more. Nothing was made;"
                " name a scope within that, or use a key without one."
            )
        key = self._system.people.create_key(text(data, "user"), role, _expires(data), scope, made(request))
        return JSONResponse(plain(key), 201, {"cache-control": "no-store"})

    async def revoke_key(self, request: Request) -> Response:
        """Ends a key."""
        admin(request, self._system)
        self._system.people.revoke_key(request.path_params["id"])
        return JSONResponse({"revoked": request.path_params["id"]})

    def _role(self, said: str) -> tuple[Role, str]:
        """A shipped role, or one of the owner's own with its base."""
        own = self._system.governance.roles.get(said)
        return (own.base, own.name) if own else (_role(said), "")

    def _scope(self, data: dict[str, Json]) -> tuple[str, ...] | None:
        items = data.get("scope")
        if items is None and data.get("read_only") is not True:
            return None
        if items is not None and not (isinstance(items, list) and all(isinstance(item, str) for item in items)):
            raise UserError("'scope' must be a list of texts; nothing was made")
        more = [READ_ONLY] if data.get("read_only") is True else []
        return read([*map(str, items or ()), *more], [entry.name for entry in self._system.registry])


def _mine(caller: Caller) -> str | None:
    return None if caller.role == "admin" else caller.user


def _role(said: str) -> Role:
    if said not in _ROLES:
        raise UserError(
            f"'role' must be viewer, operator or admin, or one of `agentos roles`, and is {said!r}; nothing was changed"
        )
    return _ROLES[said]


def _expires(data: dict[str, Json]) -> float | None:
    """When a key ends: in so long from now (`30d`)."""
    if data.get("expires") is None:
        return None
    try:
        rest = seconds(text(data, "expires"))
    except (ValueError, OverflowError) as error:
        raise UserError(f"'expires': {error}. Nothing was made.") from None
    return None if rest is None else time.time() + rest
