"""Which encoding a file is in, and its text as UTF-8 whatever that is."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from agentos.datasets.beside import Teller
from agentos.errors import UserError

CHUNK = 1 << 20
_BOMS = [(codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")]
_MAGIC = [
    (b"\x89PNG", "an image"), (b"\xff\xd8\xff", "an image"), (b"PK\x03\x04", "a zip or an Office file"),
    (b"%PDF", "a PDF"), (b"\x7fELF", "a program"), (b"SQLite format 3", "a database"), (b"Rar!", "an archive"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"), (b"7z\xbc\xaf", "an archive"), (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ", "compressed with xz"), (b"\x28\xb5\x2f\xfd", "compressed with zstd"), (b"GGUF", "a model"),
    (b"ARROW1", "an Arrow file"), (b"PAR1", "a Parquet file: name it .parquet"),
]

_WESTERN = set("àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿœßÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝŒ¡¿°€£§©®…·ºª²\xa0")


@dataclass(frozen=True)
class Encoding:
    """How a file's bytes become text."""

    name: str
    said: str
    """In words, for people."""
    errors: str = "strict"


def open_bytes(path: Path) -> BinaryIO:
    """A file's bytes, unpacked where it is compressed with gzip.

    Raises:
        UserError: it cannot be read.
    """
    try:
        if path.suffix.lower() == ".gz":
            return cast(BinaryIO, gzip.open(path, "rb"))
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{str(path)!r} cannot be read ({error.strerror}); nothing was stored") from error


def guess(path: Path, tell: Teller) -> Encoding:
    """The encoding of a text file, held against the whole of it.

    Raises:
        UserError: it is empty, no text, or cannot be read.
    """
    with open_bytes(path) as stream:
        sample = _read(stream, path, CHUNK)
    if not sample.strip():
        raise UserError(f"{str(path)!r} is empty; nothing was stored")
    for bom, name in _BOMS:
        if sample.startswith(bom) and _fits(path, name, tell):
            return Encoding(name, f"encoding: {name.removesuffix('-sig')}, by its byte order mark")
    for magic, what in _MAGIC:
        if sample.startswith(magic):
            raise UserError(
                f"{str(path)!r} is no text: it looks like {what}. Nothing was stored. "
                "CSV, TSV, JSON lines, Parquet, plain text and folders of images, audio or texts can be read."
            )
    if b"\0" in sample:
        raise UserError(
            f"{str(path)!r} is a binary file and no text; nothing was stored. "
            "CSV, TSV, JSON lines, Parquet, plain text and folders of images, audio or texts can be read."
        )
    bad = _bad_bytes(path, tell)
    if bad == 0:
        return Encoding("utf-8", "encoding: utf-8")
    good = len(re.findall(rb"[\xe0-\xef][\x80-\xbf]{2}|[\xc2-\xdf][\x80-\xbf]", sample))
    if good > 20 * sample.decode("utf-8", "replace").count("\N{REPLACEMENT CHARACTER}") and bad <= 10 + good:
        mark = "\N{REPLACEMENT CHARACTER}"
        return Encoding("utf-8", f"encoding: utf-8, but for {bad:,} broken places that became {mark!r}", "replace")
    for name in _likely(sample):
        if _fits(path, name, tell):
            return Encoding(name, f"encoding: {name}")
    return Encoding("latin-1", "encoding: none fits; read as latin-1, byte for byte")


def decoded(raw: bytes) -> str:
    """The text of a small file in whatever encoding."""
    for bom, name in _BOMS:
        if raw.startswith(bom):
            return raw.decode(name, "replace")
    for name in ("utf-8", *_likely(raw)):
        try:
            return raw.decode(name)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _likely(sample: bytes) -> list[str]:
    """Encodings to try after UTF-8, the likeliest first."""
    from charset_normalizer import from_bytes

    names: list[str] = []
    if _chinese(sample):
        names.append("gb18030")
    elif _western(sample):
        names.append("cp1252")
    names += [name for name in ("cp932", "euc_jp") if _japanese(sample, name)]
    best = from_bytes(sample[:65536].rsplit(b"\n", 1)[0] or sample[:65536]).best()
    if best is not None and best.encoding not in {"utf_8", "ascii"}:
        names.append(codecs.lookup(best.encoding).name)
    return [*names, "cp1252"]


