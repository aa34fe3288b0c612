"""Files that are sealed as a whole: AES-256-GCM (NIST SP 800-38D) by chunks of 1 MiB, each readable by itself.

A file begins with 64 bytes: what it is, a random id, the size of a chunk and of what is sealed. Its key is derived from
the home's and that id (HKDF, RFC 5869), so no two files share one, and a chunk's number is its nonce. The header and
the number are authenticated with each chunk: one that was changed, moved, left out or brought from another file does
not open, and neither does a file that was cut. Where a chunk is read by itself, so is it checked by itself.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agentos.errors import Failed
from agentos.sealing import KEY, KeyFile, Unreadable, derived, sync

CHUNK = 1 << 20
"""Bytes of a chunk before it is sealed."""
_MAGIC = b"agentos sealed 1"
_HEADER = struct.Struct("<16s32sIQ4x")
_TAG = 16
Told = Callable[[int], None]
"""Told of bytes as they are done."""


class Vault:
    """Seals and opens files with a home's key."""

    def __init__(self, home: Path) -> None:
        """Of a home; its key is made with the first file, if need be."""
        self._file = KeyFile(home / KEY, marked=True)

    def seal(self, source: Path, target: Path, told: Told = lambda size: None) -> None:
        """Writes a sealed copy, whole and on disk when this returns; the source stays.

        Raises:
            Failed: the key is missing or cannot be read, or the source changed meanwhile; there is no target.
            OSError: the disk refuses; there is no target.
        """
        with source.open("rb") as stream:
            sealed(stream, os.fstat(stream.fileno()).st_size, target, self._file.make(), told)

    def reading(self, path: Path) -> Reader:
        """A sealed file, to be read from anywhere.

        Raises:
            Failed: the key is missing or cannot be read.
            Unreadable: it is no sealed file, was cut, or is of another key.
            OSError: it cannot be read.
        """
        for key in self._file.opening():
            reader = Reader(path, path.open("rb", buffering=0), key)
            with suppress(Unreadable):
                reader.check()
                return reader
            reader.close()
        raise Unreadable(
            f"{path} does not open with the key file {self._file.path}, or was changed; nothing was read. Put the right"
            " key file back, or the file from a copy."
        )

    def open(self, path: Path, target: Path, told: Told = lambda size: None) -> None:
        """Writes what is sealed in clear into a new file of its owner's alone.

        Raises:
            Failed: as `reading`, or a chunk does not open; there is no target.
            OSError: the disk refuses; there is no target.
        """
        with self.reading(path) as reader, written(target) as out:
            for piece in reader.pieces():
                out.write(piece)
                told(len(piece))


class Reader(io.RawIOBase):
    """What a sealed file holds, in clear, in memory alone."""

    def __init__(self, path: Path, stream: io.FileIO, key: bytes) -> None:
        """Reads the header.

        Raises:
            Unreadable: it is none, or the file has not the length that it says.
        """
        super().__init__()
        self._path, self._stream = path, stream
        self._head = _exactly(stream, _HEADER.size, 0)
        try:
            magic, ident, self._chunk, self.size = _HEADER.unpack(self._head)
        except struct.error:
            magic, ident, self._chunk, self.size = b"", b"", 0, 0
        chunks = -(-self.size // self._chunk) if self._chunk else 0
        self._chunks = max(1, chunks)
        if magic != _MAGIC or self._chunk != CHUNK or os.fstat(stream.fileno()).st_size != length(self.size):
            stream.close()
            raise Unreadable(f"{path} is no sealed file, or was cut; nothing was read")
        self._cipher = derived(key, "files", ident)
        self._at = 0
        self._held: tuple[int, memoryview] = -1, memoryview(b"")
        self._in, self._out = bytearray(CHUNK + _TAG), bytearray(CHUNK)

    def check(self) -> None:
        """Opens the first chunk: whether this key is the right one.

        Raises:
            Unreadable: it is not, or the chunk was changed.
        """
        self._opened(0)

    def pieces(self) -> Iterable[memoryview]:
        """All of it in order; each piece is good until the next is asked for."""
        for number in range(self._chunks):
            yield self._opened(number)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Goes to a place."""
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def tell(self) -> int:
        """Where it is."""
        return self._at

    def readinto(self, buffer: memoryview | bytearray, /) -> int:  # type: ignore[override]
        """Reads to the end of a chunk at most."""
        with memoryview(buffer).cast("B") as into:
            if self._at >= self.size or not into.nbytes:
                return 0
            number, start = divmod(self._at, CHUNK)
            piece = self._opened(number)[start : start + into.nbytes]
            into[: len(piece)] = piece
            self._at += len(piece)
            return len(piece)

    def close(self) -> None:
        """Closes the file."""
        if not self.closed:
            self._stream.close()
        super().close()

    def _opened(self, number: int) -> memoryview:
        if self._held[0] == number:
            return self._held[1]
        plain = min(CHUNK, self.size - number * CHUNK)
        with memoryview(self._in)[: plain + _TAG] as box:
            if _into(self._stream, box, _HEADER.size + number * (CHUNK + _TAG)) != len(box):
                raise Unreadable(f"{self._path} was cut; nothing more was read of it")
            into = memoryview(self._out)[:plain]
            self._held = -1, into
            try:
                self._cipher.decrypt_into(_nonce(number), box, _bound(self._head, number), into)
            except InvalidTag as error:
                raise Unreadable(
                    f"{self._path} was changed, or sealed with another key (chunk {number}); nothing more was read of"
                    " it. Put it back from a copy."
                ) from error
        self._held = number, into
        return into


def length(size: int) -> int:
    """Bytes of a sealed file that holds so many."""
    return _HEADER.size + size + _TAG * max(1, -(-size // CHUNK))


def is_sealed(path: Path) -> bool:
    """Whether a file begins as a sealed one does; False where it cannot be read."""
    with suppress(OSError), path.open("rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC
    return False


def opened(path: Path) -> io.BufferedReader:
    """What a file holds in clear, whether it is sealed or not; in memory alone.

    Raises:
        Failed: it is sealed, and lies in no home or does not open.
        OSError: it cannot be read.
    """
    if not is_sealed(path):
        return path.open("rb")
    return io.BufferedReader(Vault(home_of(path)).reading(path), CHUNK)


@contextmanager
def source(path: Path) -> Iterator[Path | BinaryIO]:
    """A file for a library that reads paths and streams: the path, or what it holds in clear where it is sealed.

    Raises:
        Failed: as `opened`.
        OSError: it cannot be read.
    """
    if not is_sealed(path):
        yield path
        return
    with opened(path) as stream:
        yield stream


def size_of(path: Path) -> int:
    """Bytes of what a file holds in clear.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEADER.size)
    return int(_HEADER.unpack(head)[3]) if head.startswith(_MAGIC) else path.stat().st_size


