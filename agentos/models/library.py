"""Models on disk as they are asked for: one pull for all who want the same, from the catalog where none is named."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agentos.config import Settings
from agentos.errors import Failed, NotFound, UserError
from agentos.models.beside import silent
from agentos.models.catalog import Entry, catalog
from agentos.models.choice import REMOTE
from agentos.models.joined import Joined
from agentos.models.pull import Puller, report
from agentos.models.shelf import Shelf, Stored
from agentos.models.sources import parse, pinned
from agentos.types import Progress, Pulled


class Library:
    """Brings models to disk."""

    def __init__(self, settings: Settings, shelf: Shelf, resolve: Callable[[str], str]) -> None:
        """The library of a store; `resolve` gives the full name of a model, or raises `NotFound`."""
        self._settings = settings
        self._shelf = shelf
        self._resolve = resolve
        self.puller = Puller(settings, shelf)
        self._pulls: Joined[Pulled] = Joined()
        self._watchers: dict[str, list[Progress]] = {}

    async def close(self) -> None:
        """Ends downloads under way."""
        await self._pulls.close()

    async def pull(
        self, model: str, source: str | None = None, progress: Progress = silent, folder: str = ""
    ) -> Pulled:
        """Brings a model to disk; joins a pull of it that is under way; paths start from `folder`.

        Raises:
            NotFound: the catalog does not have it and no source is given.
            UserError: the source is none, or the name is taken by another model.
            Failed: no source has it, or it is refused.
        """
        here = self._known(model)
        if here is not None and source is None:
            return report(here, fetched=False)
        entry = self._entry(model, source, folder)
        here = self._shelf.get(entry.name)
        if here is not None:
            if entry.name not in catalog() and here.source != entry.sources[0].label:
                raise UserError(
                    f"{entry.name!r} is stored already, from {here.source}; it was left as it is. "
                    "Delete it first, or pull under another name."
                )
            return report(here, fetched=False)
        watchers = self._watchers.setdefault(entry.name, [])
        watchers.append(progress)

        async def tell(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
            for watcher in list(watchers):
                await watcher(message, done, total, unit)

        try:
            return await self._pulls.run(entry.name, lambda: self.puller.pull(entry, tell))
        finally:
            watchers.remove(progress)

    def _entry(self, model: str, source: str | None, folder: str = "") -> Entry:
        if source is not None:
            self._shelf.folder(model)
            known = catalog().get(model.lower())
            return parse(model, source, folder) if known is None else pinned(known, source, folder)
        if model.startswith(REMOTE):
            raise UserError(f"{model!r} is served by another machine; there is nothing to pull. Load it as it is.")
        try:
            return catalog()[self._resolve(model)]
        except NotFound:
            if "/" not in model:
                raise
            return parse(model.partition("@")[0], f"hub:{model}")

    def _known(self, model: str) -> Stored | None:
        try:
            return self._shelf.get(self._resolve(model))
        except NotFound:
            return self._shelf.get(model)

    async def _verified(self, stored: Stored) -> Stored:
        found = await asyncio.to_thread(self._shelf.signer.verify, stored.path)
        if found.signed == "altered":
            raise Failed(
                f"{stored.name!r} is not what was stored: {found.reason}; nothing was loaded. Delete it and pull it"
                f" again, or put {stored.path} back from a copy: agentos models verify {stored.name}"
            )
        if found.signed == "no" and self._settings.signed_models:
            raise Failed(
                f"{stored.name!r} has no signature that counts here ({found.reason}), and the setting `signed_models`"
                f" asks for one; nothing was loaded. If it is to be trusted: agentos models sign {stored.name}"
            )
        return stored

    async def stored(self, name: str, progress: Progress) -> Stored:
        """A model on disk as it was signed, pulled first where the catalog has it.

        Raises:
            Failed: it is not there and cannot be fetched, was altered, or nobody signed it and the setting
                `signed_models` asks for that.
        """
        stored = self._shelf.get(name)
        if stored is not None:
            return await self._verified(stored)
        if name not in catalog() or self._settings.offline:
            raise Failed(
                f"{name!r} is not on this machine"
                + (" and the setting 'offline' forbids fetching it" if name in catalog() else "")
                + f"; nothing was loaded. Pull it first: agentos call models.pull --model {name}"
            )
        await self.pull(name, None, progress)
        stored = self._shelf.get(name)
        if stored is None:
            raise Failed(f"{name!r} was fetched and has been deleted meanwhile; nothing was loaded")
        return stored
