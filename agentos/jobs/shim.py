"""The shim: the parent of one attempt's command. It outlives the system, keeps the limits and records the end.

It is forked from the zygote, which has imported all that it needs, and waits for its order.
Its promises: while it holds the lock the attempt
may run; when it has the claim nobody else can decide the attempt's fate; the command dies with it; its result is on
disk before it ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Mapping

from agentos.jobs import tree
from agentos.jobs.cgroup import Group
from agentos.jobs.faults import fault
from agentos.jobs.identity import Claim, boot, starttime
from agentos.jobs.lease import left
from agentos.jobs.pump import Pump
from agentos.jobs.spawn import adopt_orphans, spawn

TYPE_CHECKING = False  # as in spawn.py
if TYPE_CHECKING:
    from typing import Any

_CHUNK = 1 << 16
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_AFTERMATH = 2.0
"""Seconds of grace for what a command leaves behind when it ends by itself."""
_LOOK = 5.0
"""Seconds after which a lease is looked at again at the latest."""
_FASTEST = 4 << 30
"""Bytes a second: the pace at which a job is expected to take memory at most."""


class Shim:
    """One attempt, from its claim to its result."""

    def __init__(self, reply: int) -> None:
        """The system is told over `reply` that the command runs."""
        self.reply = reply
        self.order: Mapping[str, Any] = {}
        self.group: Group | None = None
        self.pid = 0
        self.status: int | None = None
        self.reason = ""
        self.detail = ""
        self.peak = 0
        self.biggest = 0
        self.alone = False
        self.told = False
        self.time_out: float | None = None
        self.kill_at: float | None = None
        self.lease_at: float | None = None
        self.pause = 0.05
        self.sample_at = 0.0
        self.interval = 0.05

    def run(self, orders: int) -> None:
        """All of it: waits for the order, which comes from that pipe; ends where none comes."""
        self._prepare()
        with open(orders, "rb") as file:
            data = file.read()
        if not data:
            return
        self.order = json.loads(data)
        self.folder: str = self.order["folder"]
        self.limit: int | None = self.order["memory"]
        self.grace: float = self.order["grace"]
        fault("shim:forked")
        lock = os.open(f"{self.folder}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        fault("shim:locked")
        self.started = round(time.time(), 6)
        claim = self._claim()
        if claim is None:
            return
        fault("shim:claimed")
        self._start(claim)
        if self.pid and self.status is None:
            self._attend()
        if self.group is not None:
            self._account(self.group)
        fault("shim:ended")
        self._record()
        fault("shim:result-written")

    def _prepare(self) -> None:
        os.setsid()
        adopt_orphans()
        self.born = starttime(os.getpid()) or 0
        self.output, self.input = os.pipe()
        os.set_blocking(self.output, False)
        self.wake, wake = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_term)

    def _on_term(self, *_: object) -> None:
        self.told = True

    def _claim(self) -> int | None:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            fd = os.open(f"{self.folder}/claim", flags, 0o600)
        except FileExistsError:
            return None
        os.write(fd, Claim(os.getpid(), self.born, boot(), self.started).head())
        return fd

    def _reserve(self) -> None:
        # The result must find room when the job itself has filled the disk.
        try:
            fd = os.open(f"{self.folder}/result.new", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        try:
            os.posix_fallocate(fd, 0, 4096)
        except (OSError, AttributeError):
            pass
        finally:
            os.close(fd)

    def _start(self, claim: int) -> None:
        self.pump = Pump(self.folder, self.order["log_size"], self.order["log_count"])
        if self.order["cgroup"]:
            group = Group(self.order["cgroup"])
            self.group = group if group.make(self.limit) else None
        self.baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
        self.pid, self.detail = spawn(self.order, claim, self.input, self.group, self._reserve)
        os.close(self.input)
        os.close(claim)
        if self.detail:
            self.reason = "unstartable"
            if self.pid:
                os.waitpid(self.pid, 0)
            self.status = 0
        else:
            fault("shim:executed")
            said = {"attempt": self.order["attempt"], "pid": self.pid, "started": self.started}
            with contextlib.suppress(OSError):
                os.write(self.reply, json.dumps(said).encode() + b"\n")
        os.close(self.reply)
        self.order = {key: value for key, value in self.order.items() if key != "env"}

    def _attend(self) -> None:
        begun = time.monotonic()
        limit = self.order["time_limit"]
        self.time_out = begun + limit if limit is not None else None
        self.sample_at = begun + self.interval
        self.lease_at = begun if self.order["lease"] else None
        poll = select.poll()
        poll.register(self.wake, select.POLLIN)
        poll.register(self.output, select.POLLIN)
        while True:
            for fd, _ in poll.poll(self._patience()):
                if fd == self.wake:
                    _drain(self.wake)
                elif not self._pump():
                    poll.unregister(self.output)
            self._reap()
            if self.alone:
                break
            self._keep_limits()
        while self._pump(once=True):
            pass

    def _patience(self) -> float:
        times = [self.sample_at if self.kill_at is None else self.kill_at]
        if self.time_out is not None and self.kill_at is None:
            times.append(self.time_out)
        if self.lease_at is not None:
            times.append(self.lease_at)
        return max(0.0, min(times) - time.monotonic()) * 1000 + 1

    def _pump(self, once: bool = False) -> bool:
        for _ in range(1 if once else 16):
            try:
                data = os.read(self.output, _CHUNK)
            except BlockingIOError:
                return not once
            if not data:
                return False
            self.pump.write(data)
        return True

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.alone = True
                return
            if pid == 0:
                break
            self.biggest = max(self.biggest, usage.ru_maxrss * _RSS_UNIT)
            if pid == self.pid:
                self.status = status
                self.finished = time.time()
        if self.status is not None:
            self._end("", min(self.grace, _AFTERMATH))

    def _keep_limits(self) -> None:
        now = time.monotonic()
        if self.told:
            self.told = False
            if os.path.exists(f"{self.folder}/cancel"):
                self._end("cancelled", self.grace)
            else:
                self._end("lost", self.grace, "its shim was told to end by another than the system")
        if self.time_out is not None and now >= self.time_out:
            self._end("timeout", self.grace, f"it ran longer than {self.order['time_limit']:g} s")
        if self.lease_at is not None and now >= self.lease_at:
            remains = left(self.order["lease"])
            self.lease_at = now + min(remains, _LOOK)
            if remains <= 0:
                self._end("lost", 0.0, "its node lost touch with the cluster")
                self.kill_at, self.lease_at = now, None
        if self.kill_at is not None:
            if now >= self.kill_at:
                self._kill()
        elif now >= self.sample_at:
            self._sample(now)

    def _end(self, reason: str, grace: float, detail: str = "") -> None:
        if self.kill_at is not None:
            return
        if self.status is None:
            self.reason, self.detail = reason, detail
        self.kill_at = time.monotonic() + grace
        if grace > 0:
            tree.send(os.getpid(), self.pid, signal.SIGTERM)
            tree.send(os.getpid(), self.pid, signal.SIGCONT)

    def _kill(self) -> None:
        if self.group is not None:
            self.group.kill()
        tree.send(os.getpid(), self.pid, signal.SIGKILL)
        # Who was forked meanwhile is found the next time; who cannot die yet is asked ever more seldom.
        self.kill_at = time.monotonic() + self.pause
        self.pause = min(1.0, self.pause * 1.5)

    def _sample(self, now: float) -> None:
        if self.group is not None:
            self.sample_at = now + 3600
            return
        pids = tree.descendants(os.getpid())
        use = tree.use(pids)
        taken = use.memory
        if self.limit is not None and use.rss > self.limit:
            exact = tree.proportional(pids)
            taken = use.memory if exact is None else exact
            if taken > self.limit:
                self._end("memory", 0.0, f"it took {_size(taken)} and may take {_size(self.limit)}")
        self.peak = max(self.peak, taken)
        done = time.monotonic()
        if self.limit is None:
            self.interval = min(5.0, self.interval * 1.5)
        else:
            self.interval = min(1.0, max(0.05, 50 * (done - now), (self.limit - taken) / _FASTEST))
        self.sample_at = done + self.interval

    def _account(self, group: Group) -> None:
        self.peak = group.peak() or 0
        if group.starved() and self.status is not None and self.reason in {"", "memory"} and self.status != 0:
            self.reason = "memory"
            self.detail = f"it wanted more than the {_size(self.limit or 0)} that it may take"
        group.remove()

    def _record(self) -> None:
        status = self.status or 0
        ran = self.reason != "unstartable"
        code = os.WEXITSTATUS(status) if ran and os.WIFEXITED(status) else None
        number = os.WTERMSIG(status) if ran and os.WIFSIGNALED(status) else None
        peak = max(self.peak, self.biggest if self.biggest > self.baseline or not self.peak else 0)
        result = {
            "reason": self.reason or ("exited" if number is None else "signal"),
            "exit_code": code, "signal": number, "peak_memory": peak if ran else None,
            "started": self.started, "finished": self.finished if ran else time.time(),
            "detail": self.detail or _explain(code, self.pump.last), "dropped": self.pump.dropped,
        }
        data = json.dumps(result).encode()
        while True:
            try:
                return _write(self.folder, data)
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                time.sleep(1)


def _write(folder: str, data: bytes) -> None:
    fd = os.open(f"{folder}/result.new", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(fd, data, 0)
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(f"{folder}/result.new", f"{folder}/result.json")
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _explain(code: int | None, last: bytes) -> str:
    if code == 127 and b"not found" in last:
        return "command not found"
    if code == 126 and b"denied" in last:
        return "the command may not be executed"
    return ""


def _drain(fd: int) -> None:
    try:
        while os.read(fd, 512):
            pass
    except BlockingIOError:
        pass


def _size(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
