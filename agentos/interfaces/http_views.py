"""What is watched: models, jobs and the machine, asked again each second; and metrics for Prometheus."""

from __future__ import annotations

import asyncio
import os

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import known
from agentos.interfaces.metrics_now import exposition
from agentos.resources.watch import Seen
from agentos.types import Caller, Json

_LOG_LINES = 1000
_LOADED: dict[str, Json] = {"state": "loaded"}
_PROCESSES = 40


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Views(system)
    return [
        Route("/v1/me", api.me),
        Route("/v1/ps", api.ps),
        Route("/v1/jobs", api.jobs),
        Route("/v1/jobs/{job}/logs", api.logs),
        Route("/v1/top", api.top),
        Route("/v1/training", api.runs),
        Route("/v1/training/{run}/events", api.events),
        Route("/metrics", api.metrics),
    ]


class Views:
    """Policy decides on each look as on the syscall it shows; the trail notes each watcher once an hour."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system

    async def me(self, request: Request) -> Response:
        """Who asks, and in which role."""
        caller = self._who(request)
        return _now({"user": caller.user, "role": caller.role})

    async def ps(self, request: Request) -> Response:
        """Models in memory or on their way there, or in another `state`, and the budgets; as `models.list`."""
        state = request.query_params.get("state", "loaded")
        return _now(await self._system.look("models.list", {"state": state}, self._who(request)))

    async def runs(self, request: Request) -> Response:
        """Training runs, newest first; as `training.runs`."""
        return _now(await self._system.look("training.runs", {}, self._who(request)))

    async def logs(self, request: Request) -> Response:
        """The end of a job's output, at most 1000 lines; as `jobs.logs`."""
        said = request.query_params.get("tail", "200")
        tail = min(int(said), _LOG_LINES) if said.isascii() and said.isdigit() else _LOG_LINES
        asked: dict[str, Json] = {"job": request.path_params["job"], "tail": tail}
        return _now(await self._system.look("jobs.logs", asked, self._who(request)))

    async def events(self, request: Request) -> Response:
        """All that a training run has told so far; policy decides as on `training.runs`."""
        run = request.path_params["run"]

        async def read() -> Json:
            return [*await asyncio.to_thread(self._system.training.events, run)]

        return JSONResponse({
            "run": run, "events": await self._system.look("training.runs", {}, self._who(request), read),
        })

    async def jobs(self, request: Request) -> Response:
        """Jobs; as `jobs.list`."""
        state = request.query_params.get("state", "all")
        return _now(await self._system.look("jobs.list", {"state": state}, self._who(request)))

    async def top(self, request: Request) -> Response:
        """The machine, models and jobs that are under way; as `resources.query`, `models.list` and `jobs.list`."""
        caller = self._who(request)
        machine = await self._system.look("resources.query", {"kind": "all"}, caller, self._machine)
        models = await self._system.look("models.list", _LOADED, caller)
        running = await self._system.look("jobs.list", {"state": "running"}, caller)
        queued = await self._system.look("jobs.list", {"state": "queued"}, caller)
        status = self._system.status()
        return _now({
            "machine": machine, "models": models, "jobs": {"running": running, "queued": queued},
            "version": status.get("version"), "uptime": status.get("uptime"),
        })

    async def metrics(self, request: Request) -> Response:
        """Figures in Prometheus' text form, or OpenMetrics where that is asked for; as the reads they come from."""
        caller = self._who(request)
        for syscall in ("kernel.status", "models.list", "jobs.list"):
            await self._system.look(syscall, {}, caller, _nothing)
        text, kind = exposition(self._system, request.headers.get("accept", ""))
        return Response(text, headers={"content-type": kind, "cache-control": "no-store"})

    async def _machine(self) -> Seen:
        return await self._system.watch.look(lambda: [os.getpid(), *self._system.jobs.pids()], _PROCESSES)

    def _who(self, request: Request) -> Caller:
        return known(request, self._system, request.query_params.get("session", ""))


async def _nothing() -> None:
    """A look that only asks whether it may be had."""


def _now(said: object) -> Response:
    return JSONResponse(plain(said), headers={"cache-control": "no-store"})
