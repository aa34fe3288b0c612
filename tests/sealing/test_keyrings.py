"""The key is in the system's keyring where the setting says so: the home alone opens nothing then."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agentos.config import Settings
from agentos.errors import Failed, UserError
from agentos.sealing import KEY, Sealer
from agentos.sealing.rotation import opened, rotate

LIBRARY = '''
import json, pathlib

FILE, PRIORITY = pathlib.Path({file!r}), {priority}

class Backend:
    priority = PRIORITY

def get_keyring():
    return Backend()

def _all():
    return json.loads(FILE.read_text()) if FILE.exists() else {{}}

def get_password(service, name):
    if (FILE.parent / "locked").exists():
        from keyring.errors import KeyringError
        raise KeyringError("locked")
    return _all().get(service + "/" + name)

def set_password(service, name, said):
    FILE.write_text(json.dumps(_all() | {{service + "/" + name: said}}))

def delete_password(service, name):
    FILE.write_text(json.dumps({{key: said for key, said in _all().items() if key != service + "/" + name}}))
'''


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts in the place of the package `keyring` one that keeps entries in a file."""
    def put(priority: float = 5.0) -> Path:
        folder = tmp_path / "site" / "keyring"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text(LIBRARY.format(file=str(tmp_path / "entries"), priority=priority))
        (folder / "errors.py").write_text("class KeyringError(Exception):\n    pass\n")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        for name in ("keyring", "keyring.errors"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        return tmp_path / "entries"

    yield put
    for name in ("keyring", "keyring.errors"):
        sys.modules.pop(name, None)


def settings(home: Path, store: str) -> Settings:
    return Settings(home=home, cache=home / "cache", key_store=store)


@pytest.mark.parametrize("store", ["keyring", "auto"])
def test_a_new_home_has_its_key_in_the_keyring(tmp_path: Path, install, store: str) -> None:
    entries, home = install(), tmp_path / "home"
    opened(settings(home, store)).close()
    kept = Sealer(home, "jobs").text("make", "1")
    assert (home / KEY).read_bytes().startswith(b"keyring:") and entries.read_text().count("agentos/") == 1
    assert Sealer(home, "jobs").plain(kept, "1") == "make"
    (tmp_path / "locked").touch()
    with pytest.raises(Failed, match=r"keyring refuses \(locked\).*Unlock the keyring"):
        Sealer(home, "jobs").plain(kept, "1")
    (tmp_path / "locked").unlink()
    entries.unlink()
    with pytest.raises(Failed, match="has no entry agentos/"):
        Sealer(home, "jobs").plain(kept, "1")


def test_a_change_of_the_key_moves_it_to_the_keyring_and_back_and_leaves_no_old_one(tmp_path: Path, install) -> None:
    entries, home = install(), tmp_path / "home"
    opened(settings(home, "file")).close()
    (home / "history").write_text("+" + Sealer(home, "history").text("said", "line") + "\n")
    assert len(raw := (home / KEY).read_bytes()) == 32
    for store, where in (("keyring", 1), ("keyring", 1), ("file", 0)):
        made = rotate(settings(home, store))
        assert (made.store, made.values) == (store, 1)
        assert entries.read_text().count("agentos/") == where and (home / KEY).read_bytes() != raw
        (line,) = (home / "history").read_text().split()
        assert Sealer(home, "history").plain(line[1:], "line") == "said"


def test_where_no_keyring_keeps_secrets_that_is_told_and_auto_takes_the_file(tmp_path: Path, install) -> None:
    install(priority=0.0)
    with pytest.raises(UserError, match="no keyring that keeps secrets here.*AGENTOS_KEY_STORE=file"):
        opened(settings(tmp_path / "one", "keyring"))
    opened(settings(tmp_path / "two", "auto")).close()
    assert len((tmp_path / "two" / KEY).read_bytes()) == 32


def test_a_start_without_the_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(UserError, match=r"`keyring` is not installed \(pip install"):
        opened(settings(tmp_path / "home", "keyring"))
    assert not (tmp_path / "home" / KEY).exists()
