"""Errors as HTTP says them: a status, and one object with a message and a type."""

from __future__ import annotations

from starlette.responses import JSONResponse

from agentos.errors import AgentosError, ApprovalNeeded, DeniedError, Failed, NotFound, Retry, TooMany, UserError
from agentos.interfaces import openai_errors
from agentos.types import Event, Json

KINDS: dict[str, int] = {"user": 400, "failed": 422, "denied": 403, "too_many": 429, "held": 409, "retry": 503}
"""HTTP status by the kind of an `error` event."""


def kind(error: AgentosError) -> str:
    """The error's type on the wire."""
    for sort, name in (
        (NotFound, "not_found"), (UserError, "user"), (TooMany, "too_many"), (DeniedError, "denied"),
        (ApprovalNeeded, "held"), (Retry, "retry"), (Failed, "failed"),
    ):
        if isinstance(error, sort):
            return name
    return "unauthorized" if error.http_status == 401 else "too_large" if error.http_status == 413 else "failed"


def failure(error: AgentosError, path: str = "") -> JSONResponse:
    """The response to an error; on the paths of OpenAI's API in its form."""
    if openai_errors.concerns(path):
        return openai_errors.response(error)
    body: dict[str, Json] = {"message": str(error), "type": kind(error)}
    if isinstance(error, ApprovalNeeded):
        body["approval"] = error.approval
    headers = {"retry-after": "1"} if error.http_status == 503 else {}
    if error.http_status == 401:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse({"error": body}, error.http_status, headers)


def bug() -> AgentosError:
    """What is said of a fault that is ours: the trace is in the log, not in the answer."""
    return AgentosError("something inside went wrong; HOME/logs/system.log has the details")


def as_events(error: AgentosError, run: str) -> list[Event]:
    """An error as the last two events of a stream."""
    name = kind(error)
    said = "user" if name == "not_found" else name if name in KINDS else "failed"
    return [
        Event("error", {"run": run, "message": str(error), "kind": said}),
        Event("end", {"run": run, "ok": False, "exit_code": error.exit_code, "results": {}, "waiting": []}),
    ]
