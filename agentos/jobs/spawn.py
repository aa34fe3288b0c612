"""From a shim to the command: what is set up between fork and exec, and what went wrong there."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import sys
from collections.abc import Callable, Mapping

from agentos.jobs.cgroup import Group
from agentos.jobs.identity import starttime

TYPE_CHECKING = False  # typing itself would cost the zygote's start a tenth
if TYPE_CHECKING:
    from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def adopt_orphans() -> None:
    """From now on, who is below this process and loses its parent becomes its child; only Linux can."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _die_with(parent: int) -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def spawn(
    order: Mapping[str, Any], claim: int, output: int, group: Group | None, meanwhile: Callable[[], None]
) -> tuple[int, str]:
    """Starts the order's command, in a session of its own, its output into that file; returns once it runs.

    Args:
        order: `command`, `cwd` and `env`, which is its whole environment.
        claim: The open claim file, which is told who the command is before it runs.
        output: An open file or pipe.
        group: The control group that it joins.
        meanwhile: Called while the command is on its way.

    Returns:
        Its process number, and why it could not be run; empty when it runs.
    """
    ours, theirs = os.pipe()
    shim = os.getpid()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(ours)
        os.close(theirs)
        return 0, f"no process could be made: {error.strerror}"
    if pid == 0:
        why = "the command could not be run"
        try:
            why = _become(order, claim, output, group, shim)
        except Exception as error:
            why = f"{why}: {error}"
        finally:
            os.write(theirs, why.encode()[:2000])
            os._exit(127)
    os.close(theirs)
    meanwhile()
    said = b""
    while chunk := os.read(ours, 4096):
        said += chunk
    os.close(ours)
    return pid, said.decode()


def _become(order: Mapping[str, Any], claim: int, output: int, group: Group | None, shim: int) -> str:
    os.setsid()
    _die_with(shim)
    if group is not None:
        group.enter()
    with contextlib.suppress(OSError):
        _prefer_for_oom()
    try:
        os.chdir(order["cwd"])
    except FileNotFoundError:
        return f"there is no folder {order['cwd']!r}"
    except OSError as error:
        return f"the folder {order['cwd']!r} cannot be entered: {error.strerror}"
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.write(claim, f"{os.getpid()} {starttime(os.getpid()) or 0}\n".encode())
    try:
        os.execve("/bin/sh", ["sh", "-c", order["command"]], order["env"])
    except OSError as error:
        if error.errno == errno.E2BIG:
            return "the command and its environment are too long for this system; put them into a file"
        return f"/bin/sh could not be run: {error.strerror}"
    except ValueError as error:
        return f"the command cannot be run: {error}"


def _prefer_for_oom() -> None:
    # Where the whole machine runs out of memory, a job goes before the system.
    fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    try:
        os.write(fd, b"500")
    finally:
        os.close(fd)
