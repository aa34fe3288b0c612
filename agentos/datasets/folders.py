"""Reads folders of images, of audio and of texts; the folder a file lies in is its label."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]

from agentos.datasets.beside import Teller
from agentos.datasets.encoding import decoded
from agentos.datasets.tables import BATCH, Skips
from agentos.errors import UserError

KINDS = {
    "image": {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"},
    "audio": {".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac"},
    "text": {".txt", ".md", ".text"},
}
TABLES = {".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet"}
_STARTS = {
    ".jpg": (b"\xff\xd8",), ".jpeg": (b"\xff\xd8",), ".png": (b"\x89PNG",), ".gif": (b"GIF8",), ".bmp": (b"BM",),
    ".webp": (b"RIFF",), ".tif": (b"II*\0", b"MM\0*"), ".tiff": (b"II*\0", b"MM\0*"),
    ".wav": (b"RIFF", b"RF64"), ".flac": (b"fLaC",), ".ogg": (b"OggS",), ".opus": (b"OggS",),
}
_PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
_MOST = 512 << 20


class Folder(Skips):
    """A folder's files of one kind, a row for each."""

    def __init__(self, path: Path, tell: Teller) -> None:
        super().__init__()
        self._root = path
        try:
            found = sorted(_walk(path, tell))
        except OSError as error:
            raise UserError(f"{str(path)!r} cannot be read ({error.strerror}); nothing was stored") from error
        kinds = {suffix: kind for kind, suffixes in KINDS.items() for suffix in suffixes}
        counts = Counter(kinds.get(Path(name).suffix.lower(), "") for name in found)
        others = counts.pop("", 0)
        tables = [name for name in found if Path(name).suffix.lower() in TABLES]
        if not counts or len(tables) > sum(counts.values()):
            told = f"It holds tables ({', '.join(tables[:3])}): add them one by one." if tables else (
                "A folder holds images, audio or texts (.txt, .md), each in a folder that is called like its label."
            )
            raise UserError(f"there is nothing to read in {str(path)!r}; nothing was stored. {told}")
        (self.medium, most), *rest = counts.most_common()
        if rest and rest[0][1] == most:
            both = f"{most} {self.medium} files and as many {rest[0][0]} files"
            raise UserError(f"{str(path)!r} holds {both}; nothing was stored. Add a folder of each.")
        self._files = [name for name in found if kinds.get(Path(name).suffix.lower()) == self.medium]
        folders = {Path(name).parent for name in self._files}
        self._labelled = folders != {Path()}
        self._parts = self._labelled and {name.parts[0].lower() for name in folders if name.parts} <= _PARTS and all(
            len(name.parts) >= 2 for name in folders
        )
        self.guessed = [f"rows: one for each of {most:,} {self.medium} files"]
        if self._parts:
            self.guessed.append("part: the outer folder's name, such as train or test")
        left = others + sum(number for _, number in rest)
        if left:
            self.guessed.append(f"left out: {left:,} files of other kinds")

    def batches(self, known: Mapping[str, Any], tell: Teller) -> Iterator[Any]:
        """The files, a few megabytes at a time."""
        self.again()
        rows: list[tuple[str, bytes | str]] = []
        weight = 0
        for number, name in enumerate(self._files, 1):
            raw = self._bytes(name)
            if raw is None:
                continue
            rows.append((name, decoded(raw) if self.medium == "text" else raw))
            weight += len(raw)
            if weight >= BATCH or len(rows) >= 4096:
                yield self._batch(rows)
                rows, weight = [], 0
            tell(f"reading {self._root.name}: {number:,} files", number, len(self._files), "")
        if rows:
            yield self._batch(rows)

    def _bytes(self, name: str) -> bytes | None:
        path = self._root / name
        try:
            if path.stat().st_size > _MOST:
                self.skip(f"{name} is larger than 512 MiB")
                return None
            raw = path.read_bytes()
        except OSError as error:
            self.skip(f"{name} cannot be read ({error.strerror})")
            return None
        if not raw:
            self.skip(f"{name} is empty")
            return None
        starts = _STARTS.get(path.suffix.lower())
        if starts and not raw.startswith(starts):
            self.skip(f"{name} is no {path.suffix.lower()[1:]} file")
            return None
        return raw

    def _batch(self, rows: list[tuple[str, bytes | str]]) -> Any:
        kind = pa.string() if self.medium == "text" else pa.binary()
        columns = {self.medium: pa.array([content for _, content in rows], kind)}
        if self._labelled:
            columns["label"] = pa.array([Path(name).parent.name for name, _ in rows], pa.string())
        if self._parts:
            columns["part"] = pa.array([Path(name).parts[0] for name, _ in rows], pa.string())
        columns["file"] = pa.array([name for name, _ in rows], pa.string())
        return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _walk(root: Path, tell: Teller) -> Iterator[str]:
    """Files under a folder by their path in it; what is hidden, and links out of it, are passed over."""

    def refuse(error: OSError) -> None:
        if error.filename == str(root):
            raise error

    for folder, inner, files in os.walk(root, onerror=refuse):
        inner[:] = [name for name in inner if not name.startswith((".", "__MACOSX"))]
        tell(f"looking through {root.name}")
        for name in files:
            path = Path(folder) / name
            if not name.startswith(".") and not path.is_symlink() and path.is_file():
                yield path.relative_to(root).as_posix()


def mark(root: Path) -> str:
    """What changes when a folder's files do: their number, size and newest time."""
    number, size, newest = 0, 0, 0
    for folder, inner, files in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in [*files, *inner]:
            facts = os.lstat(os.path.join(folder, name))
            number, size, newest = number + 1, size + facts.st_size, max(newest, facts.st_mtime_ns, facts.st_ctime_ns)
    return f"{number}/{size}/{newest}"
