"""What a request carries: one JSON object of a bounded size."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request

from agentos.errors import UserError
from agentos.types import Bytes, Json

LIMIT = 1024 * 1024
"""Longest request, in bytes."""
_READ = "agentos.body"


class TooLarge(UserError):
    """A request beyond what is read."""

    http_status = 413


async def raw(request: Request, most: Bytes = LIMIT) -> bytes:
    """What a request carries.

    Raises:
        TooLarge: it is longer than `most`.
        UserError: it broke off.
    """
    read = bytearray()
    try:
        async for chunk in request.stream():
            read += chunk
            if len(read) > most:
                raise TooLarge(f"the request is longer than {most} bytes; nothing was done")
    except ClientDisconnect:
        raise UserError("the request broke off before its end; nothing was done") from None
    return bytes(read)


async def body(request: Request) -> dict[str, Json]:
    """The request's JSON object; empty where nothing was sent. It can be asked for again.

    Raises:
        UserError: it is too long, not JSON, or not an object.
    """
    if (known := request.scope.get(_READ)) is not None:
        return dict(known)
    read = await raw(request)
    try:
        data = json.loads(read or b"{}")
    except (ValueError, RecursionError) as error:
        raise UserError(f"the request is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise UserError("the request must be a JSON object")
    if b"\\u" in read or b"\xed" in read:
        _whole(data)
    request.scope[_READ] = data
    return data


def _whole(data: Json) -> None:
    """Returns where texts are of whole characters: half of one, as JSON can write it, fits into no file and no answer.

    Raises:
        UserError: one is not.
    """
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise UserError("a text of the request holds half a character (a lone surrogate); nothing was done") from None


def text(data: Mapping[str, Json], name: str, default: str | None = None) -> str:
    """A text of the request.

    Raises:
        UserError: it is missing, or something else.
    """
    value = data.get(name, default)
    if not isinstance(value, str):
        raise UserError(f"{name!r} must be a text, and is {value!r}" if name in data else f"{name!r} is missing")
    return value
