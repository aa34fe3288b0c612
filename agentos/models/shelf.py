"""The model store on disk: one folder for each model, complete or not there at all."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agentos.errors import Failed, UserError
from agentos.models.fetch import digest
from agentos.models.signing import Signer
from agentos.sealing.files import is_sealed
from agentos.sealing.private import Sealed, change

MANIFEST = "model.json"


@dataclass(frozen=True)
class Stored:
    """A model on disk."""

    name: str
    description: str
    licence: str
    kind: str
    parameters: int
    context: int
    source: str
    download: int
    """Bytes that were fetched."""
    sha256: str
    """Of what was fetched."""
    pinned: bool
    """Whether that hash was known before."""
    weights: dict[str, str]
    """Each safetensors file and its sha256."""
    size: int
    """Bytes of all files."""
    seconds: float
    """What fetching and converting took."""
    path: Path
    base: str = ""
    """The model that it was made from, or that an adapter is laid over: a name here, or as its files have it."""
    quantized: dict[str, Any] | None = None
    """Of a model in fewer bits: `bits`, `method`, and what was measured `before` and `after`."""
    trained: dict[str, Any] | None = None
    """Of a model that was made here: its run, data, method, and how good it was on what it had not seen."""


class Shelf:
    """Reads and changes a folder of models."""

    def __init__(self, root: Path) -> None:
        """The store at `root`."""
        self.root = root
        self.signer = Signer(root.parent)

    def folder(self, name: str) -> Path:
        """Where a model of that name lies.

        Raises:
            UserError: the name cannot be one.
        """
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", name) or len(name) > 120 or name.endswith("."):
            raise UserError(f"{name!r} cannot be a model's name: letters, digits, '.', '_', '-' and at most one '/'")
        return self.root / name.replace("/", "--")

    def get(self, name: str) -> Stored | None:
        """A stored model, or None."""
        with contextlib.suppress(UserError):
            return read_manifest(self.folder(name))
        return None

    def all(self) -> list[Stored]:
        """Every stored model, by name."""
        if not self.root.is_dir():
            return []
        found = (read_manifest(path) for path in sorted(self.root.iterdir()) if not path.name.startswith("."))
        return [stored for stored in found if stored is not None]

    def begin(self, name: str) -> Path:
        """A fresh folder to build a model in, on the same disk."""
        self.root.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".new-{self.folder(name).name}@", dir=self.root))

    def finish(self, work: Path, facts: dict[str, Any]) -> Stored:
        """Makes the built folder a stored model, all at once.

        Raises:
            Failed: a model of that name came to be meanwhile; it is left as it is.
        """
        weights = {path.name: digest(path) for path in sorted(work.glob("*.safetensors"))}
        size = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
        name = str(facts["name"])
        stored = Stored(path=self.folder(name), weights=weights, size=size, **facts)
        manifest = asdict(stored)
        del manifest["path"]
        (work / MANIFEST).write_text(json.dumps(manifest, indent=1), "utf-8")
        self.signer.sign(work, name, weights)
        _settle(work)
        work.chmod(0o755)
        try:
            work.rename(stored.path)
        except OSError as error:
            raise Failed(f"{name!r} is stored already at {stored.path}; it was left as it is") from error
        self.signer.keep(stored.path)
        return stored

    def private(self, stored: Stored, private: bool) -> Sealed:
        """Seals a model's weights, or opens them for good.

        Raises:
            Failed: the key cannot be read, or the disk refuses.
        """
        return change(self.root.parent, [stored.path / name for name in stored.weights], private)

    def sweep_of(self, name: str) -> None:
        """Removes what killed processes left of building one model; its lock must be held."""
        for path in self.root.glob(f".new-{self.folder(name).name}@*"):
            shutil.rmtree(path, ignore_errors=True)


def read_manifest(folder: Path) -> Stored | None:
    """What a folder's manifest says, or None where it has none that can be read."""
    try:
        facts = json.loads((folder / MANIFEST).read_text("utf-8"))
        return Stored(path=folder, **facts)
    except (OSError, ValueError, TypeError):
        return None


def _settle(folder: Path) -> None:
    """Waits until the files are on disk, so that a power cut cannot leave a name without its bytes."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream, contextlib.suppress(OSError):
                os.fsync(stream.fileno())


def link(source: Path, target: Path) -> None:
    """The files of a folder in another one: hard links where the disk allows, copies elsewhere."""
    for path in source.rglob("*"):
        if path.is_file() and path.name != MANIFEST:
            there = target / path.relative_to(source)
            there.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, there)
            except OSError:
                shutil.copyfile(path, there)


def is_private(stored: Stored) -> bool:
    """Whether a model's weights are sealed on disk."""
    return any(is_sealed(stored.path / name) for name in stored.weights)


def intact(stored: Stored) -> bool:
    """Whether the weights on disk are still those that were written; reads all of them."""
    try:
        return bool(stored.weights) and all(digest(stored.path / name) == sha for name, sha in stored.weights.items())
    except OSError:
        return False


def on_disk(folder: Path) -> int:
    """Bytes that removing a folder frees: files that are linked from elsewhere free nothing."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.stat().st_nlink == 1)
