"""The zygote: a small process that forks a shim for every attempt, one ahead of the next order. bare.py runs it.

Its standard input is a socket. A request is a length (four bytes, big end first) and JSON: an order, or `{"sweep": N}`.
Its answers, and those of its shims, are lines of JSON. It ends when the system does; its shims go on.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal

from agentos.jobs import tree
from agentos.jobs.faults import fault
from agentos.jobs.identity import boot, starttime
from agentos.jobs.shim import Shim
from agentos.jobs.spawn import adopt_orphans

_BREATH = 5
"""Milliseconds that an attempt gets to start before the next shim is made: the two would share the processor."""


class Zygote:
    """The loop."""

    def __init__(self, socket: int) -> None:
        """Serves that socket."""
        self.socket = socket
        self.shims: set[int] = set()
        self.spare: tuple[int, int] | None = None
        self.wake, self.waker = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self.waker, False)

    def run(self) -> None:
        """Until the system is gone."""
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        self._breed()
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        poll.register(self.wake, select.POLLIN)
        pending = b""
        while True:
            ready = [fd for fd, _ in poll.poll(None if self.spare is not None else _BREATH)]
            if not ready:
                self._breed()
            if self.wake in ready:
                self._woken()
            if self.socket in ready:
                try:
                    data = os.read(self.socket, 1 << 16)
                except ConnectionResetError:
                    data = b""
                if not data:
                    return
                pending += data
                while len(pending) >= 4 and len(pending) >= 4 + (size := int.from_bytes(pending[:4], "big")):
                    request, pending = pending[4 : 4 + size], pending[4 + size :]
                    self._serve(request)

    def _serve(self, data: bytes) -> None:
        request = json.loads(data)
        if "sweep" in request:
            while self._orphans():
                select.select([self.wake], [], [], 0.05)
                self._woken()
            self._say({"swept": request["sweep"]})
            return
        fault("zygote:received")
        while True:
            if self.spare is None and (why := self._breed()):
                self._say({"attempt": request["attempt"], "refused": f"no process could be made: {why}"})
                return
            assert self.spare is not None
            (pid, order), self.spare = self.spare, None
            start = starttime(pid) or 0
            try:
                with open(order, "wb", buffering=0) as file:
                    file.write(data)
            except BrokenPipeError:
                # Somebody killed it while it waited.
                continue
            self._say({"attempt": request["attempt"], "shim": pid, "start": start})
            return

    def _breed(self) -> str:
        """Makes the next shim, which waits for its order; why it could not be made, or nothing."""
        ours, theirs = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:
            os.close(ours)
            os.close(theirs)
            return error.strerror or "no room"
        if pid == 0:
            self._shim(ours, theirs)
        os.close(ours)
        self.shims.add(pid)
        self.spare = (pid, theirs)
        return ""

    def _shim(self, order: int, mine: int) -> None:
        try:
            for fd in (self.wake, self.waker, mine):
                os.close(fd)
            Shim(self.socket).run(order)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def _say(self, answer: dict[str, object]) -> None:
        try:
            os.write(self.socket, json.dumps(answer).encode() + b"\n")
        except OSError:
            os._exit(0)

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake, 512)
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            self.shims.discard(pid)
        self._orphans()

    def _orphans(self) -> list[int]:
        """Kills what shims have left that did not end by themselves; who is still there."""
        orphans = [pid for pid in tree.children(os.getpid()) if pid not in self.shims]
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return orphans


def serve() -> None:
    """Serves the socket that is standard input, until the system is gone."""
    socket = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    adopt_orphans()
    # Handlers, not SIG_IGN: what is ignored stays so in the command, while a handler goes with exec.
    for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    boot()
    gc.collect()
    gc.freeze()
    gc.disable()
    Zygote(socket).run()
