"""What a key is for, at the doors that are no syscalls; and who sits at the other end of the socket."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.requests import HTTPConnection

from agentos.errors import DeniedError
from agentos.jobs.identity import stat
from agentos.jobs.tree import MARK
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

    A process of the same account that hides where it comes from is not found out: the account is trusted as a whole.

    Raises:
        DeniedError: it comes from within a job.
    """
    pid = request.scope.get("agentos.pid")
    if isinstance(pid, int) and pid > 0 and inside_job(pid):
        raise DeniedError("this comes from within a job, and a person decides it; nothing was changed")


def inside_job(pid: int) -> bool:
    """Whether a process or one that it descends from belongs to a job; False where the platform does not say."""
    ours = os.environ.get(MARK)  # where the system itself runs within a job
    for _ in range(_GENERATIONS):
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:  # another account's
            variables = []
        marks = [one.partition(b"=")[2].decode("utf-8", "replace") for one in variables
                 if one.startswith(f"{MARK}=".encode())]
        if any(mark != ours for mark in marks):
            return True
        fields = stat(pid)
        if fields is None or int(fields[1]) <= 1:
            return False
        pid = int(fields[1])
    return False
