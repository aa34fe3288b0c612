"""What a key is for, at the doors that are no syscalls; and who sits at the other end of the socket."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.requests import HTTPConnection

from agentos.errors import DeniedError
from agentos.jobs.identity import stat
from agentos.jobs.tree import MARK
from agentos.mounts.child import MARK as MOUNTED
from agentos.policy.scopes import covers, lacking
from agentos.types import Caller, Effect

_DECIDED = frozenset({
    "brief", "chat", "completions", "embeddings", "jobs", "models", "names", "plans", "policy", "ps", "responses",
    "runs", "status", "syscalls", "top", "training",
})
"""What lies behind these is a syscall, which policy decides with the key's scope, or says nothing of anybody."""
_VERBS = {"GET": "list", "HEAD": "list", "POST": "create", "PUT": "set", "DELETE": "delete"}
_GENERATIONS = 64


def within(caller: Caller, method: str, path: str) -> None:
    """Returns where a key's scope covers a door; what is behind those of syscalls is decided with each call.

    Raises:
        DeniedError: it does not; the message says what it lacks.
    """
    if caller.scope is None:
        return
    parts = [part for part in path.split("/") if part]
    if len(parts) < 2 or parts[0] != "v1" or parts[1] in _DECIDED or (parts[1] == "approvals" and len(parts) > 2):
        return
    effect: Effect = "read" if method in ("GET", "HEAD") else "write"
    name = "audit.search" if parts[1:] == ["audit"] else f"{parts[1]}.{_VERBS.get(method, 'set')}"
    if not covers(caller.scope, name, effect):
        raise DeniedError(f"{lacking(caller.scope, name, effect)}. Nothing was done; ask for a key with that scope.")


def person(request: HTTPConnection) -> None:
    """Returns where a request may be a person's: a job's command must not say yes to what another call would do.

    Nor must a mounted server. A process of the same account that hides where it comes from is not found out: the
    account is trusted as a whole. One that has ended cannot be told, and no person's client ends before its answer.

    Raises:
        DeniedError: it comes from within one of those, or from a process that is gone.
    """
    if where := origin(request):
        raise DeniedError(f"this comes from {where}, and a person decides it; nothing was changed")


def origin(request: HTTPConnection) -> str:
    """What a request comes from that is no person; empty where it may be one, or the platform does not say."""
    pid = request.scope.get("agentos.pid")
    return inside(pid) if isinstance(pid, int) and pid > 0 else ""


def inside(pid: int) -> str:
    """The job or mounted server that a process or one that it descends from belongs to; empty where to none."""
    names = {f"{MARK}=".encode(): "within a job", f"{MOUNTED}=".encode(): "within a mounted server"}
    ours = {f"{name}={os.environ.get(name)}".encode() for name in (MARK, MOUNTED)}
    if os.path.isdir("/proc/self") and stat(pid) is None:
        return "a process that has ended"
    for _ in range(_GENERATIONS):
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:  # another account's
            variables = []
        for one in variables:
            if (found := names.get(one[: one.find(b"=") + 1])) and one not in ours:  # where we run within one, too
                return found
        fields = stat(pid)
        if fields is None or int(fields[1]) <= 1:
            return ""
        pid = int(fields[1])
    return ""
