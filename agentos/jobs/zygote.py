"""The zygote: a small process that forks a shim for every attempt, in a millisecond. bare.py runs it.

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


class Zygote:
    """The loop."""

    def __init__(self, socket: int) -> None:
        """Serves that socket."""
        self.socket = socket
        self.shims: set[int] = set()
        self.wake, self.waker = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self.waker, False)

    def run(self) -> None:
        """Until the system is gone."""
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        poll.register(self.wake, select.POLLIN)
        pending = b""
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if self.wake in ready:
                self._woken()
            if self.socket in ready:
                data = os.read(self.socket, 1 << 16)
                if not data:
                    return
                pending += data
                while len(pending) >= 4 and len(pending) >= 4 + (size := int.from_bytes(pending[:4], "big")):
                    request, pending = json.loads(pending[4 : 4 + size]), pending[4 + size :]
                    self._serve(request)

    def _serve(self, request: dict[str, object]) -> None:
        if "sweep" in request:
            while self._orphans():
                select.select([self.wake], [], [], 0.05)
                self._woken()
            self._say({"swept": request["sweep"]})
            return
        fault("zygote:received")
        try:
            pid = os.fork()
        except OSError as error:
            self._say({"attempt": request["attempt"], "refused": f"no process could be made: {error.strerror}"})
            return
        if pid == 0:
            self._shim(request)
        self.shims.add(pid)
        self._say({"attempt": request["attempt"], "shim": pid, "start": starttime(pid) or 0})

    def _shim(self, order: dict[str, object]) -> None:
        try:
            os.close(self.wake)
            os.close(self.waker)
            Shim(order, self.socket).run()
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
