"""How another server is reached: a command that is started here, or an address."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from agentos.errors import UserError
from agentos.types import Json, Seconds

TIMEOUT = 60.0
"""Seconds a call may take."""
_LONGEST = 3600.0
_SHORT = 4
"""Characters of a value that could as well be a word of what is said."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_OURS = {"host", "content-length", "transfer-encoding", "connection", "content-type", "accept", "mcp-session-id"}
"""Headers that the transport itself writes."""


@dataclass(frozen=True)
class Spec:
    """One server, as the administrator described it. It may hold secrets: it is kept sealed."""

    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    """On top of the few variables that every server gets."""
    folder: str = ""
    """Where the command runs."""
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: Seconds = TIMEOUT
    trust_read_only: bool = False
    """Whether it is believed where it says that a tool only reads."""

    def shown(self) -> dict[str, Json]:
        """What may be shown to anybody: no argument, no value."""
        parts = urlsplit(self.url)
        return {
            "command": os.path.basename(self.command[0]) if self.command else "",
            "arguments": max(0, len(self.command) - 1), "url": f"{parts.scheme}://{parts.netloc}" if self.url else "",
            "env": [*sorted(self.env)], "headers": [*sorted(self.headers)], "timeout": self.timeout,
            "trust_read_only": self.trust_read_only,
        }

    def veiled(self, said: str) -> str:
        """What its process said, without the values that it was given: whoever calls a tool may hear of that."""
        for value in sorted((value for value in self.env.values() if len(value) >= _SHORT), key=len, reverse=True):
            said = said.replace(value, "…")
        return said

    def to_json(self) -> dict[str, Json]:
        """All of it."""
        return {
            "command": list(self.command), "env": dict(self.env), "folder": self.folder, "url": self.url,
            "headers": dict(self.headers), "timeout": self.timeout, "trust_read_only": self.trust_read_only,
        }


def mount_name(said: str) -> str:
    """The name of a mount.

    Raises:
        UserError: it is none.
    """
    if not _NAME.fullmatch(said):
        raise UserError(
            f"{said!r} is no name for a server; nothing was mounted. It begins with a small letter and goes on with"
            " small letters, digits and underscores, 32 at most: its tools are called NAME.TOOL."
        )
    return said


def read(said: Mapping[str, Json]) -> Spec:
    """A server as a request describes it.

    Raises:
        UserError: it is neither a command nor an address, or a part of it is not valid; nothing was mounted.
    """
    unknown = said.keys() - Spec.__dataclass_fields__.keys()
    if unknown:
        raise UserError(f"a server has no {min(unknown)!r}; nothing was mounted")
    command, url = said.get("command") or [], said.get("url") or ""
    if bool(command) == bool(url):
        raise UserError("a server is either a command or an address (`url`); nothing was mounted")
    if not isinstance(command, list) or not all(isinstance(word, str) and "\0" not in word for word in command):
        raise UserError("'command' must be a list of texts; nothing was mounted")
    timeout, trust, folder = said.get("timeout", TIMEOUT), said.get("trust_read_only", False), said.get("folder", "")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 1 <= timeout <= _LONGEST:
        raise UserError(f"'timeout' must be 1 to {_LONGEST:.0f} seconds, and is {timeout!r}; nothing was mounted")
    if not isinstance(trust, bool) or not isinstance(folder, str) or "\0" in folder:
        raise UserError("'trust_read_only' must be true or false, and 'folder' a text; nothing was mounted")
    env, headers = _texts(said, "env", _VARIABLE), _texts(said, "headers", _TOKEN)
    if (env and url) or (headers and command):
        raise UserError("variables (`env`) are a command's, and headers an address's; nothing was mounted")
    if ours := sorted(name for name in headers if name.lower() in _OURS):
        raise UserError(f"the header {ours[0]!r} is the connection's own; nothing was mounted")
    return Spec(tuple(map(str, command)), env, folder, _address(url, headers), headers, float(timeout), trust)


def _texts(said: Mapping[str, Json], name: str, valid: re.Pattern[str]) -> dict[str, str]:
    found = said.get(name) or {}
    if not isinstance(found, dict):
        raise UserError(f"{name!r} must be an object; nothing was mounted")
    for key, value in found.items():
        if not valid.fullmatch(key) or not isinstance(value, str) or any(mark in value for mark in "\0\r\n"):
            raise UserError(f"{name!r}: {key!r} or its value is not valid; nothing was mounted")
    return {key: str(value) for key, value in found.items()}


def _address(said: Json, headers: Mapping[str, str]) -> str:
    if not isinstance(said, str):
        raise UserError("'url' must be a text; nothing was mounted")
    if not said:
        return ""
    try:
        parts = urlsplit(said)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise UserError(f"{said!r} is no address: {error}; nothing was mounted") from None
    if parts.scheme not in ("http", "https") or not host or any(mark.isspace() or mark < " " for mark in said):
        raise UserError("'url' must be http(s)://HOST[:PORT]/PATH; nothing was mounted")
    if parts.username is not None or parts.fragment:
        raise UserError("'url' takes no user and no #; put a key into a header. Nothing was mounted")
    if parts.scheme == "http" and not _loopback(host):
        raise UserError(f"{host!r} would be asked in clear, with arguments and keys; nothing was mounted. Use https.")
    return said


def _loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
