"""The endpoints for groups and roles."""

from __future__ import annotations

import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.errors import UserError, unknown
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import admin, known
from agentos.interfaces.http_body import body, text
from agentos.interfaces.http_scope import person
from agentos.policy.people import ROLES
from agentos.types import Call, Caller, Explanation, Json, Role

_SHOWS = {"model": "models.show", "dataset": "datasets.show", "job": "jobs.show"}
"""The syscall that tells of each kind of thing that a group may own."""


def routes(system: System) -> list[Route]:
    """Where each is found."""
    groups, roles = Groups(system), Roles(system)
    return [
        Route("/v1/groups", groups.listing),
        Route("/v1/groups", groups.create, methods=["POST"]),
        Route("/v1/groups/{name}", groups.delete, methods=["DELETE"]),
        Route("/v1/groups/{name}/members/{user}", groups.add, methods=["PUT"]),
        Route("/v1/groups/{name}/members/{user}", groups.remove, methods=["DELETE"]),
        Route("/v1/groups/{name}/give", groups.give, methods=["POST"]),
        Route("/v1/groups/{name}/take", groups.take, methods=["POST"]),
        Route("/v1/roles", roles.listing),
        Route("/v1/roles", roles.create, methods=["POST"]),
        Route("/v1/roles/{name}", roles.show),
        Route("/v1/roles/{name}", roles.delete, methods=["DELETE"]),
    ]


class Groups:
    """An administrator makes them and sees all; members see theirs, and give them what is their own."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system

    async def listing(self, request: Request) -> Response:
        """Groups with their members and what they own."""
        caller = known(request, self._system)
        mine = None if caller.role == "admin" else caller.user
        return JSONResponse({"groups": plain(self._system.governance.groups.all(mine))})

    async def create(self, request: Request) -> Response:
        """Makes a group."""
        caller = admin(request, self._system)
        name = text(await body(request), "name")
        self._system.governance.groups.create(name, caller.user)
        return JSONResponse({"group": name}, 201)

    async def delete(self, request: Request) -> Response:
        """Ends a group."""
        admin(request, self._system)
        self._system.governance.groups.delete(request.path_params["name"])
        return JSONResponse({"deleted": request.path_params["name"]})

    async def add(self, request: Request) -> Response:
        """Puts a user into a group."""
        admin(request, self._system)
        name, user = request.path_params["name"], request.path_params["user"]
        self._system.governance.groups.add(name, user)
        return JSONResponse({"group": name, "added": user})

    async def remove(self, request: Request) -> Response:
        """Takes a user out of a group."""
        admin(request, self._system)
        name, user = request.path_params["name"], request.path_params["user"]
        self._system.governance.groups.remove(name, user)
        return JSONResponse({"group": name, "removed": user})

    async def give(self, request: Request) -> Response:
        """Makes a group an owner of a model, a data set or a job."""
        name, kind, thing, caller = await self._thing(request)
        self._system.governance.groups.give(name, kind, thing, caller)
        return JSONResponse({"group": name, "given": {"kind": kind, "name": thing}})

    async def take(self, request: Request) -> Response:
        """Takes a thing from a group."""
        name, kind, thing, caller = await self._thing(request)
        self._system.governance.groups.take(name, kind, thing, caller)
        return JSONResponse({"group": name, "taken": {"kind": kind, "name": thing}})

    async def _thing(self, request: Request) -> tuple[str, str, str, Caller]:
        """Group, kind, and the name that rules know a thing by, which the caller may see."""
        caller = known(request, self._system)
        person(request)
        data = await body(request)
        kind, said = text(data, "kind"), text(data, "name")
        if kind not in _SHOWS:
            raise UserError(f"'kind' must be {', '.join(_SHOWS)}, and is {kind!r}; nothing was changed")
        asked: dict[str, Json] = {kind: said}
        await self._system.look(_SHOWS[kind], asked, caller)  # it is there, and may be seen
        call = Call(f"give-{secrets.token_hex(5)}", _SHOWS[kind], asked, caller)
        return request.path_params["name"], kind, str(self._system.dispatcher.validated(call)[0].args[kind]), caller


class Roles:
    """What roles may do is asked of the rules, each time."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system

    async def listing(self, request: Request) -> Response:
        """Every role, with how many syscalls it may make at once, after a person's yes, and not."""
        known(request, self._system)
        own = self._system.governance.roles.all()
        shipped: list[dict[str, Json]] = [self._counted(role, role, "") for role in ROLES]
        return JSONResponse({"roles": [*shipped, *(self._counted(role.name, role.base, role.file) for role in own)]})

    async def show(self, request: Request) -> Response:
        """What a role may do, syscall by syscall, on what is its holder's own."""
        known(request, self._system)
        name = request.path_params["name"]
        own = self._system.governance.roles.get(name)
        base = own.base if own else next((role for role in ROLES if role == name), None)
        if base is None:
            names = [*ROLES, *(role.name for role in self._system.governance.roles.all())]
            raise unknown("role", name, names)
        return JSONResponse({**self._counted(name, base, own.file if own else ""), "may": plain(self._may(name, base))})

    async def create(self, request: Request) -> Response:
        """Makes a role of the owner's own."""
        admin(request, self._system)
        data = await body(request)
        base = text(data, "base")
        role = next((role for role in ROLES if role == base), None)
        if role is None:
            raise UserError(f"'base' must be viewer or operator, and is {base!r}; nothing was made")
        made = self._system.governance.roles.create(
            text(data, "name"), role, _texts(data, "allow"), _texts(data, "forbid")
        )
        self._system.monitor.reload()
        return JSONResponse(plain(made), 201)

    async def delete(self, request: Request) -> Response:
        """Ends a role that nobody has."""
        admin(request, self._system)
        gone = self._system.governance.roles.delete(request.path_params["name"])
        self._system.monitor.reload()
        return JSONResponse({"deleted": gone.name})

    def _counted(self, name: str, base: Role, file: str) -> dict[str, Json]:
        said = [one.decision for one in self._may(name, base)]
        return {
            "role": name, "base": base, "file": file, "allow": said.count("allow"), "confirm": said.count("confirm"),
            "deny": said.count("deny"),
        }

    def _may(self, name: str, base: Role) -> list[Explanation]:
        own = self._system.governance.roles.get(name)
        return self._system.monitor.may(base, own.name if own else "", own.rules if own else ())


def _texts(data: dict[str, Json], name: str) -> list[str]:
    items = data.get(name, [])
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise UserError(f"{name!r} must be a list of texts; nothing was made")
    return [str(item) for item in items]
