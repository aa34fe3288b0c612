"""What went wrong at a provider, and who can do something about it. Nothing of what it said is repeated:
providers quote prompts and keys in their errors.
"""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agentos.errors import AgentosError, Failed, Retry, UserError
from agentos.types import Seconds

_PASSING = {408, 409, 425, 429}


@dataclass(frozen=True)
class Fault:
    """`again`: the same may work soon; `elsewhere`: another model may answer; `asker`: the request is at fault."""

    who: Literal["again", "elsewhere", "asker"]
    what: str
    """Without the name of the model, which stands before it."""
    error: type[AgentosError]
    wait: Seconds | None = None
    """How long the provider asks to be left alone."""


class Refused(Exception):
    """An attempt came to nothing."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


def judge(error: Exception, now: float | None = None) -> Fault:  # noqa: PLR0911
    """What an exception of LiteLLM means.

    Args:
        error: The exception.
        now: Seconds since 1970, to which a provider's date is compared.
    """
    if isinstance(error, Refused):
        return error.fault
    error = getattr(error, "original_exception", None) or error
    kinds = {kind.__name__ for kind in type(error).__mro__}
    status = _status(error)
    if "ContextWindowExceededError" in kinds:
        return Fault("asker", "the prompt and the answer are longer than its context; shorten the prompt", UserError)
    if "ContentPolicyViolationError" in kinds:
        return Fault("asker", "its provider's rules on content refuse this prompt; nothing was answered", UserError)
    if status in (401, 403):
        return Fault("elsewhere", f"its provider refused the key ({status})", UserError)
    if status == 402 or (status == 429 and "insufficient_quota" in str(error)):
        return Fault("elsewhere", f"its provider says that the account has no credit left ({status})", Failed)
    if status == 404:
        return Fault("elsewhere", "its provider knows no such model, or there is none at that address (404)", UserError)
    if status in _PASSING:
        busy = "asks for fewer requests" if status == 429 else "could not take the request now"
        return Fault("again", f"its provider {busy} ({status})", Retry, _retry_after(error, now))
    if 400 <= status < 500:
        return Fault("asker", f"its provider refused the request ({status})", UserError)
    if kinds & {"Timeout", "APITimeoutError"}:
        return Fault("again", "its provider took too long", Retry)
    return Fault("again", f"its provider could not be reached or failed ({status or type(error).__name__})", Retry,
                 _retry_after(error, now))


def _status(error: Exception) -> int:
    try:
        return int(getattr(error, "status_code", 0) or 0)
    except (TypeError, ValueError):
        return 0


def _retry_after(error: Exception, now: float | None) -> Seconds | None:
    """Seconds, or the date of RFC 9110; None where the provider said neither."""
    headers = getattr(error, "litellm_response_headers", None) or getattr(
        getattr(error, "response", None), "headers", None
    )
    if not isinstance(headers, Mapping):
        return None
    said = next((str(value) for name, value in headers.items() if str(name).lower() == "retry-after"), "").strip()
    try:
        return min(max(0.0, float(said)), 86400.0) if said.lower() != "nan" else None
    except ValueError:
        pass
    try:
        date = email.utils.parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - (time.time() if now is None else now))
