"""The endpoints for what is private: data sets and models whose files are sealed on disk."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.datasets.shelf import DATA
from agentos.datasets.shelf import Shelf as Datasets
from agentos.errors import DeniedError, UserError, unknown
from agentos.interfaces.app import System
from agentos.interfaces.http_auth import known
from agentos.interfaces.http_body import body, text
from agentos.interfaces.http_scope import person
from agentos.models.pull import Puller
from agentos.models.shelf import Shelf as Models
from agentos.models.shelf import is_private
from agentos.sealing.files import is_sealed
from agentos.sealing.private import Sealed
from agentos.types import Call, Caller

KINDS = {"dataset": "datasets.show", "model": "models.show"}


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Private(system)
    return [
        Route("/v1/private", api.listing),
        Route("/v1/private", api.set, methods=["PUT"]),
    ]


class Private:
    """No syscalls: whether something is sealed is for people to say."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system
        self._models, self._datasets = Models(system.settings.models), Datasets(system.settings.home / "datasets")

    async def listing(self, request: Request) -> Response:
        """What is private, of what the caller may see."""
        caller = known(request, self._system)
        await self._system.look("models.list", {"state": "stored"}, caller)
        await self._system.look("datasets.list", {}, caller)
        models = [item.name for item in self._models.all() if is_private(item)]
        data = [item.name for item in self._datasets.all() if is_sealed(item.path / DATA)]
        there = [("model", name) for name in models] + [("dataset", name) for name in data]
        return JSONResponse({"private": [{"kind": kind, "name": name} for kind, name in there]})

    async def set(self, request: Request) -> Response:
        """Makes one private, or no longer: its owner, or an administrator."""
        caller = known(request, self._system)
        person(request)
        data = await body(request)
        kind, name, private = text(data, "kind"), text(data, "name"), data.get("private", True)
        if not isinstance(private, bool):
            raise UserError(f"'private' must be true or false, and is {private!r}; nothing was changed")
        if kind not in KINDS:
            raise UserError(f"'kind' must be {' or '.join(KINDS)}, and is {kind!r}; nothing was changed")
        await self._system.look(KINDS[kind], {kind: name}, caller)  # it is there, and may be seen
        call = Call(f"private-{secrets.token_hex(5)}", KINDS[kind], {kind: name}, caller)
        name = str(self._system.dispatcher.validated(call)[0].args[kind])
        made = await (self._dataset if kind == "dataset" else self._model)(name, private, caller)
        return JSONResponse({"kind": kind, "name": name, "private": private, **dataclasses.asdict(made)})

    async def _dataset(self, name: str, private: bool, caller: Caller) -> Sealed:
        stored = self._datasets.need(name)
        self._owned("Dataset", name, stored.user, caller)
        for item in self._datasets.all() if not private else ():
            if item.sha256 == stored.sha256:  # it would be in clear, too
                self._owned("Dataset", item.name, item.user, caller)
        return await asyncio.to_thread(self._datasets.private, name, private)

    async def _model(self, name: str, private: bool, caller: Caller) -> Sealed:
        stored, settings = self._models.get(name), self._system.settings
        if stored is None:
            raise unknown("stored model", name, [item.name for item in self._models.all()])
        self._owned("Model", name, "", caller)
        if name == settings.kernel_model:
            raise UserError(f"{name!r} is the kernel's own model, which anybody can have; nothing was changed")
        signed = await asyncio.to_thread(self._models.signer.verify, stored.path)
        if signed.signed == "altered":
            raise UserError(f"{name!r} is not what was stored: {signed.reason}; nothing was changed")
        if private:
            await asyncio.to_thread(Puller(settings, self._models).forget, stored)
        return await asyncio.to_thread(self._models.private, stored, private)

    def _owned(self, kind: str, name: str, maker: str, caller: Caller) -> None:
        if caller.role == "viewer":
            raise DeniedError(f"{caller.user!r} may only look here, as viewer; nothing was changed")
        owner = self._system.governance.owners.of(kind, name) or maker
        if caller.role != "admin" and owner != caller.user:
            who = f"{name!r} is not {caller.user!r}'s"
            raise DeniedError(f"{who}: its owner or an administrator makes it private; nothing was changed")
