"""The zygote: a small process that forks a shim for every attempt, in a millisecond. Run as a file, `python -I -S`.

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
import sys
import types


def _bare_packages() -> None:
    # The packages' own __init__ would be paid at every start, and could import anything.
    folder = os.path.dirname(os.path.abspath(__file__))
    for name, path in (("agentos", os.path.dirname(folder)), ("agentos.jobs", folder)):
        package = types.ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package


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
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
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
        from agentos.jobs.faults import fault
        from agentos.jobs.identity import starttime

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
        from agentos.jobs.shim import Shim

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
        from agentos.jobs import tree

        orphans = [pid for pid in tree.children(os.getpid()) if pid not in self.shims]
        for pid in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return orphans


def main() -> None:
    """Serves standard input."""
    _bare_packages()
    from agentos.jobs import shim  # noqa: F401  (before the first fork)
    from agentos.jobs.spawn import adopt_orphans

    socket = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    adopt_orphans()
    gc.collect()
    gc.freeze()
    gc.disable()
    Zygote(socket).run()


if __name__ == "__main__":
    main()
