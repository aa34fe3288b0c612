"""`agentos serve`: the resident system on its sockets, one for each home."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

from agentos.config import Settings
from agentos.errors import AgentosError, UserError
from agentos.interfaces import tls
from agentos.interfaces.place import listening, only_system, own_folder
from agentos.redact import logged

log = logging.getLogger(__name__)

LOCKED = 75
"""Exit code of a detached system that found another one on its home."""
_LINGER = 5.0
"""Seconds a system that could not start goes on telling why, for the client that waits for it."""
_LOOPBACK = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "::1": "::1"}


def serve(settings: Settings, http: str = "", detached: bool = False) -> int:
    """Runs the system until it is told to end; gives the exit code.

    Args:
        settings: Whose home.
        http: Address for keys' holders, `HOST:PORT`; without TLS loopback only.
        detached: Whether a client started it and nobody reads its terminal.

    Raises:
        UserError: the address cannot be served.
        Failed: another system runs on this home.
    """
    secure = bool(settings.tls_cert or settings.tls_key)
    where = address(http, secure) if http else None
    if http and secure:
        tls.serving(settings.tls_cert, settings.tls_key)  # what is wrong with them is told before anything starts
    os.umask(0o077)
    own_folder(settings.home)
    logged.to_stderr()
    for noisy in ("httpx", "uvicorn.error", "uvicorn.access", "LiteLLM", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(only_system(settings))
        except AgentosError as error:
            if not detached:
                raise
            log.error("%s", error)
            return LOCKED
        return _serve(settings, where)


def address(said: str, secure: bool = False) -> tuple[str, int]:
    """Host and port of `HOST:PORT`.

    Args:
        said: The address; with TLS any of this machine's.
        secure: Whether it is served with TLS.

    Raises:
        UserError: it is not one, or other machines could reach it, which takes TLS.
    """
    host, _, port = said.rpartition(":")
    host = host.strip("[]").lower()
    if not host or not port.isdigit() or int(port) > 65535:
        raise UserError(f"--http takes HOST:PORT, such as 127.0.0.1:8075, and not {said!r}")
    if secure and host not in _LOOPBACK:
        if (bare := tls.literal(host)) is None:
            raise UserError(f"--http takes an address of this machine, such as 0.0.0.0:8075 for all, and not {host!r}")
        return bare, int(port)
    if host not in _LOOPBACK:
        raise UserError(
            f"{host!r} can be reached from other machines, and keys would cross the network in clear: not served."
            " Set AGENTOS_TLS_CERT and AGENTOS_TLS_KEY, or listen on 127.0.0.1 behind an SSH tunnel or a TLS proxy."
        )
    return _LOOPBACK[host], int(port)


def _serve(settings: Settings, where: tuple[str, int] | None) -> int:
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(_tcp(where)) if where else None
        from agentos.system import System

        system = System(settings)
        unix = stack.enter_context(listening(settings.socket))
        return asyncio.run(Resident(system, unix, tcp).run())


@contextlib.contextmanager
def _tcp(where: tuple[str, int]) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
    # Named, the protocol lets asyncio turn Nagle's algorithm off, which holds each answer's second part back for 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(where)
        except OSError as error:
            raise UserError(f"cannot listen on {where[0]}:{where[1]}: {error.strerror}. Name another port.") from error
        server.listen(128)
        yield server


class Resident:
    """The system and its HTTP servers in one event loop."""

    def __init__(self, system: Any, unix: socket.socket, tcp: socket.socket | None) -> None:
        """Takes sockets that listen already."""
        import uvicorn

        from agentos.interfaces.http import build
        from agentos.interfaces.http_auth import OwnerOnly, Prompt
        from agentos.interfaces.http_traffic import Traffic

        common: dict[str, Any] = {
            "lifespan": "off", "log_config": None, "access_log": False, "server_header": False, "ws": "none",
            "loop": "asyncio", "timeout_graceful_shutdown": 3, "proxy_headers": False,
        }
        self.system, self._ended, self._scheme = system, asyncio.Event(), "http"
        self._served: list[tuple[uvicorn.Server, socket.socket]] = []
        self._traffic = Traffic(system)
        self._apps = [app := build(system, self.end, traffic=self._traffic)]
        self._served.append((uvicorn.Server(uvicorn.Config(app, http=OwnerOnly, **common)), unix))
        if tcp is not None:
            settings = system.settings
            hosts: set[str] = set()
            if settings.tls_cert or settings.tls_key:
                context = tls.serving(settings.tls_cert, settings.tls_key)
                hosts, common["ssl_context_factory"] = tls.names(settings.tls_cert), lambda *_: context
                self._scheme = "https"
            self._apps.append(app := build(system, self.end, hosts=hosts, traffic=self._traffic))
            self._served.append((uvicorn.Server(uvicorn.Config(app, http=Prompt, **common)), tcp))

    def end(self) -> None:
        """Asks for the end."""
        self._ended.set()

    async def run(self) -> int:
        """Serves until `end`; 1 where the system could not start."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._signalled)
        # uvicorn would put its own signal handlers in place; ours end both servers and the engines.
        serving = [asyncio.create_task(server._serve([listener])) for server, listener in self._served]
        ending = asyncio.create_task(self._ended.wait())
        booting = asyncio.create_task(self._boot())
        await asyncio.wait([*serving, ending], return_when=asyncio.FIRST_COMPLETED)
        code = 1 if self.system.boot_error else 0
        booting.cancel()
        await self._traffic.drained(self.system.settings.http_drain)
        self.system.boot_error = self.system.boot_error or "the system is ending"  # for those who wait for its boot
        for server, _ in self._served:
            server.should_exit = True
        for app in self._apps:
            app.state.close()
        await asyncio.gather(booting, return_exceptions=True)
        await self.system.stop()  # runs end here, and with them the streams that the servers wait for
        await asyncio.gather(*serving, return_exceptions=True)
        await self._traffic.tracing.close()
        ending.cancel()
        return code

    def _signalled(self) -> None:
        if self._ended.is_set():
            os._exit(130)
        self.end()

    async def _boot(self) -> None:
        log.info("agentos %s listens on %s", self.system.version, self.system.settings.socket)
        for _, listener in self._served[1:]:
            log.info("and on %s://%s:%s for holders of a key", self._scheme, *listener.getsockname()[:2])
        try:
            await self.system.start()
        except Exception as error:
            if not self.system.boot_error:
                self.system.boot_error = str(error) if isinstance(error, AgentosError) else repr(error)
            log.error("could not start: %s", self.system.boot_error, exc_info=not isinstance(error, AgentosError))
            await asyncio.sleep(_LINGER)
            self.end()
            return
        gc.collect()
        gc.freeze()  # what the boot has made stays, and need not be gone through again and again
        log.info("ready")
