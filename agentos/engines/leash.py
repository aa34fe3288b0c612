"""Holds a server's processes together: when one that matters ends, or whoever started them ends, all of them end.

Run as a program of its own, with the standard library alone: `python -I -S leash.py JSON`. Standard input
is the line to the system: its end is the order to end. Standard output tells, a JSON object a line, which
process was started and why everything ended. Should this process itself be killed, each process of the
tree ends by itself: Linux kills the server with it, and every Python process below watches its parent
(this file is put on their path, and `watch` is called as they start).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

_PROC = os.path.isdir("/proc/self/task")
_DEATH, _SUBREAPER = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER
_TICK, _GRACE, _TOGETHER = 0.25, 2.0, 0.05
_SITE = "import agentos_leash\n\nagentos_leash.watch()\n"
_TRACKER = b"resource_tracker"


def watch(pause: float = _TICK) -> None:
    """Ends this process soon after its parent; called in every Python process of the tree as it starts."""
    if any(_TRACKER.decode() in word for word in getattr(sys, "orig_argv", [])):
        return  # ends by itself once nobody holds its pipe, and takes away the shared memory they left
    _note_ends()
    # Linux counts the thread that made a process as its parent; only what multiprocessing makes is made by one that
    # stays, so the rest is left to the look at the parent below.
    if "--multiprocessing-fork" in getattr(sys, "orig_argv", []):
        _prctl(_DEATH, signal.SIGKILL)
    _look(pause)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _look(pause))


def _note_ends() -> None:
    """Notes how children end before anyone else hears of it: what is reaped, /proc no longer tells."""
    wait, file = os.waitpid, Path(__file__).parent.with_name("ends")

    def waitpid(pid: int, options: int) -> tuple[int, int]:
        found, status = wait(pid, options)
        if found:
            with contextlib.suppress(OSError), file.open("ab") as out:
                out.write(b"%d %d\n" % (found, status))
        return found, status

    os.waitpid = waitpid


def _look(pause: float) -> None:
    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(pause)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=look, name="leash", daemon=True).start()


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def read(path: str) -> bytes:
    """A file of /proc; empty where the process has ended."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def fields(pid: int) -> list[bytes]:
    """What /proc says of a process, from its state on; empty where it has ended."""
    return read(f"/proc/{pid}/stat").rpartition(b") ")[2].split()


