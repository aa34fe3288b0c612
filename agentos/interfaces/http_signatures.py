"""The endpoints for signatures of models on disk: verified, and made."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.errors import UserError, unknown
from agentos.interfaces.app import System
from agentos.interfaces.http_auth import admin, known
from agentos.interfaces.http_body import body, text
from agentos.models.shelf import Shelf, Stored
from agentos.types import Call, Caller, Json


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Signatures(system)
    return [
        Route("/v1/signatures", api.verify),
        Route("/v1/signatures", api.sign, methods=["POST"]),
    ]


class Signatures:
    """No syscalls: no model decides which model is to be trusted."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system, self._shelf = system, Shelf(system.settings.models)

    async def verify(self, request: Request) -> Response:
        """Reads all files of one stored model, or of each that the caller may see, and says what became of them."""
        caller, name = known(request, self._system), request.query_params.get("model", "")
        found = [await self._stored(name, caller)] if name else await self._seen(caller)
        rows: list[Json] = []
        for stored in found:
            said = await asyncio.to_thread(self._shelf.signer.verify, stored.path, quick=False)
            rows.append({"model": stored.name, **dataclasses.asdict(said)})
        return JSONResponse({"models": rows})

    async def sign(self, request: Request) -> Response:
        """Signs a stored model as its files are now; administrators alone."""
        caller = admin(request, self._system)
        stored = await self._stored(text(await body(request), "model"), caller)
        await asyncio.to_thread(self._sign, stored)
        return JSONResponse({"signed": stored.name})

    def _sign(self, stored: Stored) -> None:
        try:
            self._shelf.signer.sign(stored.path, stored.name, {})
            self._shelf.signer.keep(stored.path)
        except OSError as error:
            raise UserError(f"{stored.path} cannot be signed ({error.strerror}); nothing was changed") from error

    async def _stored(self, name: str, caller: Caller) -> Stored:
        await self._system.look("models.show", {"model": name}, caller)  # it is there, and may be seen
        call = Call(f"signed-{secrets.token_hex(5)}", "models.show", {"model": name}, caller)
        full = str(self._system.dispatcher.validated(call)[0].args["model"])
        stored = self._shelf.get(full)
        if stored is None:
            raise unknown("stored model", full, [item.name for item in self._shelf.all()])
        return stored

    async def _seen(self, caller: Caller) -> list[Stored]:
        await self._system.look("models.list", {"state": "stored"}, caller)
        return self._shelf.all()
