"""The page: static files of this package, which need no key because they hold nothing; all that they show does."""

from __future__ import annotations

import hashlib
import mimetypes
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = resources.files("agentos.interfaces") / "page"
_FILES = {f"/page/{file.name}": file for file in _FOLDER.iterdir() if file.is_file()}
_FIRST = "/page/index.html"
PATHS = frozenset({"/", *_FILES} - {_FIRST})
"""Where its files are: all that may be had without a key."""
HEADERS = {
    # No script or style but these files, no request but to this address, no text that becomes HTML, no frame around it.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "cache-control": "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def routes() -> list[Route]:
    """Where each file is found."""
    return [Route(path, _file) for path in sorted(PATHS)]


async def _file(request: Request) -> Response:
    """One file, or that it has not changed."""
    file = _FILES[_FIRST if request.url.path == "/" else request.url.path]
    data = file.read_bytes()
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {**HEADERS, "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return Response(data, headers=headers, media_type="text/javascript" if file.name.endswith(".js") else kind)
