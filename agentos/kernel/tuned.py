"""The kernel's adapters: the shipped one, those trained here, which is in force, the way back.

An adapter belongs to the very weights it was trained over. Its manifest names their hash; it is laid over no others.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from agentos.errors import Failed, UserError

SHIPPED, NONE = "shipped", "none"
MANIFEST, _STATE = "manifest.json", "in-force.json"
_FILES = ("adapter_config.json", "adapter_model.safetensors", MANIFEST)
_NAME = re.compile(r"[\w-][\w.-]{0,99}")
"""What an adapter here may be called: no path leads out of their folder."""


@dataclass(frozen=True)
class Manifest:
    """Where an adapter comes from and how good it was."""

    base: str
    """The model it was trained over."""
    base_sha256: str
    """Of the file that the model was fetched as."""
    recipe: dict[str, Any]
    """What the data were drawn from and how it was trained: rows, seed, rank, rate."""
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By suite: shares of exact plans, of the base and of the adapter, with their numbers of cases."""
    threshold: float = 0.0
    """Confidence under which a plan is asked about and not acted on."""
    slope: float = 1.0
    """A plan's confidence is its probability raised to this power: temperature scaling on rows not learned from."""
    made: str = ""
    run: str = ""


class Tuned:
    """Adapters in a folder, and which of them is in force."""

    def __init__(self, root: Path) -> None:
        """Adapters of the system whose folder for them is `root`; it need not be there yet."""
        self._root = root

    def history(self) -> list[str]:
        """What was in force, the last one now: names of folders, `shipped` or `none`."""
        with contextlib.suppress(OSError, ValueError, TypeError):
            said = json.loads((self._root / _STATE).read_text("utf-8"))["history"]
            if said and all(isinstance(one, str) for one in said):
                return list(said)
        return [SHIPPED]

    def folder(self, name: str) -> Path | None:
        """Where an adapter lies; None for `none` and where there is no such one."""
        if name == NONE or not _NAME.fullmatch(name):
            return None
        found = Path(str(resources.files("agentos.kernel") / "adapter")) if name == SHIPPED else self._root / name
        return found if all((found / file).is_file() for file in _FILES) else None

    def in_force(self, base_sha256: str) -> tuple[Path, Manifest] | None:
        """The adapter for a base with that hash; None where none is in force, or it is for another."""
        folder = self.folder(self.history()[-1])
        if folder is None:
            return None
        manifest = read(folder)
        return (folder, manifest) if manifest.base_sha256 == base_sha256 else None

    def keep(self, adapter: Path, manifest: Manifest) -> str:
        """Copies an adapter in, whole or not at all, and gives its name; it is not in force by that.

        Raises:
            Failed: it cannot be written.
        """
        numbers = [int(path.name[1:]) for path in self._root.glob("a*") if path.name[1:].isdigit()]
        name = f"a{max(numbers, default=0) + 1}"
        part = self._root / f"{name}.part"
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True, mode=0o700)
            for file in _FILES[:2]:
                shutil.copyfile(adapter / file, part / file)
            told = replace(manifest, made=manifest.made or time.strftime("%Y-%m-%d"))
            (part / MANIFEST).write_text(json.dumps(asdict(told), ensure_ascii=False, indent=1) + "\n", "utf-8")
            part.rename(self._root / name)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise Failed(f"the adapter could not be kept: {error}. The one in force stays") from error
        return name

    def describe(self, name: str, figures: Mapping[str, Any]) -> None:
        """Writes scores, threshold and slope into the manifest of an adapter that was trained here.

        Raises:
            UserError: there is no such one.
            Failed: it cannot be written.
        """
        if not figures or name in (SHIPPED, NONE):
            return
        folder = self.folder(name)
        if folder is None:
            raise UserError(f"there is no adapter {name!r} here; the one in force stays")
        given = {key: figures[key] for key in ("scores", "threshold", "slope") if key in figures}
        told = replace(read(folder), **given)
        temporary = folder / f"{MANIFEST}.part"
        try:
            temporary.write_text(json.dumps(asdict(told), ensure_ascii=False, indent=1) + "\n", "utf-8")
            temporary.replace(folder / MANIFEST)
        except OSError as error:
            raise Failed(f"the adapter's manifest could not be written: {error}. The one in force stays") from error

    def promote(self, name: str) -> None:
        """Puts an adapter in force.

        Raises:
            UserError: there is no such one.
        """
        if name != NONE and self.folder(name) is None:
            raise UserError(f"there is no adapter {name!r} here; the one in force stays")
        self._write([*self.history(), name])

    def rollback(self) -> str:
        """Puts the one in force that was so before; gives its name.

        Raises:
            UserError: there is none before it.
        """
        history = self.history()
        if len(history) < 2:
            raise UserError(f"{history[-1]!r} is the first adapter that was in force; there is none to go back to")
        self._write(history[:-1])
        return history[-2]

    def _write(self, history: list[str]) -> None:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._root / f"{_STATE}.part"
        try:
            with temporary.open("w", encoding="utf-8") as file:
                json.dump({"history": history}, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._root / _STATE)
        except OSError as error:
            raise Failed(f"which adapter is in force could not be written: {error}. It stays as it was") from error


def read(folder: Path) -> Manifest:
    """An adapter's manifest.

    Raises:
        Failed: it cannot be read.
    """
    try:
        said = json.loads((folder / MANIFEST).read_text("utf-8"))
        return Manifest(**{name: said[name] for name in said if name in Manifest.__dataclass_fields__})
    except (OSError, ValueError, TypeError) as error:
        raise Failed(f"the manifest of the kernel's adapter {folder.name!r} cannot be read: {error}") from error
