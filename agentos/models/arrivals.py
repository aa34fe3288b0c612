"""What came from a source: held to its hashes, and found again by the next pull."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from agentos.models.catalog import Entry, Local, Source
from agentos.models.fetch import WrongHash, digest
from agentos.models.sources import Fetch, Unreachable


@dataclass(frozen=True)
class Got:
    """Files that came, and how their hash was known."""

    path: Path
    """A .gguf file, or a folder."""
    source: str
    size: int
    sha256: str
    pinned: bool


def checked(entry: Entry, source: Source, files: Path, wanted: list[Fetch]) -> Got:
    """Holds what came to the pinned hashes, where there are any."""
    for file in entry.files:
        path = files / file.name
        if not path.is_file():
            raise WrongHash(f"{file.name} did not come")
        if file.sha256 and (found := digest(path)) != file.sha256:
            raise WrongHash(f"{file.name}: sha256 {found[:12]}… came, and {file.sha256[:12]}… is pinned")
    got = local(entry, Local(files))
    pinned = bool(entry.files) and all(file.sha256 for file in entry.files)
    return Got(got.path, source.label, sum(what.size for what in wanted) or got.size, got.sha256, pinned)


def settle(got: Got, staging: Path, wheels: list[Path]) -> None:
    """Notes where the files came from and removes what carried them."""
    (staging / "source").write_text(got.source, "utf-8")
    for path in wheels:
        path.unlink(missing_ok=True)


def kept(entry: Entry, staging: Path) -> Got | None:
    """Files that a pull fetched and had no time, memory or disk to convert, where their hashes are right."""
    files, note = staging / "files", staging / "source"
    there = [(file, files / file.name) for file in entry.files]
    if not there or not note.is_file() or not all(path.is_file() and file.sha256 for file, path in there):
        return None
    try:
        got = checked(entry, Local(files), files, [])
    except WrongHash:
        return None
    return replace(got, source=note.read_text("utf-8"))


def local(entry: Entry, source: Local) -> Got:
    """The files at a path; many files have one hash, made of theirs."""
    if not source.path.exists():
        raise Unreachable("there is nothing at that path")
    paths = [source.path] if source.path.is_file() else sorted(p for p in source.path.iterdir() if p.is_file())
    weights = [path for path in paths if path.suffix in {".gguf", ".safetensors"}]
    hashes = [digest(path) for path in weights]
    joined = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    pinned = bool(entry.sha256) and joined == entry.sha256
    if entry.sha256 and not pinned:
        raise WrongHash(f"sha256 {joined[:12]}… is there, and {entry.sha256[:12]}… is pinned")
    one = weights[0] if len(weights) == 1 and weights[0].suffix == ".gguf" else source.path
    return Got(one, source.label, sum(path.stat().st_size for path in paths), joined, pinned)
