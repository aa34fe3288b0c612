"""The endpoints for the kernel's adapters: train one, keep it, put it in force, go back. Administrators' alone."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.errors import UserError
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import admin, known
from agentos.interfaces.http_body import body, text


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Kernels(system)
    return [
        Route("/v1/kernel", api.show),
        Route("/v1/kernel/train", api.train, methods=["POST"]),
        Route("/v1/kernel/corrections", api.correct, methods=["POST"]),
        Route("/v1/kernel/keep", api.keep, methods=["POST"]),
        Route("/v1/kernel/promote", api.promote, methods=["POST"]),
        Route("/v1/kernel/rollback", api.rollback, methods=["POST"]),
    ]


class Kernels:
    """The adapters. They are no syscalls: a model never changes what it plans with."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system

    async def show(self, request: Request) -> Response:
        """Which is in force, what was before it, and its manifest."""
        known(request, self._system)
        return JSONResponse(plain(self._system.resident.shown()))

    async def train(self, request: Request) -> Response:
        """Begins a run; it is a job, and goes on whoever listens."""
        caller, said = admin(request, self._system), await body(request)
        how: dict[str, int] = {}
        for name in ("rows", "epochs", "seed"):
            value = said.get(name, 0)
            if not isinstance(value, int) or isinstance(value, bool):
                raise UserError(f"{name} is a whole number, and not {value!r}; nothing was begun")
            if name in said:
                how[name] = value
        made = await self._system.schooling.train(caller, **how, feedback=said.get("feedback") is True)
        return JSONResponse({"run": made.run, "job": made.job})

    async def correct(self, request: Request) -> Response:
        """Keeps what a sentence should have come to, for the next training."""
        caller, said = known(request, self._system), await body(request)
        return JSONResponse(plain(self._system.schooling.correct(text(said, "text"), text(said, "plan"), caller)))

    async def keep(self, request: Request) -> Response:
        """Keeps what a run made; it is not in force by that."""
        admin(request, self._system)
        return JSONResponse(plain(await self._system.schooling.keep(text(await body(request), "run"))))

    async def promote(self, request: Request) -> Response:
        """Puts an adapter in force, with the figures that speak for it."""
        admin(request, self._system)
        said = await body(request)
        figures: dict[str, Any] = {name: said[name] for name in ("scores", "threshold", "slope") if name in said}
        await self._system.resident.promote(text(said, "adapter"), figures)
        return JSONResponse(plain(self._system.resident.shown()))

    async def rollback(self, request: Request) -> Response:
        """Puts the one in force that was so before."""
        admin(request, self._system)
        await self._system.resident.rollback()
        return JSONResponse(plain(self._system.resident.shown()))
