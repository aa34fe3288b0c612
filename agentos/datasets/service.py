"""`DatasetService`: data sets as syscalls see them."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from agentos.datasets.beside import Teller, aside
from agentos.datasets.shelf import Built, Shelf, Stored, freed
from agentos.errors import NotFound, UserError
from agentos.types import (
    Cleaned,
    Context,
    DataFile,
    DatasetAdded,
    DatasetCard,
    DatasetDeleted,
    DatasetList,
    Json,
    Redact,
    Splitted,
    TrashBin,
)


class DatasetService:
    """Implements `Datasets`. What reads and writes rows is imported when it is first needed."""

    def __init__(
        self, root: Path, trash: TrashBin, *, redact: Redact | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """A service over the folder `root`.

        Args:
            root: Where data sets are kept.
            trash: Where deleted ones go.
            redact: Takes private values out of a text, and says how many of each kind there were.
            clock: Seconds since the epoch.
        """
        self._shelf = Shelf(root)
        self._trash = trash
        self._redact = redact
        self._clock = clock

    def listing(self) -> DatasetList:
        """Every data set, by name."""
        from agentos.datasets import views

        return views.listing(self._shelf.all())

    def names(self) -> list[str]:
        """What data sets are called here."""
        return [stored.name for stored in self._shelf.all()]

    def canonical(self, name: str) -> str:
        """The name that rules know a data set by; a name nothing bears is given back as it is."""
        stored = self._shelf.get(name)
        return stored.name if stored else name

    def owner(self, name: str) -> str | None:
        """Who added a data set; None where there is none of that name."""
        stored = self._shelf.get(name)
        return stored.user or None if stored else None

    async def add(self, path: str, name: str | None, ctx: Context) -> DatasetAdded:
        """Reads a file or folder and stores its rows; the very same content under the same name is stored once.

        Raises:
            UserError: nothing can be read there, or the name is taken by other content; nothing was stored.
            Failed: the disk is full; nothing was stored.
        """
        from agentos.datasets import views

        source = _path(path, ctx)
        wanted = name or _named(source)
        self._shelf.folder(wanted)
        stored, new = await aside(ctx.progress, lambda tell: self._add(source, wanted, ctx.caller.user, tell))
        return views.added(stored, new)

    def _add(
        self, source: Path, name: str, user: str, tell: Teller, *, apart: bool = False
    ) -> tuple[Stored, bool]:
        from agentos.datasets import reading

        self._shelf.sweep()
        here, mark = self._shelf.get(name), reading.mark(source)
        if here is not None and mark and (here.source, here.mark) == (str(source), mark):
            return here, False
        began = time.perf_counter()
        with self._shelf.begin() as work:
            built = reading.store(source, work, tell)
            if apart and here is not None and here.sha256 != built.sha256:
                name = f"{name}-{built.sha256[:8]}"
            taken = time.perf_counter() - began
            lineage = (str(source), f"{name}: read, {built.rows:,} rows, {built.sha256[:12]}")
            more = self._more(str(source), lineage, user, taken)
            return self._shelf.finish(name, built, more | {"mark": mark})

    def _more(
        self, source: str, lineage: tuple[str, ...], user: str, seconds: float, steps: Sequence[Json] = ()
    ) -> dict[str, object]:
        return {
            "source": source, "mark": "", "lineage": lineage, "user": user, "created": self._clock(),
            "seconds": round(seconds, 3), "steps": list(steps),
        }

    async def card(self, dataset: str, rows: int) -> DatasetCard:
        """All that is known of one data set, and its first rows.

        Raises:
            NotFound: there is none.
            UserError: `rows` is less than nothing.
        """
        from agentos.datasets import views

        if rows < 0:
            raise UserError(f"{rows} rows cannot be shown; ask for none or more")
        stored = self._shelf.need(dataset)
        return await asyncio.to_thread(views.card, stored, min(rows, 1000))

    async def clean(self, dataset: str, steps: Sequence[str], output: str | None, ctx: Context) -> Cleaned:
        """A cleaned data set beside the original.

        Args:
            dataset: A name, or the path of a file that is added first.
            steps: Which, in any order; none means all that can be done here.
            output: What the cleaned one is called: NAME-clean by default.
            ctx: The call.

        Raises:
            UserError: there is no such step, nothing would be left, or the name is taken; nothing was stored.
            Failed: the disk is full; nothing was stored.
        """
        from agentos.datasets import cleaning

        wanted = cleaning.ordered(list(steps), self._redact)
        if output:
            self._shelf.folder(output)
        stored = await self._stored(dataset, ctx)
        name = output or f"{stored.name}-clean"
        self._shelf.folder(name)
        if name == stored.name:
            raise UserError(f"{name!r} is what is cleaned, and stays as it is; give the cleaned one another name")

        def work(tell: Teller) -> Cleaned:
            began = time.perf_counter()
            with self._shelf.begin() as folder:
                one = cleaning.Cleaning(stored, wanted, self._redact, folder, tell)
                built, reports, changed = one.run()
                self._shelf.alike(stored, built)
                how = f"cleaned of {stored.name} ({', '.join(one.tallies)})"
                line = f"{name}: {how}, {built.rows:,} rows, {built.sha256[:12]}"
                more = self._more(
                    stored.name, (*stored.lineage, line), ctx.caller.user, time.perf_counter() - began,
                    cleaning.as_json(reports),
                )
                made, _ = self._shelf.finish(name, built, more)
            return Cleaned(made.name, stored.name, made.rows, stored.rows - made.rows, changed, reports)

        return await aside(ctx.progress, work)

    async def split(self, dataset: str, train: float, seed: int, ctx: Context) -> Splitted:
        """Two data sets, NAME-train and NAME-test, that share no text, with each label's share the same in both.

        Raises:
            UserError: `train` is no fraction, all rows are alike, or a name is taken; nothing was stored.
            Failed: the disk is full; nothing was stored.
        """
        from agentos.datasets import splitting

        if not 0 < train < 1:
            raise UserError(f"train is the part of the rows to train on, between 0 and 1, and is {train}; try 0.8")
        stored = await self._stored(dataset, ctx)
        names = (f"{stored.name}-train", f"{stored.name}-test")
        for name in names:
            self._shelf.folder(name)

        def work(tell: Teller) -> Splitted:
            began = time.perf_counter()
            with self._shelf.begin() as folder:
                parted = splitting.part(stored, train, seed, folder, tell)
                built = [
                    splitting.build(stored, keep, folder / f"{number}.parquet", tell)
                    for number, keep in enumerate((parted.train, ~parted.train))
                ]
                for one in built:
                    self._shelf.alike(stored, one)
                how = f"split of {stored.name} (train {train:g}, seed {seed})"
                mores = [
                    self._more(
                        stored.name,
                        (*stored.lineage, f"{name}: {how}, {one.rows:,} rows, {one.sha256[:12]}"),
                        ctx.caller.user, time.perf_counter() - began,
                    )
                    for name, one in zip(names, built, strict=True)
                ]
                made = self._both(names, built, mores)
            return Splitted(
                made[0].name, made[1].name, made[0].rows, made[1].rows, parted.stratified, parted.together, seed
            )

        return await aside(ctx.progress, work)

    def _both(
        self, names: Sequence[str], built: Sequence[Built], mores: Sequence[dict[str, object]]
    ) -> list[Stored]:
        """Names both parts, or none."""
        made: list[Stored] = []
        new: list[Path] = []
        try:
            for name, part, more in zip(names, built, mores, strict=True):
                one, fresh = self._shelf.finish(name, part, more)
                made.append(one)
                new += [one.path] if fresh else []
        except BaseException:
            for path in new:
                shutil.rmtree(path, ignore_errors=True)
            raise
        return made

    async def delete(self, dataset: str, call: str, user: str) -> DatasetDeleted:
        """Moves a data set to the trash; what was made of it stays.

        Raises:
            NotFound: there is none.
        """
        stored = self._shelf.need(dataset)
        gives = freed(stored.path)
        kept = self._trash.put("dataset", stored.name, stored.path, call, user)
        return DatasetDeleted(stored.name, gives, kept.undo_id, kept.until)

    async def file(self, dataset: str, ctx: Context) -> DataFile:
        """What a run reads of a data set; a file or folder that is none yet is added first.

        Raises:
            NotFound: nothing bears that name, and no such file is there.
            UserError: it cannot be read.
        """
        return self._shelf.file(await self._stored(dataset, ctx))

    async def _stored(self, dataset: str, ctx: Context) -> Stored:
        """A data set by its name, or by the path of a file or folder; one that has changed since is added anew."""
        from agentos.datasets import reading

        here = self._shelf.get(dataset)
        if here is not None:
            return here
        try:
            source = _path(dataset, ctx)
            there = source.exists()
        except (UserError, OSError):
            there = False
        if not there:
            try:
                return self._shelf.need(dataset)
            except NotFound as error:
                raise NotFound(f"{error} Nor is there a file or folder of that path.") from None
        mark = reading.mark(source)
        for stored in self._shelf.all():
            if mark and (stored.source, stored.mark) == (str(source), mark):
                return stored
        name = _named(source)
        stored, new = await aside(
            ctx.progress, lambda tell: self._add(source, name, ctx.caller.user, tell, apart=True)
        )
        if new:
            await ctx.progress(f"{dataset} is the data set {stored.name!r} now: {stored.rows:,} rows")
        return stored


def _path(path: str, ctx: Context) -> Path:
    """A path as the caller means it.

    Raises:
        UserError: it is relative and nobody knows to what, or none at all.
    """
    if not path.strip() or "\0" in path:
        raise UserError(f"{path!r} is no path; nothing was stored")
    given = Path(path).expanduser() if path.startswith("~") else Path(path)
    if not given.is_absolute():
        if not ctx.caller.folder:
            raise UserError(f"{path!r} is relative, and where you are is not known here; give the whole path")
        given = Path(ctx.caller.folder) / given
    return given.resolve()


def _named(source: Path) -> str:
    """A data set's name from where it comes from."""
    stem = source.name
    if not source.is_dir():
        stem = stem.removesuffix(".gz")
        stem = stem[: -len(Path(stem).suffix)] if Path(stem).suffix else stem
    name = re.sub(r"[^\w.-]+", "-", stem).strip("-._")
    while len(name.encode()) > 100:
        name = name[:-1].strip("-._")
    if not name:
        raise UserError(f"no name can be made of {str(source)!r}; give one with --name. Nothing was stored.")
    return name
