"""Brings a model to disk: fetched from the first source that answers, checked, converted once, then named."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from agentos.config import Settings
from agentos.errors import Failed
from agentos.models import child
from agentos.models.adapted import named
from agentos.models.arrivals import Got, checked, kept, local, settle
from agentos.models.catalog import Entry, Local, Source
from agentos.models.fetch import WrongHash, client, download, full_disk, room
from agentos.models.locks import held
from agentos.models.memory import available
from agentos.models.shelf import MANIFEST, Shelf, Stored, intact, link, read_manifest
from agentos.models.sources import Fetch, Unreachable, locate
from agentos.models.unpack import assemble
from agentos.types import Progress, Pulled
from agentos.types.units import show_bytes

_BEAT = 0.1
"""Seconds between two progress events of a download."""


class _Refused(Exception):
    """What came is no model, or a hostile one; it is removed and no other source is tried: the hash was right."""


class Puller:
    """Fetches and converts, one pull of a model at a time, also across processes that share a cache."""

    def __init__(self, settings: Settings, shelf: Shelf) -> None:
        """Stores into `shelf`, downloads into the cache."""
        self._settings = settings
        self._shelf = shelf
        self._downloads = settings.cache / "downloads"
        # A cache inside HOME serves this home only, which has the model already.
        self._shared = None if settings.cache.is_relative_to(settings.home) else settings.cache / "models"

    async def pull(self, entry: Entry, progress: Progress) -> Pulled:
        """The model on disk.

        Raises:
            Failed: no source has it, it is refused, or the disk or memory does not suffice; nothing is left of it
                but, after a broken download, the part that the next pull takes up.
        """
        lock = self._downloads / f"{self._shelf.folder(entry.name).name}.lock"

        async def waiting() -> None:
            await progress(f"another process is fetching {entry.name}; waiting for it")

        self._shelf.root.mkdir(parents=True, exist_ok=True)
        async with held(lock, waiting):
            stored = self._shelf.get(entry.name)
            if stored is not None:
                return report(stored, fetched=False)
            self._shelf.sweep_of(entry.name)
            cached = await self._from_cache(entry, progress)
            return report(cached or await self._fetch(entry, progress), fetched=cached is None)

    async def _from_cache(self, entry: Entry, progress: Progress) -> Stored | None:
        if self._shared is None or not entry.sha256:
            return None
        there = read_manifest(self._shared / entry.sha256)
        if there is None:
            return None
        await progress(f"checking the converted {entry.name} in the cache")
        if not await asyncio.to_thread(intact, there):
            await asyncio.to_thread(shutil.rmtree, there.path, True)
            return None
        work = self._shelf.begin(entry.name)
        try:
            await asyncio.to_thread(link, there.path, work)
            facts = _facts(entry, there.source, there.download, there.sha256, there.pinned)
            made = {"kind": there.kind, "parameters": there.parameters, "context": there.context, "seconds": 0.0,
                    "base": there.base}
            return await asyncio.to_thread(self._shelf.finish, work, {**facts, **made})
        except OSError as error:
            raise full_disk(error, self._shelf.root) from error
        finally:
            await asyncio.to_thread(shutil.rmtree, work, True)

    async def _fetch(self, entry: Entry, progress: Progress) -> Stored:
        started = time.monotonic()
        staging = self._downloads / self._shelf.folder(entry.name).name
        refusals: list[str] = []
        for source in entry.sources:
            if self._settings.offline and not isinstance(source, Local):
                refusals.append(f"{source.label}: not tried, the setting 'offline' is on")
                continue
            try:
                got = await self._get(entry, source, staging, progress)
                stored = await self._convert(entry, got, progress, started)
                await asyncio.to_thread(shutil.rmtree, staging, True)
                return stored
            except _Refused as error:
                await asyncio.to_thread(shutil.rmtree, staging, True)
                raise Failed(str(error)) from error
            except (Unreachable, WrongHash) as error:
                refusals.append(f"{source.label}: {error}")
                await progress(f"{source.label} does not serve: {error}")
                if isinstance(error, WrongHash):
                    await asyncio.to_thread(shutil.rmtree, staging, True)
        raise Failed(
            f"{entry.name!r} could not be fetched and nothing was stored. Tried: {'; '.join(refusals)}. "
            "Check the network (proxy, certificates), or give a file or folder: models.pull --source PATH."
        )

    async def _get(self, entry: Entry, source: Source, staging: Path, progress: Progress) -> Got:
        if isinstance(source, Local):
            return await asyncio.to_thread(local, entry, source)
        here = await asyncio.to_thread(kept, entry, staging)
        if here is not None:
            await progress(f"the download of {entry.name} is here already")
            return here
        async with client() as http:
            wanted = await locate(entry, source, http)
            await progress(await asyncio.to_thread(self._needs, entry, staging, wanted))
            tell = _telling(entry.name, wanted, progress)
            files = staging / "files"
            wheels: list[tuple[Fetch, Path]] = []
            for number, what in enumerate(wanted):
                folder = staging if what.members else files
                path = await download(http, what, folder, tell(number))
                if what.members:
                    wheels.append((what, path))
        if wheels:
            await progress(f"unpacking {entry.name}")
            sizes = {file.name: file.size for file in entry.files}
            await asyncio.to_thread(shutil.rmtree, files, True)
            await asyncio.to_thread(assemble, wheels, sizes, files)
        got = await asyncio.to_thread(checked, entry, source, files, wanted)
        await asyncio.to_thread(settle, got, staging, [path for _, path in wheels])
        return got

    def _needs(self, entry: Entry, staging: Path, wanted: list[Fetch]) -> str:
        """What a pull takes, in words, once the disks are known to have room for it: before the first byte."""
        coming = sum(what.size for what in wanted)
        names = {what.file + ending for what in wanted for ending in ("", ".part")}
        there = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file() and path.name in names)
        unpacked = entry.size if any(what.members for what in wanted) else 0
        made = entry.size if entry.format == "safetensors" else 2 * entry.parameters
        self._downloads.mkdir(parents=True, exist_ok=True)
        self._shelf.root.mkdir(parents=True, exist_ok=True)
        fetch = max(0, coming - there) + unpacked
        if self._downloads.stat().st_dev == self._shelf.root.stat().st_dev:
            room(self._shelf.root, fetch + made, entry.name)
        else:
            room(self._downloads, fetch, entry.name)
            room(self._shelf.root, made, entry.name)
        free = show_bytes(shutil.disk_usage(self._shelf.root).free)
        if not coming:
            return f"{entry.name}: its size is not known yet; {free} free on disk"
        already = f" ({show_bytes(min(there, coming))} of it is here already)" if there else ""
        total = show_bytes(fetch + made)
        return f"{entry.name}: {show_bytes(coming)} to fetch{already}, {total} on disk in all; {free} free"

    async def _convert(self, entry: Entry, got: Got, progress: Progress, started: float) -> Stored:
        work: Path | None = None
        try:
            seen = await child.inspect(got.path)
            self._check_memory(entry, seen["memory"])
            room(self._shelf.root, seen["disk"], entry.name)
            work = self._shelf.begin(entry.name)
            made = await child.convert(got.path, work, seen, progress, entry.name, threads=self._settings.threads)
            made = {**made, "context": made["context"] or seen["context"],
                    "seconds": round(time.monotonic() - started, 2)}
            if "base" in made:
                made["base"] = named(made["base"], [item.name for item in self._shelf.all()])
            await progress(f"storing {entry.name}")
            facts = _facts(entry, got.source, got.size, got.sha256, got.pinned)
            stored = await asyncio.to_thread(self._shelf.finish, work, {**facts, **made})
        except OSError as error:
            raise full_disk(error, self._shelf.root) from error
        except child.Refused as error:
            raise _Refused(f"{entry.name!r} was refused: {error}. Nothing was stored.") from error
        finally:
            if work is not None:
                await asyncio.to_thread(shutil.rmtree, work, True)
        if self._shared is not None and got.pinned:
            await asyncio.to_thread(self._keep, stored)
        return stored

    def _check_memory(self, entry: Entry, need: int) -> None:
        if need > (free := available()):
            raise Failed(
                f"converting {entry.name!r} takes {show_bytes(need)} of memory and this machine can give "
                f"{show_bytes(free)}; nothing was stored, and the download is kept. Close something and pull again."
            )

    def forget(self, stored: Stored) -> None:
        """Takes a model's converted copy out of the cache where no other home has it: deleting is to free the disk."""
        if self._shared is None:
            return
        there = self._shared / stored.sha256
        try:
            theirs = [(there / name).stat() for name in stored.weights]
            ours = [(stored.path / name).stat() for name in stored.weights]
        except OSError:
            return
        if all(one.st_ino == two.st_ino and one.st_nlink == 2 for one, two in zip(theirs, ours, strict=True)):
            shutil.rmtree(there, ignore_errors=True)

    def _keep(self, stored: Stored) -> None:
        """Puts a converted model into the cache, for other homes of this machine."""
        assert self._shared is not None
        there = self._shared / stored.sha256
        work = there.with_name(f".new-{stored.sha256[:16]}-{time.monotonic_ns()}")
        try:
            work.mkdir(parents=True)
            link(stored.path, work)
            shutil.copyfile(stored.path / MANIFEST, work / MANIFEST)
            work.rename(there)
        except OSError:
            shutil.rmtree(work, ignore_errors=True)  # a cache that cannot be written only costs time


