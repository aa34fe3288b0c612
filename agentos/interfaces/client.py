"""The client of the system's API: standard library only, so that it starts at once."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from agentos import errors
from agentos.config import Settings
from agentos.interfaces import start
from agentos.interfaces.place import check_folder

Event = dict[str, Any]
Told = Callable[[Event], None]


class NotRunning(errors.Failed):
    """No system answers."""


class _Unix(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        """Connects to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(self._path))


class Client:
    """One caller of one system. Errors are those of `agentos.errors`, as the system raised them."""

    def __init__(
        self, settings: Settings, *, door: str = "cli", user: str = "", session: str = "",
        autostart: bool = True, told: Told | None = None,
    ) -> None:
        """Connects at the first request.

        Args:
            settings: Which system: `url` and `key`, or the socket in `home`.
            door: `cli`, `repl`, `eval`, `python` or `mcp`, for the audit trail.
            user: Whom the owner speaks for.
            session: Approvals "for this session" hold for this one.
            autostart: Whether to start the system where it is not running.
            told: Given `progress` events while the system starts.
        """
        self.settings, self.session, self.told = settings, session, told
        self.autostart = autostart and not settings.url
        self._headers = {"x-agentos-door": door, "content-type": "application/json"}
        if not settings.url:
            self._headers["x-agentos-folder"] = quote(os.fsencode(start.folder()))
        if user:
            self._headers["x-agentos-as"] = user
        if settings.url and settings.key:
            self._headers["authorization"] = f"Bearer {settings.key}"

    def status(self) -> dict[str, Any]:
        """How the system does; never starts it.

        Raises:
            NotRunning: there is none.
        """
        return self.request("GET", "/v1/status", start_it=False)

    def wait(self) -> dict[str, Any]:
        """The status once the system is ready, started if need be; progress goes to `told`."""
        return start.wait(lambda: self.request("GET", "/v1/status"), self.told)

    def run(self, text: str, plan: str = "") -> Iterator[Event]:
        """The events of a sentence's run; with a plan in the plan language, of that one as it stands."""
        return self.stream("/v1/runs", {"text": text, "session": self.session} | ({"plan": plan} if plan else {}))

    def call(self, name: str, args: Mapping[str, Any], yes: bool = False) -> Iterator[Event]:
        """The events of one call."""
        said = {"args": dict(args), "yes": yes, "session": self.session}
        return self.stream(f"/v1/syscalls/{quote(name, safe='')}", said)

    def answer(self, approval: str, answer: str, reason: str = "") -> Iterator[Event]:
        """Answers a held call (`once`, `session`, `always`, `no`); the events of what follows."""
        said = {"answer": answer, "reason": reason, "session": self.session}
        return self.stream(f"/v1/approvals/{quote(approval, safe='')}", said)

    def plan(self, text: str, name: str = "") -> dict[str, Any]:
        """A sentence's plan; nothing runs."""
        return self.request("POST", "/v1/plans", {"text": text, "id": name})

    def cancel(self, run: str) -> bool:
        """Ends a run; False where it was not running."""
        return bool(self.request("POST", f"/v1/runs/{quote(run, safe='')}/cancel", {}, start_it=False)["cancelled"])

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, start_it: bool = True
    ) -> dict[str, Any]:
        """One request and its JSON answer."""
        response = self._send(method, path, body, "application/json", start_it)
        try:
            data: dict[str, Any] = json.loads(response.read())
        except (ValueError, OSError, http.client.HTTPException) as error:
            raise errors.Failed(f"the system's answer broke off ({error}); ask again") from error
        finally:
            response.close()
        return data

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[Event]:
        """The events of a run as they come; the last is `end`.

        Raises:
            Failed: the stream broke off before its end.
        """
        response = self._send("POST", path, body, "application/x-ndjson", True)
        try:
            for line in response:
                event: Event = json.loads(line)
                yield event
                if event.get("event") == "end":
                    return
        except (OSError, http.client.HTTPException, ValueError):
            pass
        finally:
            response.close()
        raise errors.Failed(
            "the system ended in the middle of this; `agentos call audit.search` shows what was done before"
        )

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of a long answer as they come.

        Raises:
            Failed: it broke off before its end.
        """
        response = self._send("GET", path, None, "application/x-ndjson", True)
        try:
            yield from response
        except (OSError, http.client.HTTPException) as error:
            raise errors.Failed(f"the system's answer broke off ({error}); ask again") from error
        finally:
            response.close()

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, accept: str, start_it: bool
    ) -> http.client.HTTPResponse:
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogateescape")
        for attempt in range(2):
            connection = self._connection()
            try:
                connection.connect()
            except OSError as error:
                connection.close()
                if attempt or not (self.autostart and start_it):
                    raise self._absent(error) from None
                start.start(self.settings)
                continue
            break
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # an early answer ends the sending
                connection.request(method, path, data, {**self._headers, "accept": accept, "connection": "close"})
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise errors.Failed(f"the system went away before it answered ({error!r}); ask again") from error
        if response.status >= 400:
            raise _error(response)
        return response

    def _connection(self) -> http.client.HTTPConnection:
        if not self.settings.url:
            path = self.settings.socket
            if path.parent.exists():
                check_folder(path.parent)
            return _Unix(path)
        parts = urlsplit(self.settings.url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            from agentos.interfaces import tls  # a tenth of a second that only who asks another machine pays

            return http.client.HTTPSConnection(host, parts.port, timeout=3600, context=tls.asking(self.settings.ca))
        if parts.scheme != "http" or not host:
            raise errors.UserError(f"AGENTOS_URL must be http(s)://HOST:PORT, and is {self.settings.url!r}")
        if host not in ("localhost", "127.0.0.1", "::1"):
            raise errors.UserError(f"{self.settings.url!r} would carry the key in clear; nothing was sent. Use https.")
        return http.client.HTTPConnection(host, parts.port, timeout=3600)

    def _absent(self, error: OSError) -> NotRunning:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            why = getattr(error, "verify_message", "") or "it is not trusted"
            return NotRunning(
                f"the certificate of {self.settings.url} was refused ({why}); nothing was sent. If it is your own, name"
                " its file: AGENTOS_CA=cert.pem"
            )
        if self.settings.url:
            return NotRunning(f"no system answers at {self.settings.url} ({error.strerror or error})")
        return NotRunning(f"no system runs on {str(self.settings.home)!r}; `agentos serve` or any request starts one")


def _error(response: http.client.HTTPResponse) -> errors.AgentosError:
    sorts: dict[str, type[errors.AgentosError]] = {
        "not_found": errors.NotFound, "user": errors.UserError, "too_large": errors.UserError,
        "denied": errors.DeniedError, "unauthorized": errors.DeniedError, "retry": errors.Retry,
        "too_many": errors.TooMany,
    }
    try:
        said = json.loads(response.read())["error"]
        name, message = str(said["type"]), str(said["message"])
    except (ValueError, KeyError, TypeError, OSError):
        return errors.Failed(f"the system answered with status {response.status}")
    finally:
        response.close()
    if name == "held":
        return errors.ApprovalNeeded(message, str(said.get("approval", "")))
    return sorts.get(name, errors.Failed)(message)
