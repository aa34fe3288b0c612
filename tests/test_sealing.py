"""What is sealed opens with its key, for its use, at its place, and nowhere else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from agentos.errors import Failed
from agentos.sealing import KEY, Sealer


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
    sealer = Sealer(tmp_path, "jobs")
    (tmp_path / KEY).unlink()
    with pytest.raises(Failed, match=r"is missing.*Put it back"):
        sealer.plain(kept, "1")
    assert not (tmp_path / KEY).exists(), "a new key would only hide that the old one is gone"
    other = Sealer(tmp_path, "jobs").text("new", "2")
    with pytest.raises(Failed, match="Put the right key file back"):
        sealer.plain(kept, "1")
    assert sealer.plain(other, "2") == "new"
    (tmp_path / KEY).write_bytes(right)
    assert sealer.plain(kept, "1") == "make"


def test_what_was_kept_before_anything_was_sealed_is_read_as_it_is(tmp_path: Path) -> None:
    assert Sealer(tmp_path, "jobs").plain("make all", "1") == "make all"
    assert not (tmp_path / KEY).exists(), "no key is made to read what needs none"


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    Sealer(tmp_path, "runs").seal(b"x", "")
    (tmp_path / KEY).chmod(0o644)
    with pytest.raises(Failed, match="chmod 600"):
        Sealer(tmp_path, "runs").seal(b"x", "")
