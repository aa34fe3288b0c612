"""The endpoints for quotas."""

from __future__ import annotations

from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.errors import UserError, unknown
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import admin, known
from agentos.interfaces.http_body import body, text
from agentos.policy.people import ROLES
from agentos.policy.periods import Period


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Quotas(system)
    return [
        Route("/v1/quotas", api.listing),
        Route("/v1/quotas", api.set, methods=["PUT"]),
        Route("/v1/quotas", api.remove, methods=["DELETE"]),
    ]


class Quotas:
    """An administrator sees and sets all of them; others see what holds for themselves."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system

    async def listing(self, request: Request) -> Response:
        """Limits, what is used of them, and when they start anew."""
        caller, user = known(request, self._system), request.query_params.get("user") or None
        mine = user if caller.role == "admin" else caller.user
        return JSONResponse({"quotas": plain(self._system.governance.quotas.standings(mine))})

    async def set(self, request: Request) -> Response:
        """Sets a limit."""
        caller, data = admin(request, self._system), await body(request)
        subject, amount = text(data, "subject"), data.get("amount")
        if not isinstance(amount, int | float) or isinstance(amount, bool) or not abs(amount) < 1e300:
            raise UserError(f"'amount' must be a number, and is {amount!r}; nothing was changed")
        self._known(subject)
        period = cast(Period, text(data, "period"))
        made = self._system.governance.quotas.set(subject, text(data, "resource"), period, float(amount), caller.user)
        return JSONResponse(plain(made))

    async def remove(self, request: Request) -> Response:
        """Lifts a limit."""
        admin(request, self._system)
        data = await body(request)
        subject, resource, period = text(data, "subject"), text(data, "resource"), text(data, "period", "")
        return JSONResponse({"removed": self._system.governance.quotas.remove(subject, resource, period)})

    def _known(self, subject: str) -> None:
        """Returns where there is such a user, group or role: a limit for a misspelt one would hold for nobody."""
        kind, _, name = subject.partition(":")
        governance = self._system.governance
        names: dict[str, list[str]] = {
            "user": [user.name for user in self._system.people.users()],
            "group": [group.name for group in governance.groups.all()],
            "role": [*ROLES, *(role.name for role in governance.roles.all())],
        }
        if kind in names and name not in names[kind]:
            raise unknown(kind, name, names[kind])
