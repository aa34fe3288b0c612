"""Reading logs: by absolute offset over rotated files, from the end, and as text that does no harm."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from agentos.jobs.executor import Tail

_BLOCK = 1 << 16
_MOST = 4 << 20
"""Bytes that a tail gives at most: a line can be as long as the log."""

_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\|\Z)|[ -/]*[0-OQ-WYZ\\`-~])|\x9b[0-?]*[ -/]*[@-~]", re.DOTALL
)
_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\n])")
_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_UNFINISHED = re.compile(rb"(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)|\r)\Z")
_UNFINISHED_MOST = 256


class _File:
    """One open file of a log: where it begins and ends, as absolute offsets."""

    def __init__(self, fd: int, start: int) -> None:
        self.fd = fd
        self.start = start
        self.end = start + os.fstat(fd).st_size

    def read(self, offset: int, limit: int) -> bytes:
        return os.pread(self.fd, min(limit, self.end - offset), offset - self.start)


def _numbers(folder: Path) -> list[int]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(int(name[4:]) for name in names if name.startswith("log.") and name[4:].isdigit())


@contextmanager
def _files(folder: Path) -> Iterator[list[_File]]:
    """The files of a log, oldest first, all of one moment: while it is rotated they are opened anew."""
    while True:
        with ExitStack() as stack:
            files: list[_File] = []
            numbers = _numbers(folder)
            for number in [*numbers, 0]:
                try:
                    fd = os.open(folder / (f"log.{number}" if number else "log"), os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError:
                    continue
                stack.callback(os.close, fd)
                size = os.fstat(files[0].fd if files else fd).st_size
                files.append(_File(fd, ((number or (numbers[-1] + 1 if numbers else 1)) - 1) * size))
            if _numbers(folder) == numbers:
                yield files
                return


def read(folder: Path, offset: int, limit: int) -> bytes:
    """Output from that absolute offset on, or from the oldest byte kept where that one is gone; empty: no more."""
    found = b""
    with _files(folder) as files:
        for file in files:
            offset = max(offset, file.start)
            if offset < file.end and len(found) < limit:
                found += file.read(offset, limit - len(found))
                offset = file.end
    return found


def tail(folder: Path, lines: int) -> Tail:
    """The last lines, without reading what is before them."""
    with _files(folder) as files:
        if not files:
            return Tail(b"", 0, 0)
        data, start = b"", files[-1].end
        for file in reversed(files):
            while start > file.start and len(data) < _MOST:
                size = min(_BLOCK, start - file.start)
                data = file.read(start - size, size) + data
                start -= size
                # The last line's own end does not begin another.
                if data.count(b"\n", 0, len(data) - 1) >= lines:
                    break
        return _cut(data, start, lines, files[0].start)


def _cut(data: bytes, start: int, lines: int, kept: int) -> Tail:
    at = len(data) - 1
    for _ in range(lines):
        at = data.rfind(b"\n", 0, max(at, 0))
        if at < 0:
            break
    first = at + 1 if lines > 0 else len(data)
    return Tail(data[first:], start + first, kept)


def complete(data: bytes) -> int:
    """How much of that output can be shown now: the rest begins a character or a control sequence not yet all there."""
    found = _UNFINISHED.search(data, max(0, len(data) - _UNFINISHED_MOST))
    if found is not None:
        return found.start()
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needs = 2 if byte >> 5 == 6 else 3 if byte >> 4 == 14 else 4 if byte >> 3 == 30 else 1
        return len(data) - back if needs > back else len(data)
    return len(data)


def printable(data: bytes) -> str:
    """Output as text for a terminal or a page: what is no text is replaced, and nothing commands the reader's screen.

    Colours and other control sequences are left out, a line that overwrote itself shows its last state, and other
    control characters and changes of direction are shown by their code.
    """
    text = _ESCAPE.sub("", data.decode("utf-8", "replace")).replace("\r\n", "\n")
    text = _OVERWRITTEN.sub("", text).replace("\r", "")
    return _HARMFUL.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)
