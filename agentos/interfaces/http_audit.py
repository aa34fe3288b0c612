"""The endpoints of the audit trail: searched by everyone for their own rows, signed and exported by administrators."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agentos.errors import UserError
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import admin, known
from agentos.types import Caller, Json

MOST = 1000
"""Rows that one search gives at most."""
_FILTERS = ("user", "syscall", "decision", "since")


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Trail(system)
    return [
        Route("/v1/audit", api.search),
        Route("/v1/audit/head", api.sign, methods=["POST"]),
        Route("/v1/audit/export", api.export),
    ]


class Trail:
    """The audit trail. Policy decides as on `audit.search`, and who looks is on the trail too."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system

    async def search(self, request: Request) -> Response:
        """Rows that match, newest first; an administrator sees everybody's, others their own."""
        caller = known(request, self._system, request.query_params.get("session", ""))
        limit = _limit(request.query_params.get("limit", "50"))
        asked = _asked(request, _FILTERS)

        async def read() -> object:
            wanted: dict[str, str | None] = {name: asked.get(name) for name in _FILTERS}
            return self._system.audit.search(
                user=wanted["user"], syscall=wanted["syscall"], decision=wanted["decision"], since=wanted["since"],
                caller=caller, limit=limit,
            )

        return _now(await self._look(asked, caller, read))

    async def sign(self, request: Request) -> Response:
        """A signed head that covers the newest row."""
        admin(request, self._system)
        return _now({"head": self._system.audit.sign()})

    async def export(self, request: Request) -> Response:
        """The trail as lines of JSON, a signed head last."""
        caller, asked = admin(request, self._system), _asked(request, ("user", "since"))
        await self._look(asked, caller, _nothing)
        lines = self._system.audit.export(asked.get("user"), asked.get("since"))
        return StreamingResponse(lines, media_type="application/x-ndjson", headers={"cache-control": "no-store"})

    async def _look(self, asked: dict[str, str], caller: Caller, read: object) -> Json:
        return await self._system.look("audit.search", dict(asked), caller, read)  # type: ignore[arg-type]


async def _nothing() -> None:
    """A look that only asks whether it may be had."""


def _asked(request: Request, names: tuple[str, ...]) -> dict[str, str]:
    return {name: said for name in names if (said := request.query_params.get(name))}


def _limit(said: str) -> int:
    if not said.isdecimal() or not 1 <= int(said) <= MOST:
        raise UserError(f"'limit' must be a number from 1 to {MOST}, and is {said!r}")
    return int(said)


def _now(said: object) -> Response:
    return JSONResponse(plain(said), headers={"cache-control": "no-store"})
