"""Adapters in the store, and the models that they are laid over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePath

from agentos.errors import Failed, NotFound
from agentos.models.catalog import resolve
from agentos.models.shelf import Shelf, Stored

KIND = "adapter"


def named(said: str, stored: Iterable[str]) -> str:
    """The name here of a base as an adapter's files have it: a hub id, a name or a folder; as it is where none fits."""
    names = list(stored)
    for guess in (said, PurePath(said).name.replace("--", "/")):
        try:
            return resolve(guess, names)
        except NotFound:
            continue
    return said


def base(adapter: Stored, shelf: Shelf) -> Stored:
    """The stored model that an adapter is laid over.

    Raises:
        Failed: it is not on this machine, or is itself an adapter.
    """
    name = named(adapter.base, [item.name for item in shelf.all()])
    found = shelf.get(name)
    if found is None:
        raise Failed(
            f"{adapter.name!r} is an adapter for {adapter.base!r}, which is not on this machine; nothing was loaded. "
            f"Pull that first: agentos call models.pull --model {name}"
        )
    if found.kind == KIND:
        raise Failed(f"{adapter.name!r} is an adapter for {name!r}, which is one itself; nothing was loaded")
    return found


def laid(adapter: Stored, under: Stored) -> Stored:
    """What loading an adapter takes, as one model: its base's files and its own."""
    own = {str(adapter.path / file): sha for file, sha in adapter.weights.items()}
    return replace(under, name=adapter.name, weights={**under.weights, **own}, size=under.size + adapter.size)
