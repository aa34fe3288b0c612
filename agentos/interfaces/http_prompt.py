"""What a prompt asks beside its work: names to complete, and a line of figures to show."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.errors import AgentosError, Retry
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import known
from agentos.interfaces.http_body import body, text
from agentos.kernel.edited import edited
from agentos.resources import gpus, memory
from agentos.types import Caller, Json

_NAMED = (  # kind, syscall that lists them, under which field, by which names of theirs
    ("model", "models.list", "models", ("model",)),
    ("dataset", "datasets.list", "datasets", ("dataset",)),
    ("job", "jobs.list", "jobs", ("id", "name")),
    ("run", "training.runs", "runs", ("run",)),
)
_AGAIN = 60.0
"""Seconds after which what was denied is asked for again: each denial is a row on the trail."""
_SHOWN = ("id", "name", "state", "user", "runtime", "reason")
_WATCHERS = 1000


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Prompts(system)
    return [
        Route("/v1/names", api.names),
        Route("/v1/brief", api.brief),
        Route("/v1/plans/check", api.check, methods=["POST"]),
    ]


class Prompts:
    """Policy decides as on the syscalls that show the same; what it denies is left out."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system
        self._denied: dict[tuple[str, ...], float] = {}

    async def names(self, request: Request) -> Response:
        """Names that can be completed, by what they are of."""
        caller = self._who(request)
        found: dict[str, list[Any]] = {"syscall": [call.name for call in self._system.registry]}
        for kind, syscall, field, keys in _NAMED:
            said = await self._look(syscall, {}, caller)
            rows = said.get(field, []) if isinstance(said, dict) else []
            names = [row[key] for row in rows if isinstance(row, dict) for key in keys if row.get(key)]  # type: ignore[union-attr]
            found[kind] = list(dict.fromkeys(names))
        people = self._system.people.users() if caller.role == "admin" and self._system.ready else []
        found["user"] = [user.name for user in people] or [caller.user]
        return JSONResponse(found, headers={"cache-control": "no-store"})

    async def brief(self, request: Request) -> Response:
        """Who asks, the machine's memory and GPUs, the kernel model, jobs, and how many calls wait for the caller."""
        caller, system = self._who(request), self._system
        model = system.status().get("model")
        machine = await self._look("resources.query", {"kind": "all"}, caller, machine=True)
        listed = await self._look("jobs.list", {"state": "all"}, caller)
        jobs = listed["jobs"] if isinstance(listed, dict) else []
        counts = system.jobs.counts() if isinstance(listed, dict) else {}
        mine = None if caller.role == "admin" else caller.user
        return JSONResponse(plain({
            "user": caller.user, "role": caller.role, "door": caller.door, "ready": system.ready,
            "model": model.get("name") if isinstance(model, dict) else model, "machine": machine,
            "running": counts.get("running", 0), "queued": counts.get("queued", 0) + counts.get("waiting", 0),
            "approvals": len(system.approvals.pending(mine)) if system.ready else 0,
            "jobs": [{key: row.get(key) for key in _SHOWN} for row in jobs if isinstance(row, dict)],  # type: ignore[union-attr]
        }), headers={"cache-control": "no-store"})

    async def check(self, request: Request) -> Response:
        """A plan that a person edited, held against the table; nothing runs."""
        self._who(request)
        said = text(await body(request), "plan")
        return JSONResponse(edited(said, self._system.registry, "edited").to_json())

    async def _look(
        self, syscall: str, args: dict[str, Json], caller: Caller, machine: bool = False
    ) -> Json:
        """What the caller may see of it; None where that is nothing."""
        key, now = (caller.user, caller.role, caller.session, syscall), time.monotonic()
        if syscall not in self._system.registry or now - self._denied.get(key, now - _AGAIN) < _AGAIN:
            return None
        try:
            return await self._system.look(syscall, args, caller, _machine if machine else None)
        except Retry:
            return None
        except AgentosError:
            if len(self._denied) >= _WATCHERS:
                self._denied.clear()
            self._denied[key] = now
            return None

    def _who(self, request: Request) -> Caller:
        return known(request, self._system, request.query_params.get("session", ""))


async def _machine() -> Json:
    """Memory and GPUs, which cost less to read than a whole look at the machine."""
    now, cards = await asyncio.gather(asyncio.to_thread(memory.read), asyncio.to_thread(gpus.read))
    return plain({"memory": now, "gpus": cards})
