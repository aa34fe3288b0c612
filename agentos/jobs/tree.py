"""The processes of an attempt: who they are, what they use, and their end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection, Iterable

from agentos.jobs.identity import Claim, content, starttime, stat

MARK = "AGENTOS_ATTEMPT"
_PROC = os.path.isdir("/proc/self/task")
_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")
_PAGE, _TICK = (os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")) if _PROC else (0, 1)


class Use:
    """What a few processes use together."""

    __slots__ = ("cpu", "memory", "processes", "rss")

    def __init__(self, rss: int, memory: int, cpu: float, processes: int) -> None:
        """As measured.

        Args:
            rss: Bytes; what they share is counted in each of them, so this is the most it can be.
            memory: Bytes; an estimate that counts what they share once.
            cpu: Seconds of processor time so far, with those of their children that have ended.
            processes: How many live.
        """
        self.rss = rss
        self.memory = memory
        self.cpu = cpu
        self.processes = processes


def descendants(root: int) -> list[int]:
    """All processes below that one, parents first; without /proc none are known."""
    if not _PROC:
        return []
    if not _CHILDREN:
        return below({root})
    found: list[int] = []
    todo = [root]
    while todo:
        more = children(todo.pop())
        found += more
        todo += more
    return found


def children(pid: int) -> list[int]:
    """The children of that process, all of its threads; empty where the system does not list them."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, content(f"/proc/{pid}/task/{thread}/children").split())
    except OSError:
        pass
    return found


def _all() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()] if _PROC else []


def below(roots: Collection[int]) -> list[int]:
    """All living processes below these, by a scan of the whole machine: slower, and none is missed that stays still."""
    parents: dict[int, list[int]] = {}
    for name in _all():
        fields = stat(name)
        if fields is not None and fields[0] != b"Z":
            parents.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    todo = list(roots)
    while todo:
        more = parents.get(todo.pop(), [])
        found += more
        todo += more
    return found


def use(pids: Iterable[int]) -> Use:
    """What these processes use; those that have ended, nothing."""
    rss = private = shared = cpu = count = 0
    for pid in pids:
        fields = stat(pid)
        if fields is None or fields[0] == b"Z":
            continue
        try:
            _, resident, common = map(int, content(f"/proc/{pid}/statm").split()[:3])
        except (OSError, ValueError):
            continue
        rss += resident
        private += resident - common
        shared = max(shared, common)
        cpu += sum(map(int, fields[11:15]))
        count += 1
    return Use(rss * _PAGE, (private + shared) * _PAGE, cpu / _TICK, count)


def proportional(pids: Iterable[int]) -> int | None:
    """Bytes that these processes take, each page divided by its users; None where the system does not say."""
    total = 0
    for pid in pids:
        try:
            text = content(f"/proc/{pid}/smaps_rollup")
        except (ProcessLookupError, FileNotFoundError):
            if starttime(pid) is not None:
                return None
            continue
        except OSError:
            return None
        for line in text.splitlines():
            if line.startswith(b"Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def send(root: int, command: int, number: int) -> None:
    """A signal to all below that process, which started that command; without /proc, to the command's group."""
    if not _PROC:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(command, number)
    for pid in below({root}):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def leftovers(attempts: dict[str, Claim | None]) -> dict[str, set[int]]:
    """The processes that dead shims left, by the mark of their attempt: they bear it, or are of its session, or below.

    Args:
        attempts: The marks, and the claims where there are any of this run of the machine.
    """
    found: dict[str, set[int]] = {mark: set() for mark in attempts}
    claims = {mark: claim for mark, claim in attempts.items() if claim is not None and claim.command}
    sessions = {claim.command: mark for mark, claim in claims.items() if not _reused(claim)}
    parents: dict[int, int] = {}
    owner: dict[int, str] = {}
    wanted = {f"{MARK}={mark}".encode(): mark for mark in attempts}
    for name in _all():
        fields = stat(name)
        if fields is None or fields[0] == b"Z":
            continue
        pid = int(name)
        parents[pid] = int(fields[1])
        mark = sessions.get(int(fields[3])) or _marked(pid, wanted)
        if mark is not None:
            owner[pid] = mark
    for pid in parents:
        chain = [pid]
        while chain[-1] not in owner and parents.get(chain[-1], 0) > 1:
            chain.append(parents[chain[-1]])
        mark = owner.get(chain[-1])
        if mark is not None:
            found[mark].add(pid)
    if not _PROC:
        for command, mark in sessions.items():
            with contextlib.suppress(OSError):
                os.killpg(command, signal.SIGKILL)
                found[mark].add(command)
    return found


def _reused(claim: Claim) -> bool:
    now = starttime(claim.command)
    return now is not None and now != claim.command_start


def _marked(pid: int, wanted: dict[bytes, str]) -> str | None:
    try:
        text = content(f"/proc/{pid}/environ")
    except OSError:
        return None
    if MARK.encode() not in text:
        return None
    return next((wanted[item] for item in text.split(b"\0") if item in wanted), None)
