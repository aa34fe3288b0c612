"""The endpoints for the rules in force: what they are, and what they would say to a call."""

from __future__ import annotations

import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.errors import Retry, UserError
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import known
from agentos.interfaces.http_body import body, text
from agentos.types import Call, Caller, Explanation, Json


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = InForce(system)
    return [
        Route("/v1/policy", api.show),
        Route("/v1/policy/explain", api.explain, methods=["POST"]),
    ]


def brief(system: System) -> Json:
    """For the status: how many rules there are, since when, and which change was refused; None while it starts."""
    if not hasattr(system, "monitor"):
        return None
    state = system.monitor.state()
    return {"rules": len(state.rules), "since": state.since, "refused": plain(state.refused)}


class InForce:
    """The rules as the running system has them."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system

    async def show(self, request: Request) -> Response:
        """Every rule with its place, since when they are in force, and which change was refused."""
        known(request, self._system)
        if not hasattr(self._system, "monitor"):
            raise Retry(f"the system is starting ({self._system.boot}) and has no rules yet; ask again in a second")
        state = self._system.monitor.state()
        rules = [{"id": rule.id, "file": rule.file, "line": rule.line, "reason": rule.reason} for rule in state.rules]
        return JSONResponse(plain(
            {"rules": rules, "since": state.since, "folder": state.folder, "refused": state.refused}
        ))

    async def explain(self, request: Request) -> Response:
        """What a call would get; who may ask that is what `policy.explain` is decided by."""
        caller, data = known(request, self._system), await body(request)
        syscall, user = text(data, "syscall"), text(data, "user", "") or caller.user
        args, owner = data.get("args"), data.get("owner")
        if not (args is None or isinstance(args, dict)) or not (owner is None or isinstance(owner, str)):
            raise UserError("'args' must be an object, and 'owner' a user's name; nothing was explained")

        async def read() -> Explanation:
            return self._explained(syscall, user, caller, args, owner)

        asked: dict[str, Json] = {"syscall": syscall, "user": user}
        return JSONResponse(await self._system.look("policy.explain", asked, caller, read))

    def _explained(
        self, syscall: str, user: str, caller: Caller, args: dict[str, Any] | None, owner: str | None
    ) -> Explanation:
        if args is not None:
            call = Call(f"explain-{secrets.token_hex(5)}", syscall, args, caller)
            args = dict(self._system.dispatcher.validated(call)[0].args)
        return self._system.monitor.explain(syscall, user, caller, args=args, owner=owner)