def _facts(entry: Entry, source: str, size: int, sha256: str, pinned: bool) -> dict[str, Any]:
    return {"name": entry.name, "description": entry.description, "licence": entry.licence, "source": source,
            "download": size, "sha256": sha256, "pinned": pinned}


def report(stored: Stored, fetched: bool) -> Pulled:
    """What a pull says of a model that is on disk."""
    source = stored.source if stored.pinned else f"{stored.source} (no hash was pinned; the one that came is recorded)"
    seconds = stored.seconds if fetched else 0.0
    return Pulled(stored.name, str(stored.path), stored.size, stored.sha256, source, seconds, fetched)


def _telling(
    name: str, wanted: list[Fetch], progress: Progress
) -> Callable[[int], Callable[[int, int], Awaitable[None]]]:
    """Progress over all downloads together."""
    have = [0] * len(wanted)
    sizes = [what.size for what in wanted]
    last = 0.0

    def one(number: int) -> Callable[[int, int], Awaitable[None]]:
        async def tell(done: int, size: int) -> None:
            nonlocal last
            have[number] = done
            sizes[number] = size or sizes[number]
            now = time.monotonic()
            if now - last >= _BEAT or done == sizes[number]:
                last = now
                await progress(f"fetching {name}", sum(have), sum(sizes) if all(sizes) else None, "B")

        return tell

    return one
