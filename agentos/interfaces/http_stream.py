"""Runs as streams: one JSON event a line. A run is the system's own and outlives a client who goes away."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable

from starlette.responses import StreamingResponse

from agentos.errors import AgentosError, ApprovalNeeded, DeniedError, Failed, Retry, TooMany, UserError
from agentos.interfaces.app import System
from agentos.interfaces.http_errors import as_events, bug
from agentos.types import Event, Json

log = logging.getLogger(__name__)

_TICK = 0.1


async def told(begin: Callable[[], AsyncIterator[Event]]) -> AsyncIterator[Event]:
    """A run's events; what goes wrong becomes its last two."""
    run = ""
    try:
        async for event in begin():
            run = str(event.data.get("run") or run)
            yield event
    except AgentosError as error:
        for event in as_events(error, run):
            yield event
    except Exception:
        log.exception("a run ended with a bug")
        for event in as_events(bug(), run):
            yield event


async def booting(system: System) -> AsyncIterator[Event]:
    """Progress of the boot until the system is ready.

    Raises:
        Failed: it could not start; the message is the boot's own.
    """
    told: tuple[str, float | None] | None = None
    while not system.ready:
        if system.boot_error:
            raise Failed(system.boot_error)
        now = (system.boot, system.boot_done)
        if system.boot and now != told:
            told = now
            yield Event("progress", {
                "message": system.boot, "done": system.boot_done, "total": system.boot_total,
                "unit": system.boot_unit, "boot": True,
            })
        await asyncio.sleep(_TICK)


async def ready(system: System) -> None:
    """Returns once the system is ready.

    Raises:
        Failed: it could not start.
    """
    async for _ in booting(system):
        pass


async def after_boot(system: System, begin: Callable[[], AsyncIterator[Event]]) -> AsyncIterator[Event]:
    """The boot's progress, then a run's events."""
    async for event in booting(system):
        yield event
    async for event in begin():
        yield event


def line(value: Json) -> bytes:
    """One line of a stream."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def ndjson(events: AsyncIterator[Event]) -> StreamingResponse:
    """Events as a response, each sent as it comes."""

    async def lines() -> AsyncIterator[bytes]:
        async for event in events:
            yield line(event.to_json())

    return StreamingResponse(lines(), media_type="application/x-ndjson", headers={"cache-control": "no-store"})


async def collected(events: AsyncIterator[Event]) -> Json:
    """The result of a single call, for a caller that wants no stream.

    Raises:
        AgentosError: of the status that the failure has.
    """
    result: Json = None
    held: Event | None = None
    error: AgentosError | None = None
    async for event in events:
        if event.kind == "result":
            result = event.data.get("result")
        elif event.kind == "held":
            held = event
        elif event.kind == "error":
            error = raised(str(event.data.get("kind")), str(event.data.get("message")))
        elif event.kind == "end" and event.data.get("ok"):
            return result
    if held is not None:
        approval = str(held.data.get("approval"))
        raise ApprovalNeeded(f"{held.data.get('reason')}; answer it at POST /v1/approvals/{approval}", approval)
    raise error or Failed("the call ended without a result; `agentos call audit.search` shows what was done")


def raised(kind: str, message: str) -> AgentosError:
    """The error that an `error` event stands for."""
    sorts: dict[str, type[AgentosError]] = {
        "user": UserError, "denied": DeniedError, "refused": DeniedError, "too_many": TooMany, "retry": Retry,
    }
    return sorts.get(kind, Failed)(message)
