"""Which process it is: a number is given again, a number and a start time are not, until the machine starts again.

The zygote and its shims import this: a few cheap modules of the standard library, and no more.
"""

from __future__ import annotations

import os
from functools import cache


@cache
def boot() -> str:
    """The machine's present run: from one start to the next; `unknown` where the system does not name it."""
    try:
        return content("/proc/sys/kernel/random/boot_id").decode().strip()
    except OSError:
        return "unknown"


def starttime(pid: int | str) -> int | None:
    """When that process started, in ticks since the machine did; None: there is none. 0 where that is not known."""
    fields = stat(pid)
    if fields is not None:
        return int(fields[19])
    if os.path.isdir("/proc/self"):
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return 0


def stat(pid: int | str) -> list[bytes] | None:
    """The fields of /proc/PID/stat after the name: state, parent, group, session and so on; None: it has ended."""
    try:
        return content(f"/proc/{pid}/stat").rpartition(b")")[2].split() or None
    except OSError:
        return None


def content(path: str) -> bytes:
    """What a small file holds. OSError: it cannot be read."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = b""
        while chunk := os.read(fd, 1 << 16):
            data += chunk
        return data
    finally:
        os.close(fd)


def mark(folder: str) -> str:
    """What every process of the attempt of that folder carries in its environment; no two folders share one."""
    info = os.stat(folder)
    return f"{info.st_dev:x}-{info.st_ino:x}"


class Claim:
    """Who decided the fate of an attempt, first and for good."""

    __slots__ = ("boot", "command", "command_start", "shim", "shim_start", "started")

    def __init__(
        self, shim: int, shim_start: int, boot: str, started: float, *, command: int = 0, command_start: int = 0
    ) -> None:
        """A shim, since when (seconds since the epoch) and in which run of the machine; 0: there is no command yet."""
        self.shim = shim
        self.shim_start = shim_start
        self.boot = boot
        self.started = started
        self.command = command
        self.command_start = command_start

    @property
    def here(self) -> bool:
        """Whether its process numbers mean anything: the machine has not been started again since."""
        return self.boot == boot()

    def head(self) -> bytes:
        """What the shim writes; its child appends its own number and start time before it becomes the command."""
        return f"started {self.shim} {self.shim_start} {self.boot} {self.started!r}\n".encode()


VOID = b"void\n"


def read_claim(folder: str) -> Claim | None:
    """The claim of a shim; None: there is none, it is void, or its shim died as it wrote it and so ran nothing."""
    try:
        words = content(f"{folder}/claim").decode("ascii").split()
    except FileNotFoundError:
        return None
    if len(words) < 5 or words[0] != "started":
        return None
    command, command_start = (int(words[5]), int(words[6])) if len(words) >= 7 else (0, 0)
    return Claim(
        int(words[1]), int(words[2]), words[3], float(words[4]), command=command, command_start=command_start
    )


def void(folder: str) -> bool:
    """Forbids a start for good; False: there is a claim. OSError: the disk is full."""
    try:
        fd = os.open(f"{folder}/claim", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    try:
        os.write(fd, VOID)
    finally:
        os.close(fd)
    return True
