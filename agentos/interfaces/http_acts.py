"""What people administer at the doors, and how it comes to be on the audit trail: one table for all endpoints.

An endpoint in the table is recorded as a call is: before it has its effect, with who, what it is on and the decision;
then what became of it. So is a refusal: of a role, of a key's scope, of a job's command that plays a person.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, compile_path

from agentos.errors import DeniedError, UserError
from agentos.interfaces.app import System
from agentos.interfaces.http_auth import admin, known
from agentos.interfaces.http_body import body
from agentos.interfaces.http_scope import origin
from agentos.policy.acts import ADMIN, OWN, act, refused
from agentos.policy.people import key_id
from agentos.types import Caller, Json

_MADE = "agentos.made"
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Act:
    """What an endpoint does."""

    name: str
    """On the audit trail."""
    who: Literal["admin", "own", "kept"] = "admin"
    """`admin`: administrators alone. `own`: people do it to what is theirs. `kept`: what it does is recorded behind
    the door, and here only that the door refused it."""
    fields: tuple[str, ...] = ()
    """Of the request, that say what it is on; beside those of the path."""
    makes: bool = False
    """Whether it makes a key, whose id is in the row."""


ACTS: Mapping[tuple[str, str], Act] = {
    ("POST", "/v1/users"): Act("users.create", fields=("name", "role", "service")),
    ("PUT", "/v1/users/{name}"): Act("users.set", fields=("role",)),
    ("POST", "/v1/keys"): Act("keys.create", fields=("user", "role", "scope", "read_only", "expires"), makes=True),
    ("DELETE", "/v1/keys/{id}"): Act("keys.revoke"),
    ("POST", "/v1/groups"): Act("groups.create", fields=("name",)),
    ("DELETE", "/v1/groups/{name}"): Act("groups.delete"),
    ("PUT", "/v1/groups/{name}/members/{user}"): Act("groups.add"),
    ("DELETE", "/v1/groups/{name}/members/{user}"): Act("groups.remove"),
    ("POST", "/v1/groups/{name}/give"): Act("groups.give", "own", ("kind", "name")),
    ("POST", "/v1/groups/{name}/take"): Act("groups.take", "own", ("kind", "name")),
    ("POST", "/v1/roles"): Act("roles.create", fields=("name", "base", "allow", "forbid")),
    ("DELETE", "/v1/roles/{name}"): Act("roles.delete"),
    ("PUT", "/v1/quotas"): Act("quotas.set", fields=("subject", "resource", "amount", "period")),
    ("DELETE", "/v1/quotas"): Act("quotas.remove", fields=("subject", "resource", "period")),
    ("DELETE", "/v1/rules/{id}"): Act("rules.revoke", "own"),
    ("PUT", "/v1/secrets/{name}"): Act("secrets.put", "own"),
    ("DELETE", "/v1/secrets/{name}"): Act("secrets.delete", "own"),
    ("PUT", "/v1/private"): Act("private.set", "own", ("kind", "name", "private")),
    ("POST", "/v1/signatures"): Act("models.sign", fields=("model",)),
    ("POST", "/v1/kernel/train"): Act("kernel.train", fields=("rows", "epochs", "seed", "feedback", "further")),
    ("POST", "/v1/kernel/keep"): Act("kernel.keep", fields=("run",)),
    ("POST", "/v1/kernel/mean"): Act("kernel.mean", fields=("adapters",)),
    ("POST", "/v1/kernel/promote"): Act("kernel.promote", fields=("adapter",)),
    ("POST", "/v1/kernel/rollback"): Act("kernel.rollback"),
    ("POST", "/v1/approvals/{id}"): Act("approvals.answer", "kept", ("answer",)),
    ("POST", "/v1/reviews/{id}/release"): Act("reviews.release", "kept"),
    ("POST", "/v1/reviews/{id}/refuse"): Act("reviews.refuse", "kept"),
    ("POST", "/v1/mounts"): Act("mcp.add", "kept", ("name",)),
    ("DELETE", "/v1/mounts/{name}"): Act("mcp.remove", "kept"),
    ("POST", "/v1/mounts/{name}/refresh"): Act("mcp.refresh", "kept"),
}
_PATHS = [(method, compile_path(path)[0], item) for (method, path), item in ACTS.items()]


def recorded(system: System, routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """The routes; those in the table put what they do on the audit trail."""
    return [_recorded(system, route) if isinstance(route, Route) else route for route in routes]


def made(request: HTTPConnection) -> str:
    """The id of the key that a request makes, which the audit trail has already; empty where none was recorded."""
    return str(request.scope.get(_MADE, ""))


def out_of_scope(system: System, caller: Caller, method: str, path: str, error: DeniedError) -> None:
    """Records what a key's scope did not reach to; nothing, where that is no administration.

    Raises:
        Failed: it could not be recorded.
    """
    for verb, shape, item in _PATHS:
        if verb == method and (found := shape.match(path)):
            refused(system.audit, caller, item.name, found.groupdict(), error, rule="scope")
            return


@contextmanager
def refusing(system: System, request: Request, caller: Caller, name: str, args: Mapping[str, Json]) -> Iterator[None]:
    """Records what is refused within; nothing else."""
    try:
        yield
    except DeniedError as error:
        refused(system.audit, caller, name, args, error, rule="by-a-person" if origin(request) else ADMIN)
        raise


def _recorded(system: System, route: Route) -> Route:
    methods = list(route.methods or ())
    item = next((item for method in methods if (item := ACTS.get((method, route.path)))), None)
    return route if item is None else Route(route.path, _recording(system, item, route.endpoint), methods=methods)


def _recording(system: System, item: Act, endpoint: Endpoint) -> Endpoint:
    @functools.wraps(endpoint)
    async def inner(request: Request) -> Response:
        caller = known(request, system)
        args, wrong = await _said(request, item)
        if item.who != "own":
            with refusing(system, request, caller, item.name, args):
                if item.who == "kept":
                    if wrong is not None:
                        raise wrong
                    return await endpoint(request)
                admin(request, system)
        if wrong is not None:
            raise wrong
        if item.makes:
            args["id"] = request.scope[_MADE] = key_id()
        rule = "admin-everything" if caller.role == "admin" else OWN
        with act(system.audit, caller, item.name, args, rule):
            return await endpoint(request)

    return inner


async def _said(request: Request, item: Act) -> tuple[dict[str, Json], UserError | None]:
    """What an act is on, and what is wrong with the request, which who may not do it is not told."""
    data: dict[str, Json] = {}
    wrong = None
    if item.fields:
        try:
            data = await body(request)
        except UserError as error:
            wrong = error
    said = {name: data[name] for name in item.fields if data.get(name) is not None}
    both = said.keys() & request.path_params.keys()
    args: dict[str, Json] = {("group" if name in both else name): value for name, value in request.path_params.items()}
    return {**args, **said}, wrong
