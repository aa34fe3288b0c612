"""A request is read strictly: what is not as it should be is told by its place in the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from agentos.interfaces import http_body
from agentos.interfaces.openai_errors import BadRequest
from agentos.interfaces.openai_shapes import Shape

LIMIT = 4 * 1024 * 1024
"""Longest request, in bytes."""
_NEUTRAL = {"presence_penalty", "frequency_penalty", "logit_bias", "best_of"}
"""Taken where they change nothing."""
Shaped = TypeVar("Shaped", bound=Shape)


async def raw(request: Request) -> bytes:
    """What a request carries.

    Raises:
        TooLarge: it is longer than `LIMIT`.
        UserError: it broke off.
    """
    return await http_body.raw(request, LIMIT)


def read(shape: type[Shaped], data: bytes) -> Shaped:
    """The request of a shape.

    Raises:
        BadRequest: it is not; the first parameter that is wrong is named.
    """
    try:
        return shape.model_validate_json(data)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise _wrong(faults, data) from None


def _where(fault: Mapping[str, Any], data: bytes) -> str:
    """A place as it is in the request: without the names of the kinds that were tried there."""
    at: Any = from_json(data)
    where = ""
    for number, part in enumerate(fault["loc"], 1):
        missing = fault["type"] == "missing" and number == len(fault["loc"])
        if missing or (isinstance(at, dict) and part in at) or (isinstance(at, list) and isinstance(part, int)):
            where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else part
            at = None if missing else at[part]
    return where


def _wrong(faults: Sequence[Mapping[str, Any]], data: bytes) -> BadRequest:
    # of several faults that a union of kinds has, what is deepest is meant, and a kind that fits but for its value
    fault = max(faults, key=lambda one: (
        one["type"] == "extra_forbidden", len(one["loc"]), not one["type"].endswith("_type")
    ))
    if fault["type"] == "json_invalid":
        return BadRequest(f"the request is not JSON: {fault['msg']}; nothing was done", None, "invalid_json")
    where = _where(fault, data)
    if fault["type"] in ("extra_forbidden", "none_required") or where in _NEUTRAL:
        return BadRequest(f"{where!r} is not supported here; leave it out. Nothing was done.", where,
                          "unsupported_parameter")
    if fault["type"] == "missing":
        return BadRequest(f"{where!r} is missing; nothing was done", where, "missing_required_parameter")
    return BadRequest(f"{where or 'the request'}: {fault['msg']}; nothing was done", where or None, "invalid_value")
