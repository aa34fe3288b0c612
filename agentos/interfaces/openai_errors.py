"""Errors as OpenAI's API says them: `{"error": {"message", "type", "param", "code"}}` and its status codes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from agentos.errors import AgentosError, ApprovalNeeded, DeniedError, NotFound, Retry, UserError
from agentos.types import Json

_LONG = re.compile(r"^the prompt (has \d+ tokens and the context is|is longer than the context)")
_OURS = re.compile(r"/v1/(chat/completions|completions|embeddings|responses|models)(/|$)")


class BadRequest(UserError):
    """A parameter is wrong or not supported."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        """`param` names it as OpenAI does, such as `messages[0].content`."""
        super().__init__(message)
        self.param, self.code = param, code


class Busy(AgentosError):
    """Too much is asked at once: the same request may be made again after `wait` seconds."""

    http_status = 429

    def __init__(self, message: str, wait: float, code: str = "rate_limit_exceeded") -> None:
        """`wait` in seconds."""
        super().__init__(message)
        self.wait, self.code = wait, code


class TimedOut(AgentosError):
    """It took longer than a request may take."""

    http_status = 408


def concerns(path: str) -> bool:
    """Whether a path is one of OpenAI's API."""
    return _OURS.match(path) is not None


def described(error: AgentosError) -> dict[str, Json]:
    """The error as an object."""
    kind, code = _kind(error)
    return {
        "message": str(error), "type": kind, "param": getattr(error, "param", None),
        "code": getattr(error, "code", None) or ("context_length_exceeded" if _LONG.search(str(error)) else code),
    }


def response(error: AgentosError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response to an error."""
    more = dict(headers or {})
    if error.http_status in (429, 503):
        more["retry-after"] = str(max(1, round(getattr(error, "wait", 1.0))))
    if error.http_status == 401:
        more["www-authenticate"] = "Bearer"
    return JSONResponse({"error": described(error)}, error.http_status, more)


def no_route(method: str, path: str, error: HTTPException) -> JSONResponse:
    """The response to a request that is none of those there are."""
    said = f"{method} is not for {path!r}" if error.status_code == 405 else f"there is nothing at {path!r}"
    body = {"message": said, "type": "invalid_request_error", "param": None, "code": "unknown_url"}
    return JSONResponse({"error": body}, error.status_code, error.headers)


def _kind(error: AgentosError) -> tuple[str, str | None]:
    by_status = {
        401: ("authentication_error", "invalid_api_key"), 408: ("timeout_error", "timeout"),
        413: ("invalid_request_error", "request_too_large"), 429: ("rate_limit_error", "rate_limit_exceeded"),
    }
    if (known := by_status.get(error.http_status)) is not None:
        return known
    kinds: list[tuple[type[AgentosError], str, str | None]] = [
        (NotFound, "invalid_request_error", "not_found"),
        (UserError, "invalid_request_error", None), (ApprovalNeeded, "permission_error", "approval_needed"),
        (DeniedError, "permission_error", "denied"), (Retry, "server_error", "unavailable"),
    ]
    return next(((name, code) for kind, name, code in kinds if isinstance(error, kind)), ("server_error", None))
