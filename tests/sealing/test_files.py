"""A sealed file opens whole or in parts; whatever is done to it is found, and nothing of it stands in clear."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

import pytest

from agentos.errors import Failed
from agentos.sealing import KEY
from agentos.sealing.files import CHUNK, Vault, is_sealed, length, opened, size_of

BOX = CHUNK + 16
"""Bytes of a sealed chunk."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def sealed(home: Path, data: bytes, name: str = "a") -> Path:
    (plain := home.parent / "plain").write_bytes(data)
    Vault(home).seal(plain, home / name)
    return home / name


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_it_comes_back_and_is_its_owners_alone(home: Path, size: int) -> None:
    data = os.urandom(size)
    path = sealed(home, data)
    assert is_sealed(path) and size_of(path) == size and path.stat().st_size == length(size)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    Vault(home).open(path, home / "back")
    assert (home / "back").read_bytes() == data and stat.S_IMODE((home / "back").stat().st_mode) == 0o600
    with opened(path) as stream:
        assert stream.read() == data
    assert sorted(item.name for item in home.iterdir()) == sorted(["a", "back", KEY, f"{KEY}.id"])


def test_it_is_read_from_anywhere(home: Path) -> None:
    data, rng = os.urandom(3 * CHUNK + 100), random.Random(1)
    with opened(sealed(home, data)) as stream:
        for _ in range(40):
            at, size = rng.randrange(len(data) + 10), rng.randrange(2 * CHUNK)
            stream.seek(at)
            assert stream.read(size) == data[at : at + size]
        assert stream.seek(-5, os.SEEK_END) == len(data) - 5 and stream.read() == data[-5:]


def test_nothing_of_it_is_in_clear_and_the_same_is_sealed_differently(home: Path) -> None:
    one, two = sealed(home, b"private" * 1000, "one"), sealed(home, b"private" * 1000, "two")
    assert b"private" not in one.read_bytes() and one.read_bytes()[64:] != two.read_bytes()[64:]


@pytest.mark.parametrize("what", [
    "a bit of the header", "a bit of the id", "a bit of the size", "a bit of a chunk", "a bit of the end", "cut",
    "cut at a chunk", "longer", "chunks in another order", "a chunk twice", "a chunk of another file", "another home",
])
def test_whatever_is_done_to_it_is_found(home: Path, tmp_path: Path, what: str) -> None:
    path = sealed(home, os.urandom(3 * CHUNK))
    data = bytearray(path.read_bytes())
    first, second = slice(64, 64 + BOX), slice(64 + BOX, 64 + 2 * BOX)
    match what:
        case "a bit of the header":
            data[0] ^= 1
        case "a bit of the id":
            data[20] ^= 1
        case "a bit of the size":
            data[52] ^= 1
        case "a bit of a chunk":
            data[64 + BOX + 5] ^= 1
        case "a bit of the end":
            data[-1] ^= 1
        case "cut":
            del data[-1]
        case "cut at a chunk":
            del data[64 + 2 * BOX :]
            data[52:60] = (2 * CHUNK).to_bytes(8, "little")
        case "longer":
            data += data[first]
        case "chunks in another order":
            data[first], data[second] = data[second], data[first]
        case "a chunk twice":
            data[second] = data[first]
        case "a chunk of another file":
            data[second] = sealed(home, os.urandom(3 * CHUNK), "other").read_bytes()[second]
        case "another home":
            (tmp_path / "elsewhere").mkdir()
            home = tmp_path / "elsewhere"
            Vault(home).seal(tmp_path / "plain", home / "b")
    (home / "a").write_bytes(data)
    with pytest.raises(Failed, match="nothing was read|nothing more was read"):
        Vault(home).open(home / "a", home / "back")
    assert not (home / "back").exists() and not list(home.glob("*.part"))


def test_a_sealed_file_outside_of_a_home_is_told_and_one_in_clear_is_read_as_it_is(home: Path, tmp_path: Path) -> None:
    (tmp_path / "away").write_bytes(sealed(home, b"x").read_bytes())
    with pytest.raises(Failed, match="no folder above it"):
        opened(tmp_path / "away")
    (tmp_path / "plain").write_bytes(b"as it is")
    with opened(tmp_path / "plain") as stream:
        assert stream.read() == b"as it is"
