"""Keys in the system's keyring (Secret Service, KWallet, macOS, Windows), by the package `keyring`, where it is there.

The key file then holds no key but which entry of the keyring has it: who copies the home has nothing to open it with.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from importlib import import_module
from typing import Any

from agentos.errors import Failed, UserError

SERVICE = "agentos"
_MARK = b"keyring:"
_MEND = "Unlock the keyring, or run where the desktop's session does (a service needs DBUS_SESSION_BUS_ADDRESS)"


def lacking() -> str:
    """Why no keyring can be used here; empty where one can."""
    try:
        keyring, faults = _library()
    except ImportError:
        return "the package `keyring` is not installed (pip install 'llm-agentos[keyring]')"
    try:
        backend = keyring.get_keyring()
        priority = float(backend.priority)
    except (faults, RuntimeError) as error:
        return f"the keyring cannot be opened ({error})"
    return "" if priority >= 1 else f"there is no keyring that keeps secrets here ({type(backend).__module__})"


def keep(key: bytes) -> bytes:
    """Puts a key into an entry of its own; gives what the key file holds of it.

    Raises:
        UserError: no keyring can be used.
        Failed: the keyring refuses.
    """
    if why := lacking():
        raise UserError(f"{why}; nothing was stored. Set AGENTOS_KEY_STORE=file, or mend that.")
    account = secrets.token_hex(16)
    _ask("set_password", account, base64.b64encode(key).decode())
    if fetch(said := _MARK + account.encode()) != key:
        raise Failed(f"the keyring does not give back what was put into it; nothing was stored. {_MEND}.")
    return said


def points(data: bytes) -> bool:
    """Whether a key file's content says that the keyring has the key."""
    return data.startswith(_MARK)


def fetch(said: bytes) -> bytes:
    """The key that a key file's content names.

    Raises:
        Failed: the keyring is locked or not there, or has no such entry.
    """
    if why := lacking():
        raise Failed(f"the key is in the system's keyring, and {why}; nothing was changed. {_MEND}.")
    found = _ask("get_password", account := _account(said))
    if found is None:
        raise Failed(f"the system's keyring has no entry {SERVICE}/{account}; nothing was changed. {_MEND}.")
    try:
        return base64.b64decode(found, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Failed(f"the keyring's entry {SERVICE}/{account} holds no key; put it back from a copy") from error


def forget(said: bytes) -> None:
    """Takes an entry out of the keyring; one that is gone already is no error.

    Raises:
        Failed: the keyring refuses.
    """
    if not lacking() and _ask("get_password", account := _account(said)) is not None:
        _ask("delete_password", account)


def _account(said: bytes) -> str:
    return said.removeprefix(_MARK).strip().decode("ascii", "replace")


def _library() -> tuple[Any, type[Exception]]:
    return import_module("keyring"), import_module("keyring.errors").KeyringError


def _ask(what: str, *words: str) -> Any:
    keyring, faults = _library()
    try:
        return getattr(keyring, what)(SERVICE, *words)
    except (faults, RuntimeError) as error:
        raise Failed(f"the system's keyring refuses ({error}); nothing was changed. {_MEND}.") from error
