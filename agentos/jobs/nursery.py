"""The system's end of the zygote: makes one when there is none, asks it for shims, and hears what they say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentos.errors import Failed

_ZYGOTE = Path(__file__).with_name("bare.py")
_PASSED = ("AGENTOS_FAULT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")


class Nursery:
    """One zygote at a time."""

    def __init__(self, log: Path, said: Callable[[dict[str, Any]], None], died: Callable[[], None]) -> None:
        """Nothing runs yet.

        Args:
            log: Where the zygote and its shims put what should never happen.
            said: Called with every answer about an attempt.
            died: Called when the zygote is gone; all that it and its shims said has been told before.
        """
        self._log = log
        self._said = said
        self._died = died
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._heard = b""
        self._sending = asyncio.Lock()
        self._sweeps: dict[int, asyncio.Future[None]] = {}

    @property
    def pid(self) -> int | None:
        """The zygote's process number; None: there is none now."""
        return self._process.pid if self._process is not None else None

    def open(self) -> None:
        """Makes a zygote where there is none. Failed: the machine has no room for it."""
        if self._process is not None:
            return
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs, self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_ZYGOTE)], stdin=theirs.fileno(), stdout=subprocess.DEVNULL,
                    stderr=log, env={name: os.environ[name] for name in _PASSED if name in os.environ},
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise Failed(f"no process can be started ({error}); the job has not begun.") from error
        self._socket = ours
        asyncio.get_running_loop().add_reader(ours, self._hear, ours)

    async def ask(self, request: Mapping[str, object]) -> None:
        """Sends a request; its answer comes to `said`. Failed: the zygote died before it had all of it."""
        data = json.dumps(request).encode()
        async with self._sending:
            self.open()
            assert self._socket is not None
            try:
                await asyncio.get_running_loop().sock_sendall(self._socket, len(data).to_bytes(4, "big") + data)
            except OSError as error:
                raise Failed("the process that starts jobs died; the job has not begun.") from error

    async def sweep(self) -> None:
        """Returns when nothing lives of what dead shims of this zygote left; at once where there is no zygote."""
        if self._process is None:
            return
        number = max(self._sweeps, default=0) + 1
        future = self._sweeps[number] = asyncio.get_running_loop().create_future()
        with contextlib.suppress(Failed):
            await self.ask({"sweep": number})
            await future

    def kill(self) -> None:
        """Ends a zygote that does not answer; its shims go on."""
        if self._process is not None:
            self._process.kill()

    async def close(self) -> None:
        """Lets the zygote end; its shims go on."""
        process = self._process
        self._forget()
        if process is not None:
            await asyncio.to_thread(_wait, process)

    def _forget(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        self._socket = self._process = None
        self._heard = b""
        for future in self._sweeps.values():
            if not future.done():
                future.set_result(None)
        self._sweeps.clear()

    def _hear(self, ours: socket.socket) -> None:
        try:
            data = ours.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            process = self._process
            self._forget()
            if process is not None:
                process.kill()
                process.wait()
            self._died()
            return
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            if "swept" in answer:
                future = self._sweeps.pop(answer["swept"], None)
                if future is not None and not future.done():
                    future.set_result(None)
            else:
                self._said(answer)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
