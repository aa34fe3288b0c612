"""Places where a test can kill a process, by name: `AGENTOS_FAULT=shim:claimed`.

`zygote:received`, then in the shim `shim:forked`, `shim:locked` (it holds its attempt's lock), `shim:claimed` (nobody
else can decide the attempt's fate), `shim:executed` (the command runs), `shim:ended` (all its processes are gone) and
`shim:result-written`. Who imports this may pass other points through `fault`; they are listed where they stand.
`AGENTOS_FAULT=shim:claimed@FILE` kills the first process alone that comes there: the one that makes the file.
"""

from __future__ import annotations

import os
import signal

_POINT, _, _ONCE = os.environ.get("AGENTOS_FAULT", "").partition("@")


def fault(point: str) -> None:
    """Kills this process with SIGKILL if it was told to die here."""
    if point == _POINT and (not _ONCE or _first()):
        os.kill(os.getpid(), signal.SIGKILL)


def _first() -> bool:
    try:
        os.close(os.open(_ONCE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
