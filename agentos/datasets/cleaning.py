"""Makes a cleaned data set beside the original, a step at a time, each with what it did."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pyarrow as pa  # type: ignore[import-untyped]

from agentos.datasets import media, near, profile, texts
from agentos.datasets.beside import Teller
from agentos.datasets.shelf import DATA, Built, Facts, Stored
from agentos.datasets.tally import SHOWN, Tally
from agentos.datasets.writing import Content, read
from agentos.errors import UserError
from agentos.types import Json, Redact, StepReport

ORDER = (*media.STEPS["image"], *media.STEPS["audio"], "fix_text", "normalize", "redact", "drop_empty", "dedupe")
"""Files are read first. Texts are mended before they are compared: copies are found that differ in that alone."""
_TRIED = 500


def ordered(steps: Sequence[str], redact: Redact | None) -> list[str]:
    """The steps that are asked for, in the order they are done; none means all.

    Raises:
        UserError: there is no such step, or it cannot be done here.
    """
    wanted = [step for step in steps if step != "all"]
    for step in wanted:
        if step not in ORDER:
            raise UserError(f"there is no cleaning step {step!r}; there are {', '.join(ORDER)}. Nothing was changed.")
    if "redact" in wanted and redact is None:
        raise UserError("nothing here can find private data, so 'redact' cannot be done; nothing was changed")
    return [step for step in ORDER if step in wanted] if wanted and len(wanted) == len(steps) else list(ORDER)


class Cleaning:
    """One cleaning of one data set."""

    def __init__(self, source: Stored, steps: Sequence[str], redact: Redact | None, work: Path, tell: Teller) -> None:
        self._source = source
        self._redact = redact
        self._work = work
        self._tell = tell
        files = {step for each in media.STEPS.values() for step in each}
        reading, why = media.wanted(steps, source.medium, set(steps) == set(ORDER))
        self.tallies = {
            step: Tally(step, note=why.get(step, "")) for step in steps
            if step not in files or step in reading or step in why
        }
        self._files = media.Files(source.medium, {step: self.tallies[step] for step in reading}, tell)
        self._kinds: Counter[str] = Counter()
        self.columns: dict[str, str] = {}
        self._changed = bytearray()
        """Of each row that is left, whether a step changed it."""

    def run(self) -> tuple[Built, list[StepReport], int]:
        """The cleaned rows, what each step did, and how many rows that are left were changed.

        Raises:
            UserError: no row would be left.
        """
        staged = self._work / "staged.parquet"
        sha256, rows = self._texts(staged)
        if rows and "dedupe" in self.tallies:
            keep = self._dedupe(staged)
            if not keep.all():
                staged, (sha256, rows) = self._kept(staged, keep)
                self._changed = bytearray(numpy.frombuffer(bytes(self._changed), "u1")[keep].tobytes())
        if not rows:
            raise UserError(f"nothing would be left of {self._source.name!r}; no cleaned data set was made")
        one = self._source
        text, medium = one.text, one.medium
        if 2 * self._files.texts >= max(rows, 1):  # pictures of pages are texts from now on
            text, medium = (media.COLUMNS["ocr"],), "text"
        shape = profile.measure(staged, text if medium == "text" else (), one.label, self._tell)
        facts = Facts(text, one.label, medium, one.guessed, 0, shape.balance, shape.lengths)
        built = Built(staged, sha256, rows, self.columns, facts)
        return built, [tally.report() for tally in self.tallies.values()], sum(self._changed)

    def _texts(self, target: Path) -> tuple[str, int]:
        content: Content | None = None
        done = 0
        try:
            source = self._source.path / DATA
            spelled = self._private_numbers(source)
            for found in read(source):
                batch = self._files.add(_spell(found, spelled), done, self._source.rows)
                content = content or Content(target, batch.schema)
                content.write(self._batch(batch))
                done += batch.num_rows
                self._tell(f"cleaning {self._source.name}: {done:,} rows", done, self._source.rows, "")
            assert content is not None
            self.columns = {field.name: str(field.type) for field in content.schema}
            self._settle_notes()
            return content.finish(), content.rows
        finally:
            if content is not None:
                content.close()

    def _private_numbers(self, source: Path) -> set[str]:
        """Columns of whole numbers that hold private ones, such as telephones: they become texts, to be hidden in."""
        if "redact" not in self.tallies or self._redact is None:
            return set()
        whole = {name for name, kind in self._source.columns.items() if kind == "int64"} - {self._source.label}
        if not whole:
            return set()
        sample = profile.sample(source)
        return {
            name for name in whole
            if any(self._redact(str(value))[1] for value in sample[name][:_TRIED] if value is not None)
        }

    def _settle_notes(self) -> None:
        if (tally := self.tallies.get("redact")) is not None:
            if self._redact is None:
                tally.note = "skipped: nothing here can find private data"
            elif self._kinds:
                tally.note = ", ".join(f"{kind}: {count:,}" for kind, count in sorted(self._kinds.items()))

    def _batch(self, batch: Any) -> Any:
        changed = numpy.zeros(batch.num_rows, bool)
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for step in ("fix_text", "normalize", "redact"):
            tally = self.tallies.get(step)
            if tally is None or (step == "redact" and self._redact is None):
                continue
            began = time.perf_counter()
            touched = numpy.zeros(batch.num_rows, bool)
            for name in self._columns(batch.schema, step):
                columns[name] = self._column(name, columns[name], tally, touched)
            tally.changed += int(touched.sum())
            tally.seconds += time.perf_counter() - began
            changed |= touched
        made = pa.RecordBatch.from_arrays([columns[name] for name in batch.schema.names], schema=batch.schema)
        if "drop_empty" in self.tallies:
            keep = self._full(made)
            made, changed = made.filter(pa.array(keep)), changed[keep]
        self._changed += changed.astype("u1").tobytes()
        return made

    def _columns(self, schema: Any, step: str) -> list[str]:
        """What a step looks at: every column of texts, for private data may lie beside the text; a label is no such."""
        out = {"file"} if self._source.medium != "text" or self._source.columns.get("file") else set()
        if step == "redact" and self._source.label:
            out.add(self._source.label)
        nested = {name for name in self._source.text if pa.types.is_list(schema.field(name).type)}
        return [f.name for f in schema if f.name in nested or (pa.types.is_string(f.type) and f.name not in out)]

    def _column(self, name: str, column: Any, tally: Tally, touched: Any) -> Any:
        values = column.to_pylist()
        for index, value in enumerate(values):
            if value is None or value == "":
                continue
            kinds: Counter[str] = Counter()
            made = texts.over(value, partial(self._step, tally.step, kinds))
            if made == value:
                continue
            values[index] = made
            touched[index] = True
            if tally.step == "redact":
                self._kinds += kinds
                tally.show({"column": name, "kinds": {kind: count for kind, count in kinds.items()}})
            elif len(tally.examples) < SHOWN:
                before, after = texts.around(self._safe(value), self._safe(made))
                tally.show({"column": name, "before": before, "after": after})
        return pa.array(values, column.type)

    def _step(self, step: str, kinds: Counter[str], text: str) -> str:
        if step == "fix_text":
            return texts.fix(text)
        if step == "normalize":
            return texts.normalize(text)
        assert self._redact is not None
        made, found = self._redact(text)
        kinds.update(found)
        return made

    def _safe(self, value: Any) -> str:
        """A value as it may be shown in a report: without what is private."""
        text = value if isinstance(value, str) else str(value)
        return self._redact(text)[0] if self._redact else text

    def _full(self, batch: Any) -> Any:
        tally = self.tallies["drop_empty"]
        began = time.perf_counter()
        keep = numpy.ones(batch.num_rows, bool)
        one = self._source
        needed = [*one.text, *([one.label] if one.label else [])]
        for name in needed or batch.schema.names:
            empty = numpy.array([texts.blank(value) for value in batch.column(name).to_pylist()], bool)
            keep = keep & ~empty if needed else keep
            if name in needed:
                for index in numpy.flatnonzero(empty)[:SHOWN].tolist():
                    row = {key: profile.shown(value) for key, value in batch.slice(index, 1).to_pylist()[0].items()}
                    tally.show({"column": name, "dropped": {key: self._brief(value) for key, value in row.items()}})
        if not needed:
            rows = batch.to_pylist()
            keep = numpy.array([not all(texts.blank(value) for value in row.values()) for row in rows], bool)
        tally.dropped += int((~keep).sum())
        tally.seconds += time.perf_counter() - began
        return keep

    def _brief(self, value: Json) -> Json:
        return texts.around(self._safe(value), "")[0] if isinstance(value, str) else value

    def _dedupe(self, staged: Path) -> Any:
        tally = self.tallies["dedupe"]
        began = time.perf_counter()
        one = self._source
        found = near.prints(staged, one.text, one.label, self._work, self._tell)
        first = near.firsts(found.keys)
        keep = first == numpy.arange(len(first))
        why: dict[int, tuple[int, str]] = {
            int(row): (int(first[row]), "the same") for row in numpy.flatnonzero(~keep)[:SHOWN]
        }
        exact = int((~keep).sum())
        torn = int((found.labels != found.labels[first]).sum())
        nearly = other = 0
        if found.sketches is not None:
            close = sorted(near.pairs(found, numpy.flatnonzero(keep), near.ALIKE, self._tell, labels=found.labels))
            for earlier, later in close:
                if found.labels[earlier] != found.labels[later]:
                    other += 1
                elif keep[earlier] and keep[later]:
                    keep[later] = False
                    nearly += 1
                    if nearly <= SHOWN:
                        why[later] = (earlier, "nearly the same")
        tally.dropped = exact + nearly
        notes = [f"{exact:,} the same, {nearly:,} nearly the same"]
        notes += [f"{torn:,} of the same had another label than the first, which stays"] if torn else []
        notes += [f"{other:,} pairs are nearly the same but for their labels, and stay"] if other else []
        tally.note = "; ".join(notes)
        self._show_copies(staged, why, tally)
        tally.seconds = time.perf_counter() - began
        return keep

    def _show_copies(self, staged: Path, why: dict[int, tuple[int, str]], tally: Tally) -> None:
        wanted = {row for later, (earlier, _) in why.items() for row in (earlier, later)}
        names = [name for name in self._source.text] or list(self._source.columns)
        said: dict[int, str] = {}
        for row, values in _rows(staged, wanted, names):
            said[row] = "\n".join(str(profile.shown(value)) for value in values)
        near_first = sorted(why.items(), key=lambda item: (item[1][1] == "the same", item[0]))
        chosen = [*near_first[:2], *near_first[-1:]] if len(near_first) > 2 else near_first
        for later, (earlier, how) in chosen:
            before, after = texts.around(self._safe(said[earlier]), self._safe(said[later]))
            tally.show({"kept": before, "dropped": after, "because": how})

    def _kept(self, staged: Path, keep: Any) -> tuple[Path, tuple[str, int]]:
        target = self._work / "kept.parquet"
        made = chosen(staged, keep, target, self._tell)
        staged.unlink()
        return target, made


def _spell(batch: Any, columns: set[str]) -> Any:
    """A batch with some columns of numbers as texts."""
    if not columns:
        return batch
    made = [c.cast(pa.string()) if n in columns else c for n, c in zip(batch.schema.names, batch.columns, strict=True)]
    return pa.RecordBatch.from_arrays(made, names=batch.schema.names)


def chosen(source: Path, keep: Any, target: Path, tell: Teller) -> tuple[str, int]:
    """Writes the rows of a stored file that are to be kept, in their order."""
    content: Content | None = None
    done = 0
    try:
        for batch in read(source):
            content = content or Content(target, batch.schema)
            content.write(batch.filter(pa.array(keep[done : done + batch.num_rows])))
            done += batch.num_rows
            tell(f"writing: {done:,} rows", done, len(keep), "")
        assert content is not None
        return content.finish(), content.rows
    finally:
        if content is not None:
            content.close()


def _rows(path: Path, wanted: set[int], columns: Sequence[str]) -> Iterator[tuple[int, list[Any]]]:
    done = 0
    for batch in read(path, list(columns)):
        for row in sorted(wanted):
            if done <= row < done + batch.num_rows:
                yield row, [batch.column(name)[row - done].as_py() for name in columns]
        done += batch.num_rows


def as_json(reports: Sequence[StepReport]) -> list[Json]:
    """Reports, fit for a manifest."""
    return [vars(replace(report)) for report in reports]
