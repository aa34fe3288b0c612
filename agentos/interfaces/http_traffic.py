"""What holds for every request at a door: an id, a line in the log, a place among others, an end in good order."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentos.errors import Retry
from agentos.interfaces.app import System
from agentos.interfaces.http_errors import bug, failure
from agentos.interfaces.openai_answer import Answers
from agentos.interfaces.openai_errors import Busy, concerns
from agentos.interfaces.openai_response_store import ResponseStore
from agentos.tracing import Span, Tracing

log = logging.getLogger("agentos.http")

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEYS = 4096


class Traffic:
    """What the doors of one system share."""

    def __init__(self, system: System, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody is there yet; `clock` gives seconds."""
        self.system = system
        self.answers, self.responses = Answers(system), ResponseStore()
        self.rates = Rates(system.settings.http_rate, clock)
        self.tracing = Tracing(system.settings.otlp, system.version)
        self.ending = False
        self._open = 0
        self._none = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return self.system.ready and not self.ending

    def begin(self) -> None:
        """An answer is under way."""
        self._open += 1
        self.system.metrics.answering(1)
        self._none.clear()

    def end(self) -> None:
        """One less is."""
        self._open -= 1
        self.system.metrics.answering(-1)
        if not self._open:
            self._none.set()

    async def drained(self, seconds: float) -> bool:
        """Takes no more, and waits until no answer is under way, so long at most; gives whether none is."""
        self.ending = True
        if not self._open:
            return True
        log.info("%d answers are under way and are given %.0f s", self._open, seconds)
        try:
            await asyncio.wait_for(self._none.wait(), seconds)
        except TimeoutError:
            log.warning("%d answers were cut off at the end", self._open)
        return not self._open


@dataclass(frozen=True)
class Allowed:
    """What is left to a key."""

    limit: int
    left: int
    wait: float
    """Seconds until the next request may come; 0 where it may now."""
    full: float
    """Seconds until all may come again."""


class Rates:
    """Requests a minute for each key, as a token bucket: a minute's worth may come at once."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        """`limit` a minute, none where 0; `clock` gives seconds."""
        self.limit, self._clock = limit, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> Allowed:
        """Counts a request of a key, where it may come."""
        now, each = self._clock(), self.limit / 60
        left, at = self._left.pop(key, (float(self.limit), now))
        left = min(self.limit, left + (now - at) * each)
        may = left >= 1
        left -= may
        self._left[key] = (left, now)
        while len(self._left) > _KEYS:  # who was not there for longest
            self._left.popitem(last=False)
        return Allowed(self.limit, int(left), 0.0 if may else (1 - left) / each, (self.limit - left) / each)


class Front:
    """Stands before everything else: ids, the log, metrics, life signs, and the end."""

    def __init__(self, app: ASGIApp, traffic: Traffic, logs: bool) -> None:
        """`logs` is whether each request has its line, as those of other machines have."""
        self._app, self._traffic, self._system, self._logs = app, traffic, traffic.system, logs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        name = asked if _ID.fullmatch(asked) else f"req-{secrets.token_hex(8)}"
        status, began, plain = 0, time.perf_counter(), scope["path"] in ("/live", "/ready")
        tracing = self._traffic.tracing if not plain else None

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                MutableHeaders(scope=message)["x-request-id"] = name
            await send(message)

        try:
            if tracing is None or not tracing.on:
                await self._one(scope, receive, told)
            else:
                with tracing.request(name, scope["method"], Headers(scope=scope).get("traceparent", "")) as span:
                    await self._one(scope, receive, told)
                    _traced(span, scope, status)
        except Exception as error:
            log.exception("request %s ended with a bug", name)
            if status:
                raise error
            await failure(bug(), scope["path"])(scope, receive, told)
        finally:
            took = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "-")
            self._system.metrics.requested(route, status, took)
            if self._logs and route not in ("/live", "/ready"):
                log.info(
                    "id=%s method=%s route=%s status=%d ms=%.1f", name, scope["method"], route, status, 1000 * took,
                    extra={"plain": name is not asked and scope["method"] in ("GET", "POST")},
                )

    async def _one(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in ("/live", "/ready") and scope["method"] in ("GET", "HEAD"):  # no key: nothing is told
            fine = path == "/live" or self._traffic.ready
            await JSONResponse({path[1:]: fine}, 200 if fine else 503)(scope, receive, send)
            return
        if scope["method"] != "POST" or not concerns(path):
            await self._app(scope, receive, send)
            return
        if self._traffic.ending:
            await failure(Retry("the system is ending and takes no more; ask again soon"), path)(scope, receive, send)
            return
        self._traffic.begin()
        try:
            await self._app(scope, receive, send)
        finally:
            self._traffic.end()


def _traced(span: Span, scope: Scope, status: int) -> None:
    """What a request came to."""
    if route := getattr(scope.get("route"), "path", ""):
        span.set("http.route", route)
        span.rename(f"{scope['method']} {route}")
    span.set("http.response.status_code", status)
    if status >= 500:
        span.fail(str(status))


class RateGate:
    """Lets each key ask so often, where a limit is set."""

    def __init__(self, app: ASGIApp, rates: Rates) -> None:
        """After the key was checked."""
        self._app, self._rates = app, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts one request."""
        if scope["type"] != "http" or not self._rates.limit:
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("authorization", "")
        now = self._rates.take(said.partition(" ")[2].strip())  # however it is written: a key has one bucket

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-ratelimit-limit-requests"] = str(now.limit)
                headers["x-ratelimit-remaining-requests"] = str(now.left)
                headers["x-ratelimit-reset-requests"] = f"{now.full:.1f}s"
            await send(message)

        if now.wait:
            wait = math.ceil(now.wait)
            error = Busy(f"this key may ask {now.limit} times a minute; ask again in {wait} s. Nothing was done.", wait)
            await failure(error, scope["path"])(scope, receive, told)
            return
        await self._app(scope, receive, told)