def home_of(path: Path) -> Path:
    """The home that a sealed file lies in: the folder above it that has a key.

    Raises:
        Failed: there is none.
    """
    found = next((folder for folder in path.absolute().parents if (folder / KEY).exists()), None)
    if found is None:
        raise Failed(f"{path} is sealed, and no folder above it has the key file {KEY}; nothing was read")
    return found


def sealed(source: BinaryIO | Reader, size: int, target: Path, key: bytes, told: Told = lambda size: None) -> None:
    """Seals what a stream holds.

    Raises:
        Failed: the stream does not hold so many bytes; there is no target.
        OSError: the disk refuses; there is no target.
    """
    ident = os.urandom(32)
    head = _HEADER.pack(_MAGIC, ident, CHUNK, size)
    cipher: AESGCM = derived(key, "files", ident)
    plain, box, done = bytearray(CHUNK), bytearray(CHUNK + _TAG), 0
    with written(target) as out:
        out.write(head)
        for number in range(max(1, -(-size // CHUNK))):
            want = min(CHUNK, size - done)
            with memoryview(plain)[:want] as piece, memoryview(box)[: want + _TAG] as into:
                have = 0
                while have < want and (more := source.readinto(piece[have:])):  # type: ignore[union-attr]
                    have += more
                if have != want:
                    raise Failed(f"{target.name} could not be sealed: what it is made of changed meanwhile")
                cipher.encrypt_into(_nonce(number), piece, _bound(head, number), into)
                out.write(into)
            done += want
            told(want)


@contextmanager
def written(target: Path) -> Iterator[Out]:
    """A new file of its owner's alone in the place of `target`, whole and on disk at the end, or not there at all."""
    draft = target.with_name(f"{target.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
    try:
        handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(handle, "wb", buffering=0) as out:
            yield Out(out)
            os.fsync(handle)
        draft.replace(target)
        sync(target.parent)
    finally:
        draft.unlink(missing_ok=True)


class Out:
    """A file that writes all of what it is given."""

    def __init__(self, raw: io.FileIO) -> None:
        """Over a file without a buffer."""
        self._raw = raw

    def write(self, data: bytes | memoryview) -> int:
        """Writes; how many bytes, which is all."""
        with memoryview(data) as rest:
            at = 0
            while at < len(rest):
                at += self._raw.write(rest[at:]) or 0
            return at


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _bound(head: bytes, number: int) -> bytes:
    return head + number.to_bytes(8, "little")


def _exactly(stream: io.FileIO, size: int, at: int) -> bytes:
    return os.pread(stream.fileno(), size, at)


def _into(stream: io.FileIO, box: memoryview, at: int) -> int:
    have = 0
    while have < len(box) and (more := os.preadv(stream.fileno(), [box[have:]], at + have)):
        have += more
    return have
