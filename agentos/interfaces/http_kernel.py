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
        Route("/v1/kernel/wording", api.wording, methods=["POST"]),
        Route("/v1/kernel/feedback", api.feedback),
        Route("/v1/kernel/feedback", api.agree, methods=["POST"]),
        Route("/v1/kernel/feedback", api.forget, methods=["DELETE"]),
        Route("/v1/kernel/keep", api.keep, methods=["POST"]),
        Route("/v1/kernel/mean", api.mean, methods=["POST"]),
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
        feedback, further = said.get("feedback") is True, said.get("further") is True
        made = await self._system.schooling.train(caller, **how, feedback=feedback, further=further)
        return JSONResponse({"run": made.run, "job": made.job})

    async def correct(self, request: Request) -> Response:
        """Keeps what a sentence should have come to, for the next training."""
        caller, said = known(request, self._system), await body(request)
        return JSONResponse(plain(self._system.schooling.correct(text(said, "text"), text(said, "plan"), caller)))

    async def wording(self, request: Request) -> Response:
        """A plan as a correction writes it."""
        known(request, self._system)
        plan = (await body(request)).get("plan")
        if not isinstance(plan, dict) or not isinstance(plan.get("steps"), list):
            raise UserError("'plan' must be an object with 'steps'")
        return JSONResponse({"plan": self._system.schooling.worded(plan)})

    async def feedback(self, request: Request) -> Response:
        """Whether the caller agreed that what becomes of their plans is kept, and what was kept of theirs."""
        return self._given(known(request, self._system).user)

    async def agree(self, request: Request) -> Response:
        """Takes down whether the caller agrees."""
        user, said = known(request, self._system).user, (await body(request)).get("agreed")
        if not isinstance(said, bool):
            raise UserError(f"'agreed' is true or false, and not {said!r}; nothing was changed")
        self._system.schooling.feedback.agree(user, said)
        return self._given(user)

    async def forget(self, request: Request) -> Response:
        """Takes out all that the caller gave."""
        user = known(request, self._system).user
        count = self._system.schooling.feedback.forget(user)
        return JSONResponse({"forgotten": count})

    def _given(self, user: str) -> Response:
        feedback = self._system.schooling.feedback
        kept = [plain(one) for one in feedback.all() if one.user == user]
        return JSONResponse({"agreed": feedback.agreed(user), "kept": kept})

    async def keep(self, request: Request) -> Response:
        """Keeps what a run made; it is not in force by that."""
        admin(request, self._system)
        return JSONResponse(plain(await self._system.schooling.keep(text(await body(request), "run"))))

    async def mean(self, request: Request) -> Response:
        """Keeps the mean of adapters; it is not in force by that."""
        admin(request, self._system)
        said = (await body(request)).get("adapters")
        names = [name for name in said if isinstance(name, str)] if isinstance(said, list) else []
        if not isinstance(said, list) or len(names) < len(said):
            raise UserError("'adapters' is a list of names; nothing was made")
        return JSONResponse(plain(await self._system.schooling.mean(names)))

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
