"""Checks of a home: who can open it, whether the system answers, its lock, key, database, rules, trail and kernel."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentos import __version__
from agentos.config import Settings
from agentos.errors import AgentosError
from agentos.interfaces.client import Client
from agentos.interfaces.doctor import Check, Fault
from agentos.interfaces.place import answers

_PATIENCE = 3.0
_AHEAD = 120.0
"""Seconds that a time in the database may be ahead of the clock."""
_PRIVATE = ("agentos.db", "secrets.key", "secrets.key.id", "history", "audit", "logs", "jobs")


def home(settings: Settings) -> str | Fault:
    """Whose it is and who else can open it."""
    folder = settings.home
    if folder.exists():
        return _wrong(folder) or f"{folder}, its owner's alone"
    above = next(one for one in folder.parents if one.exists())
    if os.access(above, os.W_OK):
        return f"{folder} is made at the first start"
    return Fault(f"{folder} is not there and cannot be made in {above}", "set AGENTOS_HOME to a folder of yours")


def _wrong(folder: Path) -> Fault | None:
    if not folder.is_dir():
        return Fault(f"{folder} is no folder", "move it away, or set AGENTOS_HOME to another folder")
    if folder.stat().st_uid not in (os.getuid(), 0):
        return Fault(f"{folder} is another account's", "set AGENTOS_HOME to a folder of yours")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Fault(f"{folder} cannot be written", f"chmod u+rwx {folder}")
    there = [folder, *(folder / name for name in _PRIVATE if (folder / name).exists())]
    strange = [path for path in there if path.lstat().st_uid not in (os.getuid(), 0)]
    if strange:
        return Fault(f"{strange[0]} is another account's", f"chown -R {os.getuid()} {folder}")
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        opened = [path for path in there if stat.S_IMODE(path.stat().st_mode) & 0o077]
        return Fault(f"others can open {', '.join(map(str, opened))}", f"chmod -R go= {folder}", "warn")
    return None


def system(settings: Settings) -> str | Fault:
    """Whether it answers, and how it does."""
    where = settings.url or str(settings.socket)
    if not settings.url and not answers(settings.socket):
        if _held(settings.home / "agentos.lock"):
            return Fault(
                f"process {_pid(settings)} holds {settings.home} and does not listen on {where}",
                f"wait if it has just been started; else kill {_pid(settings)}, and see {settings.logs}",
            )
        return "no system runs; any request starts one"
    said = _status(settings)
    if isinstance(said, str):
        return Fault(f"{where} does not answer: {said}", f"see {settings.logs}; agentos stop, and start it again")
    if said.get("boot_error"):
        return Fault(f"it could not start: {said['boot_error']}", f"see the message and {settings.logs}")
    if said.get("version") != __version__:
        return Fault(
            f"{said.get('version')} runs, and {__version__} is installed", "agentos stop; the next request starts it",
            "warn",
        )
    return f"process {said.get('pid')} answers, {'ready' if said.get('ready') else said.get('boot')}"


def _status(settings: Settings) -> dict[str, Any] | str:
    """The status, or why there is none; a system that hangs is waited for no longer than a few seconds."""
    found: list[dict[str, Any] | str] = [f"not within {_PATIENCE:.0f} s"]

    def ask() -> None:
        try:
            found.append(Client(settings, autostart=False).status())
        except AgentosError as error:
            found.append(str(error))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    return found[-1]


def lock(settings: Settings) -> str | Fault:
    """The lock that a system holds as long as it lives."""
    path = settings.home / "agentos.lock"
    if not path.exists() or not _pid(settings):
        return "nobody holds the home"
    if _held(path):
        return f"process {_pid(settings)} holds the home"
    if settings.socket.exists():
        return Fault(
            f"process {_pid(settings)} ended without letting go; its lock and socket are left",
            "nothing: the next start takes both", "warn",
        )
    return f"left by process {_pid(settings)}, which is gone; the next start takes it"


def _pid(settings: Settings) -> str:
    try:
        return (settings.home / "agentos.lock").read_text("ascii", "replace").strip()
    except OSError:
        return ""


def _held(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def key(settings: Settings) -> str | Fault:
    """The key of what lies sealed, and its mark."""
    from agentos.errors import Failed
    from agentos.sealing import KEY, KeyFile, mark_of

    path = settings.home / KEY
    mark = path.with_name(f"{KEY}.id")
    back = f"put {path} back from a copy; without it what was sealed cannot be opened"
    try:
        found = KeyFile(path).read()
    except Failed as error:
        narrow = path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
        return Fault(str(error), f"chmod 600 {path}" if narrow else back)
    if found is None:
        return Fault(f"{path} is missing, and its mark is there", back) if mark.exists() else "made at the first start"
    if not mark.exists():
        return f"{path}, without a mark; the next start makes that"
    if mark_of(found) not in mark.read_bytes().split():
        return Fault(f"{path} holds another key than before", back)
    if path.with_name(f"{KEY}.next").exists():
        return Fault("a change of the key was begun", "nothing: the next start goes on with it", "warn")
    return f"{path}, its owner's alone; a copy of it belongs with every backup"


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    """Reads a database without making a file beside it: one that nobody has open is read as it lies there."""
    how = "mode=ro" if database.with_name(f"{database.name}-wal").exists() else "immutable=1"
    db = sqlite3.connect(f"{database.absolute().as_uri()}?{how}", uri=True, isolation_level=None, timeout=10)
    try:
        yield db
    finally:
        db.close()


def database(settings: Settings) -> str | Fault:
    """Whether the database is whole."""
    path = settings.database
    if not path.exists():
        return "made at the first start"
    mend = f"agentos stop; put {path} back from a backup, or move it away to begin anew"
    try:
        with _opened(path) as db:
            said = [str(row[0]) for row in db.execute("pragma quick_check(3)")]
    except sqlite3.Error as error:
        return Fault(f"{path} cannot be read: {error}", mend)
    if said != ["ok"]:
        return Fault(f"{path} is damaged: {'; '.join(said)}", mend)
    return f"{path} is whole ({path.stat().st_size >> 10} KiB)"


def audit(settings: Settings) -> str | Fault:
    """Whether the trail is what was written."""
    from agentos.policy.heads import FILE, FOLDER, own_key
    from agentos.policy.verifying import verify

    folder = settings.home / FOLDER
    if not settings.database.exists():
        if (folder / FILE).exists():
            return Fault("the database is missing, and there are signed heads of its trail", "put the database back")
        return "begins with the first call"
    try:
        with _opened(settings.database) as db:
            found = verify(db, folder, own_key(folder))
    except sqlite3.Error as error:
        return Fault(f"cannot be read: {error}", "see the check `database`")
    if not found.ok:
        return Fault(f"not right from row {found.first_bad} on: {found.reason}", "agentos audit verify; keep the home")
    return f"{found.rows} rows are what was written"


def clock(settings: Settings) -> str | Fault:
    """Whether the clock has gone back since something was written: leases and times of jobs go by it."""
    if not settings.database.exists():
        return "nothing to hold it against yet"
    try:
        with _opened(settings.database) as db:
            tables = {row[0] for row in db.execute("select name from sqlite_master where type = 'table'")}
            newest = [db.execute(f"select max({column}) from {table}").fetchone()[0]
                      for table, column in (("audit", "time"), ("jobs", "submitted"), ("runs", "started"))
                      if table in tables]
    except sqlite3.Error as error:
        return Fault(f"cannot be read: {error}", "see the check `database`")
    ahead = max((float(one) for one in newest if one is not None), default=0.0) - time.time()
    if ahead > _AHEAD:
        return Fault(
            f"the clock is {ahead:.0f} s behind what was written last: it was set back, and times of jobs are late",
            "set the clock (timedatectl set-ntp true)", "warn",
        )
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')}, after all that was written"


def policies(settings: Settings) -> str | Fault:
    """Whether the owner's rules fit the package's."""
    from agentos.policy import outgoing
    from agentos.policy.monitor import Monitor
    from agentos.policy.rules import RulesError
    from agentos.registry import installed

    folder = settings.home / "policies"
    try:
        rules = Monitor(installed(), lambda user: None, extra=folder).rules.rules
        over = outgoing.compiled(folder)
    except RulesError as error:
        return Fault("; ".join(str(fault) for fault in error.faults), "agentos policy check, and mend what it names")
    except AgentosError as error:
        return Fault(str(error), f"mend the file in {folder} that it names")
    return f"{len(rules)} rules over calls, {len(over)} over replies"


def kernel(settings: Settings) -> str | Fault:
    """Whether the kernel's model is there and what it was."""
    name = settings.kernel_model
    if name.startswith("litellm:") or settings.kernel_engine in ("litellm", "scripted"):
        return f"{name} plans by {settings.kernel_engine if settings.kernel_engine != 'auto' else 'litellm'}"
    from agentos.models.catalog import catalog
    from agentos.models.fetch import digest
    from agentos.models.shelf import read_manifest

    entry = catalog().get(name)
    folders = [settings.models / name.replace("/", "--")]
    folders += [settings.cache / "models" / entry.sha256] if entry and entry.sha256 else []
    stored = next((found for folder in folders if (found := read_manifest(folder)) is not None), None)
    if stored is None:
        missing = f"{name} is not stored yet"
        if settings.offline:
            return Fault(f"{missing}, and `offline` is on", "AGENTOS_OFFLINE=0 agentos, once, with a network")
        return Fault(missing, "nothing: the first start fetches it", "warn")
    for file, sha256 in stored.weights.items():
        path = stored.path / file
        if not path.is_file() or digest(path) != sha256:
            mend = f"agentos stop; rm -r {stored.path}; the next start fetches it"
            return Fault(f"{path} is not what was stored", mend)
    return f"{name} in {stored.path}, its hash is right"


CHECKS: dict[str, Check] = {
    "home": home, "system": system, "lock": lock, "key": key, "database": database, "policies": policies,
    "audit": audit, "clock": clock, "kernel": kernel,
}
