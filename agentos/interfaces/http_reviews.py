"""The endpoints for replies that wait for review: askers see what became of theirs, administrators decide."""

from __future__ import annotations

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agentos.errors import Retry
from agentos.interfaces.app import System, plain
from agentos.interfaces.http_auth import known
from agentos.interfaces.http_body import body, text
from agentos.interfaces.http_scope import person
from agentos.policy.reviews import Review
from agentos.types import Caller


def routes(system: System) -> list[Route]:
    """Where each is found."""
    api = Held(system)
    return [
        Route("/v1/reviews", api.waiting),
        Route("/v1/reviews/{id}", api.get),
        Route("/v1/reviews/{id}/release", api.release, methods=["POST"]),
        Route("/v1/reviews/{id}/refuse", api.refuse, methods=["POST"]),
    ]


class Held:
    """Held replies. They are no syscalls: a model never releases what it said."""

    def __init__(self, system: System) -> None:
        """Serves one system."""
        self._system = system

    async def waiting(self, request: Request) -> Response:
        """What waits, without the texts; and what is wrong with the owner's rules, where something is."""
        caller = self._caller(request)
        return _told({"reviews": plain(self._system.reviews.waiting(caller)), "fault": self._fault(caller)})

    async def get(self, request: Request) -> Response:
        """One, with its text for who may read it; it is forgotten when its asker has got it after its release."""
        caller, name = self._caller(request), request.path_params["id"]
        found = self._system.reviews.get(name, caller)
        had = found.text is not None and found.state == "released" and found.user == caller.user
        return _told(plain(found), BackgroundTask(self._fetched, name, caller) if had else None)

    async def release(self, request: Request) -> Response:
        """Lets the asker have one."""
        caller, reason = self._caller(request), text(await body(request), "reason", "")
        person(request)
        return _decided(self._system.reviews.release(request.path_params["id"], caller, reason))

    async def refuse(self, request: Request) -> Response:
        """Says no to one, for good."""
        caller, reason = self._caller(request), text(await body(request), "reason", "")
        person(request)
        return _decided(self._system.reviews.refuse(request.path_params["id"], caller, reason))

    async def _fetched(self, name: str, caller: Caller) -> None:
        self._system.reviews.fetched(name, caller)

    def _caller(self, request: Request) -> Caller:
        caller = known(request, self._system)
        if getattr(self._system, "outgoing", None) is None:
            raise Retry(f"the system is starting ({self._system.boot}); ask again in a second")
        return caller

    def _fault(self, caller: Caller) -> str:
        return self._system.outgoing.wrong() if caller.role == "admin" else ""


def _decided(review: Review) -> Response:
    said = plain(review)
    assert isinstance(said, dict)
    return _told({name: value for name, value in said.items() if name != "text"})


def _told(said: object, after: BackgroundTask | None = None) -> Response:
    return JSONResponse(said, headers={"cache-control": "no-store"}, background=after)