def below(root: int) -> list[int]:
    """All processes below that one, zombies too; without /proc none are known."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if _PROC else ():
        said = fields(int(name)) if name.isdigit() else []
        if len(said) > 1:
            parents.setdefault(int(said[1]), []).append(int(name))
    found: list[int] = []
    todo = [root]
    while todo:
        more = parents.get(todo.pop(), [])
        found += more
        todo += more
    return found


def proportional(pids: list[int]) -> int:
    """Bytes these processes hold, each shared page divided by its users; what is resident where that is not said."""
    total = 0
    for pid in pids:
        pss = [line for line in read(f"/proc/{pid}/smaps_rollup").splitlines() if line.startswith(b"Pss:")]
        total += int(pss[0].split()[1]) * 1024 if pss else resident([pid])
    return total


def resident(pids: list[int]) -> int:
    """Bytes resident, shared pages counted in each."""
    pages = [read(f"/proc/{pid}/statm").split() for pid in pids]
    return sum(int(page[1]) for page in pages if page) * os.sysconf("SC_PAGE_SIZE")


def cause(status: int | None) -> str:
    """Why a process ended, from what `waitpid` says."""
    if status is None:
        return "ended"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"was killed by {signal.Signals(number).name}" + (", out of memory?" if number == signal.SIGKILL else "")
    return f"ended with exit code {os.WEXITSTATUS(status)}"


class Leash:
    """The server, every process below it, and the line to whoever started them."""

    def __init__(
        self, command: list[str], *, folder: str, vital: str, limit: int | None, oom: int,
        wire: tuple[int, int] = (-1, 2),
    ) -> None:
        """Nothing runs yet.

        Args:
            command: The server's.
            folder: Its own temporary folder, taken away at the end.
            vital: A process whose command line holds this text may not end alone; empty: only the server may not.
            limit: Most bytes the processes may hold together.
            oom: Added to how readily Linux takes them when memory runs out, up to 1000.
            wire: Descriptors of this process that become the server's standard input and output: none, and the log.
        """
        self._command, self._folder, self._vital = command, Path(folder), vital.encode()
        self._limit, self._oom, self._wire = limit, oom, wire
        self._server: subprocess.Popen[bytes] | None = None
        self._known: dict[int, str] = {}
        self._watched: dict[int, int] = {}
        self._poll = select.poll()

    def run(self) -> str:
        """Starts the server and returns why it ended, once nothing of it is left."""
        _prctl(_SUBREAPER, 1)
        self._start()
        assert self._server is not None
        _say(started=self._server.pid)
        self._poll.register(0, select.POLLIN | select.POLLHUP)
        why = ""
        while not why:
            events = self._poll.poll(_TICK * 1000)
            if any(descriptor for descriptor, _ in events):
                time.sleep(_TOGETHER)  # a process is heard of a moment after what dies with it
                events = self._poll.poll(0)
            why = self._end(events) or self._scan()
        self._kill()
        return why

    def _start(self) -> None:
        site = self._folder / "site"
        site.mkdir(parents=True)
        shutil.copy(__file__, site / "agentos_leash.py")
        (site / "sitecustomize.py").write_text(_SITE, "ascii")
        path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
        ours = os.getpid()

        def bind() -> None:
            _prctl(_DEATH, signal.SIGKILL)
            if os.getppid() != ours:
                os._exit(1)
            with contextlib.suppress(OSError):
                Path("/proc/self/oom_score_adj").write_text(str(self._oom), "ascii")

        given, taken = self._wire
        self._server = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL if given < 0 else given, stdout=taken,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True, preexec_fn=bind,  # noqa: PLW1509 (this process has one thread)
        )
        for end in self._wire:
            if end > 2:  # they are the server's alone, so that who holds the others hears of its end
                os.close(end)
        self._known[self._server.pid] = "the server"

    def _end(self, events: list[tuple[int, int]]) -> str:
        ready = [descriptor for descriptor, _ in events]
        if 0 in ready and not os.read(0, 4096):
            return "its user ended it"
        # those who ended together are parents and what died with them: a parent, known first, is the cause
        order = list(self._known)
        for descriptor in sorted((one for one in ready if one), key=lambda one: order.index(self._watched[one])):
            pid = self._watched.pop(descriptor)
            status = self._status(pid)
            self._poll.unregister(descriptor)
            os.close(descriptor)
            name = self._known.pop(pid, "")
            if name:
                return f"{name} (process {pid}) {cause(status)}"
        return ""

    def _status(self, pid: int) -> int | None:
        """How a process ended, as /proc tells until its parent has asked, and as its parent notes then."""
        patience = time.monotonic() + _GRACE
        while time.monotonic() < patience:
            said = fields(pid)
            if len(said) > 49 and said[0] == b"Z":
                return int(said[49])
            for line in read(f"{self._folder}/ends").splitlines():
                if line.startswith(b"%d " % pid):
                    return int(line.split()[1])
            time.sleep(0.01)
        return None

    def _scan(self) -> str:
        """Takes in new processes, and takes leave of orphans; says what is wrong."""
        assert self._server is not None
        if not _PROC:
            status = self._server.poll()
            return "" if status is None else f"the server {cause(status << 8 if status >= 0 else -status)}"
        pids = below(os.getpid())
        for pid in pids:
            line = read(f"/proc/{pid}/cmdline")
            if pid != self._server.pid and self._vital and self._vital in line:
                self._known[pid] = line.split(b"\0")[0].decode(errors="replace").strip() or "a process"
            if pid in self._known and pid not in self._watched.values():
                try:
                    descriptor = os.pidfd_open(pid)
                except OSError:
                    return f"{self._known[pid]} (process {pid}) {cause(self._status(pid))}"
                self._watched[descriptor] = pid
                self._poll.register(descriptor, select.POLLIN)
            elif fields(pid)[:2] == [b"Z", str(os.getpid()).encode()] and pid not in self._known:
                os.waitpid(pid, os.WNOHANG)
        if self._limit and resident(pids) > self._limit and (now := proportional(pids)) > self._limit:
            return f"it took {now >> 20} MiB of memory, more than the {self._limit >> 20} MiB it was given"
        return ""

    def _kill(self) -> None:
        """Kills until nothing is left; a tracker that takes away shared memory goes last and by itself."""
        assert self._server is not None
        patience = time.monotonic() + _GRACE
        if not _PROC:
            with contextlib.suppress(OSError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            return
        while pids := below(os.getpid()):
            for pid in pids:
                if time.monotonic() > patience or _TRACKER not in read(f"/proc/{pid}/cmdline"):
                    with contextlib.suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.01)


def _say(**line: Any) -> None:
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(line).encode() + b"\n")


def main() -> None:
    """Runs what the first argument describes."""
    given = json.loads(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)

    def leave(*_: object) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, leave)
    leash, why = Leash(**given), "the leash was ended"
    try:
        why = leash.run()
    finally:
        with contextlib.suppress(AssertionError):
            leash._kill()
        shutil.rmtree(given["folder"], ignore_errors=True)
        _say(ended=why)


if __name__ == "__main__":
    main()