def _chinese(sample: bytes) -> bool:
    """Whether most of what is not ASCII are pairs for the common Chinese characters and their punctuation."""
    pairs = re.findall(rb"[\x81-\xfe][\x40-\xfe]", sample)
    common = sum(1 for pair in pairs if (0xB0 <= pair[0] <= 0xD7 or 0xA1 <= pair[0] <= 0xA3) and pair[1] >= 0xA1)
    return bool(pairs) and common >= 0.8 * len(pairs)


def _japanese(sample: bytes, name: str) -> bool:
    """Whether a third of what is not ASCII are kana in an encoding, and none of it is broken."""
    try:
        high = [char for char in codecs.getincrementaldecoder(name)("strict").decode(sample) if ord(char) > 127]
    except UnicodeDecodeError:
        return False
    return sum(1 for char in high if "\u3041" <= char <= "\u30fc") * 3 > len(high)


def _western(sample: bytes) -> bool:
    """Whether what is not ASCII are letters and marks of Western Europe, where they stand in its usual encoding."""
    high = [char for char in sample.decode("cp1252", "ignore") if ord(char) > 127]
    return bool(high) and all(char in _WESTERN or unicodedata.category(char) in {"Pd", "Pi", "Pf"} for char in high)


def _fits(path: Path, name: str, tell: Teller) -> bool:
    decoder = codecs.getincrementaldecoder(name)("strict")
    try:
        with open_bytes(path) as stream:
            while chunk := _read(stream, path, CHUNK):
                decoder.decode(chunk)
                tell(f"checking that {path.name} is {name}")
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _bad_bytes(path: Path, tell: Teller) -> int:
    """How many places of a file are no UTF-8; counting ends where there are far too many."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    strict = codecs.getincrementaldecoder("utf-8")("strict")
    bad = 0
    with open_bytes(path) as stream:
        while True:
            chunk = _read(stream, path, CHUNK)
            tell(f"checking the encoding of {path.name}")
            if bad == 0:
                state = strict.getstate()
                try:
                    strict.decode(chunk, final=not chunk)
                    if not chunk:
                        return 0
                    continue
                except UnicodeDecodeError:
                    decoder.setstate(state)
            bad += decoder.decode(chunk, final=not chunk).count("\N{REPLACEMENT CHARACTER}")
            if not chunk or bad > 1_000_000:
                return max(bad, 1)


def _read(stream: BinaryIO, path: Path, size: int) -> bytes:
    try:
        return stream.read(size)
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{str(path)!r} cannot be read ({why}); nothing was stored") from error


class Recoded(io.RawIOBase):
    """A file as UTF-8 without a byte order mark; `done` bytes of it are read."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        super().__init__()
        self._path = path
        self._stream = open_bytes(path)
        self._decoder = codecs.getincrementaldecoder(encoding.name)(encoding.errors)
        self._rest = b""
        self.total = path.stat().st_size
        self._packed = path.suffix.lower() == ".gz"
        self._read_bytes = 0

    @property
    def done(self) -> int:
        """Bytes of the file on disk that are read."""
        if self._packed:
            return int(self._stream.fileobj.tell()) if hasattr(self._stream, "fileobj") else 0
        return self._read_bytes

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills the buffer with UTF-8."""
        while not self._rest:
            chunk = _read(self._stream, self._path, CHUNK)
            self._read_bytes += len(chunk)
            self._rest = self._decoder.decode(chunk, final=not chunk).encode("utf-8", "replace")
            if not chunk:
                break
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        """Closes the file."""
        if not self.closed:
            self._stream.close()
        super().close()
