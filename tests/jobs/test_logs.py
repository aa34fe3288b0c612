"""Logs: written with rotation, read by offset and from the end, shown without harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentos.jobs import logs
from agentos.jobs.pump import Pump


def test_no_log_is_an_empty_one(tmp_path: Path) -> None:
    assert logs.read(tmp_path, 0, 10) == b""
    assert logs.tail(tmp_path, 10).data == b""
    assert logs.read(tmp_path / "missing", 0, 10) == b""


def test_a_log_keeps_its_newest_files_all_of_one_size(tmp_path: Path) -> None:
    pump = Pump(str(tmp_path), size=10, count=3)
    for at in range(9):
        pump.write(b"%d123456\n" % at)
    whole = b"".join(b"%d123456\n" % at for at in range(9))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {
        "log.6": whole[50:60], "log.7": whole[60:70], "log": whole[70:],
    }


@pytest.mark.parametrize("size", [1, 7, 10, 64, 1000])
def test_every_offset_is_found_over_rotated_files(tmp_path: Path, size: int) -> None:
    whole = bytes(range(256)) * 2
    pump = Pump(str(tmp_path), size=size, count=4)
    for at in range(0, len(whole), 13):
        pump.write(whole[at : at + 13])
    kept = logs.tail(tmp_path, 1).kept
    assert len(whole) - kept <= 4 * size and (kept == 0 or len(whole) - kept > 3 * size - 1)
    for offset in range(0, len(whole) + 2):
        first = max(offset, kept)
        assert logs.read(tmp_path, offset, 50) == whole[first : first + 50]


@pytest.mark.parametrize("size", [3, 8, 100_000])
@pytest.mark.parametrize("lines", [0, 1, 2, 5, 100])
@pytest.mark.parametrize(
    "text", [b"", b"a", b"a\n", b"one\ntwo\nthree", b"one\ntwo\nthree\n", b"\n\n\n", b"x" * 40 + b"\ny\n"]
)
def test_the_last_lines_are_the_last_lines(tmp_path: Path, text: bytes, lines: int, size: int) -> None:
    Pump(str(tmp_path), size=size, count=100).write(text)
    tail = logs.tail(tmp_path, lines)
    expected = b"".join(text.splitlines(keepends=True)[-lines:]) if lines else b""
    assert tail.data == expected
    assert tail.start == len(text) - len(expected)


def test_a_long_log_is_not_read_whole_for_its_end(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"line\n" * 10 + b"x" * (9 << 20))
    tail = logs.tail(tmp_path, 2)
    assert len(tail.data) < 5 << 20
    assert tail.start + len(tail.data) == 50 + (9 << 20)


def test_a_log_that_goes_on_is_followed_by_offset(tmp_path: Path) -> None:
    pump = Pump(str(tmp_path), size=8, count=3)
    seen = b""
    for word in (b"one\n", b"two and more\n", b"", b"three\n"):
        pump.write(word)
        while more := logs.read(tmp_path, len(seen), 5):
            seen += more
    assert seen == b"one\ntwo and more\nthree\n"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\ttext\n", "plain\ttext\n"),
        ("中文 ü 👩‍👩‍👧".encode(), "中文 ü 👩‍👩‍👧"),
        (b"\xff\xfe\x00", "\ufffd\ufffd<U+0000>"),
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07after", "after"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1bPq#0\x1b\\x", "x"),
        (b"\x1bc\x1b(B\x1b7x", "x"),
        (b"10%\r50%\r100%\ndone\r\n", "100%\ndone\n"),
        (b"10%\r50%\r", "50%"),
        (b"a\x08\x07b\x7f", "a<U+0008><U+0007>b<U+007F>"),
        ("\u202eevil\u2066 \x9b31m\x85".encode(), "<U+202E>evil<U+2066> <U+0085>"),
        (b"\x1b", "<U+001B>"),
    ],
)
def test_output_is_shown_without_harm(data: bytes, text: str) -> None:
    assert logs.printable(data) == text


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"", 0), (b"all", 3), ("ü".encode(), 2), ("ü".encode()[:1], 0), (b"a" + "中".encode()[:2], 1),
        ("👧".encode()[:3], 0), ("👧".encode(), 4), (b"a\x1b", 1), (b"a\x1b[3", 1), (b"a\x1b[31m", 6), (b"50%\r", 3),
        (b"a\xff", 2), (b"a\x80\x80\x80\x80\x80", 6), (b"\x1b]0;title", 0),
    ],
)
def test_what_is_not_yet_all_there_waits(data: bytes, shown: int) -> None:
    assert logs.complete(data) == shown
