"""What is sealed opens with its key, for its use, at its place, and nowhere else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from agentos.errors import Failed
from agentos.sealing import KEY, Sealer, Unreadable


def test_a_text_comes_back_and_stands_nowhere_in_clear(tmp_path: Path) -> None:
    sealer = Sealer(tmp_path, "runs")
    kept = sealer.text("zhang.san@example.com, 你好, \udcff", "row 1")
    assert "zhang" not in kept and sealer.plain(kept, "row 1") == "zhang.san@example.com, 你好, \udcff"
    assert Sealer(tmp_path, "runs").plain(kept, "row 1").startswith("zhang")
    assert sealer.text("a", "row 1") != sealer.text("a", "row 1"), "a nonce is used once"
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600


def test_it_opens_for_its_own_use_and_at_its_own_place_alone(tmp_path: Path) -> None:
    sealed = Sealer(tmp_path, "runs").seal(b"secret", "row 1")
    for use, place in (("runs", "row 2"), ("jobs", "row 1")):
        with pytest.raises(Failed, match=f"stored for {use} does not open"):
            Sealer(tmp_path, use).open(sealed, place)
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for other in (changed, sealed[:20], b""):
        with pytest.raises(Failed, match="does not open"):
            Sealer(tmp_path, "runs").open(other, "row 1")


def test_another_key_opens_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    kept = Sealer(tmp_path, "jobs").text("make", "1")
    right = (tmp_path / KEY).read_bytes()
    running = Sealer(tmp_path, "jobs")
    assert running.plain(kept, "1") == "make"
    (tmp_path / KEY).unlink()
    for again in (Sealer(tmp_path, "jobs"), Sealer(tmp_path, "another use")):
        with pytest.raises(Failed, match=r"is missing.*Put the right one back"):
            again.plain(kept, "1")
        with pytest.raises(Failed, match=r"is missing.*Put the right one back"):
            again.text("new", "2")
    assert not (tmp_path / KEY).exists(), "a new key would only hide that the old one is gone"
    assert running.plain(kept, "1") == "make", "what runs reads on"
    with pytest.raises(Failed, match="is missing"):
        running.text("new", "2")  # but writes nothing that could not be read after the next start
    (tmp_path / KEY).touch(0o600)
    (tmp_path / KEY).write_bytes(bytes(32))
    with pytest.raises(Failed, match="holds another key than before"):
        Sealer(tmp_path, "jobs").plain(kept, "1")
    (tmp_path / KEY).write_bytes(right)
    assert Sealer(tmp_path, "jobs").plain(kept, "1") == "make"


def test_who_gives_up_what_was_sealed_begins_with_a_new_key(tmp_path: Path) -> None:
    kept = Sealer(tmp_path, "jobs").text("make", "1")
    (tmp_path / KEY).unlink()
    (tmp_path / f"{KEY}.id").unlink()
    after = Sealer(tmp_path, "jobs")
    assert after.plain(after.text("new", "2"), "2") == "new"
    with pytest.raises(Unreadable):
        after.plain(kept, "1")


def test_what_was_kept_before_anything_was_sealed_is_read_as_it_is(tmp_path: Path) -> None:
    assert Sealer(tmp_path, "jobs").plain("make all", "1") == "make all"
    assert not (tmp_path / KEY).exists(), "no key is made to read what needs none"


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    Sealer(tmp_path, "runs").seal(b"x", "")
    (tmp_path / KEY).chmod(0o644)
    with pytest.raises(Failed, match="chmod 600"):
        Sealer(tmp_path, "runs").seal(b"x", "")
