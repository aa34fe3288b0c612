"""Where the system lives: its folder, its lock and its socket, each open to the owner alone."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from agentos.config import Settings
from agentos.errors import Failed


def own_folder(folder: Path) -> None:
    """Makes a folder that only this account can open, or narrows the one that is there.

    Raises:
        Failed: another account owns it, or the disk refuses; nothing was changed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_folder(folder)
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise Failed(f"cannot use the folder {str(folder)!r}: {error}. Set AGENTOS_HOME to a writable one.") from error


def check_folder(folder: Path) -> None:
    """Makes sure that a folder is this account's own: who controls it could answer in the system's place.

    Raises:
        Failed: it is a link or another account's.
    """
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode) and folder.stat().st_uid == os.getuid():
        found = folder.stat()
    if found.st_uid not in (os.getuid(), 0) or not stat.S_ISDIR(found.st_mode):
        raise Failed(f"{str(folder)!r} is another account's; nothing was done. Set AGENTOS_HOME to a folder of yours.")


def answers(path: Path) -> bool:
    """Whether a system listens on the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def lock(path: Path) -> IO[str] | None:
    """Takes a lock that ends with this process, however it ends; None where another holds it."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


@contextmanager
def only_system(settings: Settings, patience: float = 2.0) -> Iterator[None]:
    """Holds the home for one system.

    Args:
        settings: Whose home.
        patience: Seconds to wait for one that is ending.

    Raises:
        Failed: another system runs on this home; it was left alone.
    """
    path = settings.home / "agentos.lock"
    until = time.monotonic() + patience
    while (held := lock(path)) is None:
        if time.monotonic() > until or answers(settings.socket):
            pid = path.read_text("ascii", "replace").strip() or "unknown"
            raise Failed(
                f"a system already runs on {str(settings.home)!r} (process {pid}); it was left alone."
                " End it with `agentos stop`, or set AGENTOS_HOME to another folder."
            )
        time.sleep(0.05)
    with held:
        held.truncate(0)
        held.write(f"{os.getpid()}\n")
        held.flush()
        yield
        held.seek(0)
        held.truncate(0)


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A Unix socket that only this account can open, in the place of a dead system's; gone again afterwards.

    Call it with the home's lock held.
    """
    own_folder(path.parent)
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        server.bind(str(path))
    except OSError as error:
        server.close()
        raise Failed(f"cannot listen on {str(path)!r}: {error}") from error
    finally:
        os.umask(before)
    try:
        server.listen(128)
        yield server
    finally:
        server.close()
        path.unlink(missing_ok=True)
