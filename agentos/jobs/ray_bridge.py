"""The system's end of the process that is connected to a Ray cluster."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentos.errors import Failed
from agentos.jobs.wire import Terms, pack, receive

_PATIENCE = 90.0
"""Seconds in which the cluster must have been reached."""


class Away(Exception):
    """The driver has died, or there is none; what was asked of it may have been done."""


class Bridge:
    """One driver at a time."""

    def __init__(self, address: str, terms: Terms, log: Path, heard: Callable[[str, Any], None]) -> None:
        """Nothing runs yet.

        Args:
            address: The cluster's.
            terms: For the agents of its nodes.
            log: Where the driver, and Ray within it, say what happens.
            heard: Called with what the driver tells unasked.
        """
        self._address, self._terms, self._log, self._told = address, terms, log, heard
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._count = 0

    @property
    def pid(self) -> int | None:
        """The driver's process number; None: there is none now."""
        return self._process.pid if self._process is not None else None

    async def open(self) -> None:
        """Makes a driver that is connected. Failed: the cluster cannot be used; there is none."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = self._spawn(theirs)
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        self._writer.write(pack((self._address, self._terms)))
        try:
            async with asyncio.timeout(_PATIENCE):
                while (message := await receive(self._reader))[1] != "ready":
                    if message[1] == "refused":
                        raise Failed(message[2])
                    self._heard(*message)
        except (EOFError, TimeoutError) as error:
            await self.close()
            raise Failed(
                f"the Ray cluster at {self._address!r} does not answer; nothing was started. Is it up (`ray status`)?"
                f" {self._log} says more."
            ) from error
        except BaseException:
            await self.close()
            raise

    async def hear(self) -> None:
        """Hears the driver until it is gone."""
        assert self._reader is not None
        with contextlib.suppress(EOFError):
            while True:
                self._heard(*await receive(self._reader))

    async def ask(self, method: str, *args: object) -> Any:
        """What the driver answers.

        Raises:
            Away: it died meanwhile, or there is none.
            Failed: it says so.
        """
        if self._writer is None:
            raise Away
        self._count += 1
        number = self._count
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(pack((number, method, args)))
            return await future
        finally:
            self._asked.pop(number, None)

    async def close(self) -> None:
        """Lets the driver end."""
        writer, self._writer = self._writer, None
        process, self._process = self._process, None
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Away())
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        if process is not None:
            await asyncio.to_thread(_wait, process)

    def _spawn(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "agentos.jobs.ray_driver"], stdin=theirs.fileno(), stdout=output,
                stderr=output, start_new_session=True, env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
            )

    def _heard(self, number: int, kind: Any, value: Any) -> None:
        if not number:
            self._told(kind, value)
            return
        future = self._asked.get(number)
        if future is not None and not future.done():
            if kind:
                future.set_result(value)
            else:
                future.set_exception(Failed(value))


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
