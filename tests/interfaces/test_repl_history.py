"""The prompt's history is there the next time, and in clear nowhere."""

from __future__ import annotations

import stat
from pathlib import Path

from prompt_toolkit.history import FileHistory, InMemoryHistory

from agentos.config import Settings
from agentos.interfaces.repl_history import SealedHistory, history
from agentos.sealing import KEY


def test_lines_come_back_newest_first_and_stand_in_clear_nowhere(tmp_path: Path) -> None:
    kept = history(Settings(home=tmp_path))
    for line in ("load zeta", "写信给 zhang.san@example.com\n第二行"):
        kept.append_string(line)
    file = tmp_path / "history"
    assert b"zeta" not in file.read_bytes() and "写信".encode() not in file.read_bytes()
    again = history(Settings(home=tmp_path))
    assert list(again.load_history_strings()) == ["写信给 zhang.san@example.com\n第二行", "load zeta"]


def test_a_history_that_was_kept_in_clear_is_sealed_when_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "history"
    before = FileHistory(str(file))
    for line in ("load zeta", "unload eta"):
        before.store_string(line)
    assert list(SealedHistory(file).load_history_strings()) == ["unload eta", "load zeta"]
    assert b"zeta" not in file.read_bytes() and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(SealedHistory(file).load_history_strings()) == ["unload eta", "load zeta"]


def test_without_its_key_the_prompt_has_no_history_and_no_trouble(tmp_path: Path) -> None:
    SealedHistory(tmp_path / "history").store_string("load zeta")
    key = (tmp_path / KEY).read_bytes()
    (tmp_path / KEY).unlink()
    FileHistory(str(tmp_path / "history")).store_string("in clear")
    assert list(SealedHistory(tmp_path / "history").load_history_strings()) == ["in clear"]
    (tmp_path / KEY).touch(0o600)
    (tmp_path / KEY).write_bytes(key)
    assert list(SealedHistory(tmp_path / "history").load_history_strings()) == ["in clear", "load zeta"]


def test_lines_in_clear_stay_where_they_cannot_be_sealed(tmp_path: Path) -> None:
    file = tmp_path / "history"
    SealedHistory(file).store_string("load zeta")
    (tmp_path / KEY).unlink()
    file.unlink()
    FileHistory(str(file)).store_string("in clear")
    for _ in range(2):
        assert list(SealedHistory(file).load_history_strings()) == ["in clear"]


def test_where_nothing_can_be_written_it_lasts_as_long_as_the_prompt(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert isinstance(history(Settings(home=tmp_path / "file" / "home")), InMemoryHistory)
