"""A memory limit kept by the kernel, where a version 2 control group with that controller is ours to make."""

from __future__ import annotations

import contextlib
import os

from agentos.jobs.identity import content

ROOT = "/sys/fs/cgroup"


def parent(root: str = ROOT, own: str | None = None) -> str | None:
    """Where groups for attempts can be made: the nearest above this process that hands memory on; None: nowhere.

    Args:
        root: Where the hierarchy is mounted.
        own: This process's own group there, such as `/user.slice/a.scope`; None: as the kernel says.
    """
    if own is None:
        try:
            lines = content("/proc/self/cgroup").decode().splitlines()
        except OSError:
            return None
        own = next((line[3:] for line in lines if line.startswith("0::")), None)
        if own is None:
            return None
    path = own.strip("/")
    while True:
        folder = f"{root}/{path}" if path else root
        if _hands_memory_on(folder) and _writable(folder):
            return folder
        if not path:
            return None
        path = os.path.dirname(path)


def _hands_memory_on(folder: str) -> bool:
    control = f"{folder}/cgroup.subtree_control"
    try:
        if b"memory" in content(control).split():
            return True
        if b"memory" not in content(f"{folder}/cgroup.controllers").split():
            return False
        _write(control, "+memory")
        return b"memory" in content(control).split()
    except OSError:
        return False


def _writable(folder: str) -> bool:
    probe = f"{folder}/agentos-probe-{os.getpid()}"
    if not os.access(f"{folder}/cgroup.procs", os.W_OK):
        return False
    try:
        os.mkdir(probe)
        try:
            return os.path.exists(f"{probe}/memory.max")
        finally:
            os.rmdir(probe)
    except OSError:
        return False


def _write(path: str, text: str) -> None:
    # Opened without O_CREAT: where the kernel lacks the file, nothing else takes its place.
    fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


class Group:
    """The group of one attempt."""

    def __init__(self, folder: str) -> None:
        """That folder, which need not exist."""
        self.folder = folder

    def make(self, memory: int | None) -> bool:
        """Makes it, with a limit in bytes; False: the kernel refuses, and nothing is left."""
        try:
            os.mkdir(self.folder)
            if memory is not None:
                _write(f"{self.folder}/memory.max", str(memory))
                _write(f"{self.folder}/memory.oom.group", "1")
                with contextlib.suppress(OSError):
                    _write(f"{self.folder}/memory.swap.max", "0")
            return True
        except OSError:
            self.remove()
            return False

    def enter(self) -> None:
        """Moves this process in. OSError: the kernel refuses."""
        _write(f"{self.folder}/cgroup.procs", "0")

    def peak(self) -> int | None:
        """The most memory that was taken, in bytes; None where the kernel does not say."""
        try:
            return int(content(f"{self.folder}/memory.peak"))
        except (OSError, ValueError):
            return None

    def starved(self) -> bool:
        """Whether the kernel has killed in it for want of memory."""
        try:
            lines = content(f"{self.folder}/memory.events").splitlines()
        except OSError:
            return False
        return any(line.startswith(b"oom_kill ") and line != b"oom_kill 0" for line in lines)

    def kill(self) -> None:
        """Kills all that is in it, where the kernel can."""
        with contextlib.suppress(OSError):
            _write(f"{self.folder}/cgroup.kill", "1")

    def remove(self) -> None:
        """Removes it when it is empty."""
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)
