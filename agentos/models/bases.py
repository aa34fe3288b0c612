"""Stored models as training takes them, and trained ones as the store takes them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from agentos.errors import Failed, UserError
from agentos.models import adapted
from agentos.models.catalog import catalog
from agentos.models.choice import REMOTE
from agentos.models.library import Library
from agentos.models.shelf import Shelf, Stored, is_private, link
from agentos.types import Base, Json, Progress


class Bases:
    """Gives the files of a model, and takes in what a run made."""

    def __init__(
        self, shelf: Shelf, library: Library, resolve: Callable[[str], str], names: Callable[[], list[str]]
    ) -> None:
        """Over a store.

        Args:
            shelf: The store.
            library: Fetches what the catalog has and the store has not.
            resolve: The full name of a model, or `NotFound`.
            names: Every name that is taken.
        """
        self._shelf, self._library, self._resolve, self._names = shelf, library, resolve, names

    async def base(self, model: str, progress: Progress) -> Base:
        """A model's files, fetched first where only the catalog has it.

        Raises:
            NotFound: nothing bears that name.
            UserError: its weights are not here, or in fewer bits than can be trained.
            Failed: it cannot be fetched.
        """
        name = self._resolve(model)
        if name.startswith(REMOTE):
            raise UserError(f"{name!r} is served by another machine, whose weights cannot be trained; name one of this")
        stored = await self._library.stored(name, progress)
        if is_private(stored):
            raise UserError(
                f"{name!r} is private, and what is trained of it would not be; nothing was begun. First:"
                f" agentos private model {name} --off"
            )
        if stored.quantized is not None:
            raise UserError(
                f"{name!r} has {stored.quantized.get('bits')} bits a weight and cannot be trained; train "
                f"{stored.base!r}, then quantize the result"
            )
        adapter = ""
        under = stored
        if stored.kind == adapted.KIND:
            adapter, under = str(stored.path), adapted.base(stored, self._shelf)
        digest = hashlib.sha256(json.dumps([under.weights, stored.weights], sort_keys=True).encode()).hexdigest()
        return Base(name, stored.kind, under.path, digest, stored.parameters, stored.context, adapter)

    def fetched(self, model: str) -> str:
        """The hash of what a stored model was fetched as; empty where it is not here."""
        stored = self._shelf.get(model)
        return "" if stored is None else stored.sha256

    def free(self, wanted: str | None, otherwise: str) -> str:
        """A name for a model that is to be made: the one that was asked for, or one that is free.

        Raises:
            UserError: it is taken, or cannot be a name.
        """
        taken = set(self._names())
        if wanted is not None:
            self._shelf.folder(wanted)
            if wanted in taken:
                raise UserError(f"{wanted!r} is a model already; nothing was begun. Choose another --output")
            return wanted
        name, number = otherwise, 2
        while name in taken:
            name, number = f"{otherwise}-{number}", number + 1
        self._shelf.folder(name)
        return name

    async def keep(self, name: str, folder: Path, facts: Mapping[str, Json]) -> None:
        """Puts a trained model into the store; done already, it does nothing.

        Args:
            name: What it is to be called.
            folder: Its files, which stay.
            facts: `kind`, `base` (a stored model), `run`, and what is to stand on its card.

        Raises:
            Failed: another model has that name, or the disk refuses.
        """
        here = self._shelf.get(name)
        if here is not None and here.trained is not None and here.trained.get("run") == facts["run"]:
            return
        await asyncio.to_thread(self._keep, name, folder, dict(facts))

    def _keep(self, name: str, folder: Path, facts: dict[str, Json]) -> Stored:
        base = self._shelf.get(str(facts.get("base", "")))
        known = catalog().get(base.name) if base else None
        licence = base.licence if base else known.licence if known else ""
        work = self._shelf.begin(name)
        try:
            link(folder, work)
            return self._shelf.finish(work, {
                "name": name, "description": str(facts.pop("description")), "licence": licence,
                "kind": str(facts.pop("kind")), "parameters": int(str(facts.pop("parameters"))),
                "context": int(str(facts.pop("context"))), "source": f"run {facts['run']}", "download": 0,
                "sha256": "", "pinned": False, "seconds": float(str(facts.pop("seconds"))),
                "base": base.name if base else "", "trained": facts,
            })
        except OSError as error:
            raise Failed(f"{name!r} could not be stored: {error}. The run keeps it in {folder}.") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
