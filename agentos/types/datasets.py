"""What the data set syscalls take and give back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agentos.types.calls import Json
from agentos.types.units import Bytes, Count, Seconds, Timestamp

CleaningStep = Literal[
    "dedupe", "drop_empty", "fix_text", "normalize", "redact", "pixels", "ocr", "features", "voice"
]
Medium = Literal["text", "image", "audio"]
Redact = Callable[[str], tuple[str, Mapping[str, int]]]
"""A text without its private values, and how many there were of each kind; the same value always in the same way."""


@dataclass(frozen=True)
class DataFile:
    """A data set as a run reads it."""

    name: str
    path: Path
    """A Parquet file that never changes."""
    sha256: str
    """Of its content, whatever it is called."""
    rows: int
    text: tuple[str, ...]
    """Columns that a model reads: one, or two where it reads pairs."""
    label: str | None
    """The column of what it is to say."""
    labels: tuple[str, ...] = ()
    """Every label, in order."""
    medium: Medium = "text"


@dataclass(frozen=True)
class DatasetRow:
    """One data set in a listing."""

    dataset: str
    rows: Count
    size: Bytes
    columns: tuple[str, ...]
    label: str = ""
    """The column of labels, where there is one."""
    source: str = ""
    """The file or folder it was read from, or the data set it was made of."""
    user: str = ""


@dataclass(frozen=True)
class DatasetList:
    """Data sets, by name."""

    datasets: list[DatasetRow]


@dataclass(frozen=True)
class DatasetAdded:
    """A data set that was read and stored, and what was guessed about it."""

    dataset: str
    rows: Count
    columns: tuple[str, ...]
    size: Bytes
    seconds: Seconds
    guessed: tuple[str, ...] = ()
    """What was guessed, in words: encoding, separator, which column is which."""
    skipped: Count = 0
    """Lines that could not be read; the first ones are named in `guessed`."""
    fetched: bool = True
    """False where the very same content was stored under that name already."""


@dataclass(frozen=True)
class DatasetDeleted:
    """A data set that was deleted and can be brought back until `until`."""

    dataset: str
    freed: Bytes
    """Once the time to undo has passed."""
    undo: str
    """What to give `kernel.undo`."""
    until: Timestamp


@dataclass(frozen=True)
class Lengths:
    """How long the texts of a column are, in characters."""

    column: str
    least: Count
    median: Count
    p95: Count
    most: Count


@dataclass(frozen=True)
class LabelCount:
    """How many rows bear a label."""

    label: str
    rows: Count
    share: float


@dataclass(frozen=True)
class DatasetCard:
    """All that is known of one data set, and its first rows."""

    dataset: str
    rows: Count
    size: Bytes
    sha256: str
    columns: dict[str, str]
    """Each column and what it holds."""
    text: tuple[str, ...]
    label: str
    balance: list[LabelCount]
    """Its labels, the most frequent first."""
    lengths: list[Lengths]
    source: str
    lineage: list[str]
    """What it was made of, from the raw file on."""
    guessed: tuple[str, ...]
    created: Timestamp
    sample: list[Json] = field(default_factory=list)
    """The first rows."""


@dataclass(frozen=True)
class StepReport:
    """What one step of cleaning did."""

    step: str
    changed: Count
    """Rows whose text is another one now."""
    dropped: Count
    seconds: Seconds
    examples: list[Json] = field(default_factory=list)
    """A few of them, before and after; of private data, the kinds alone."""
    note: str = ""


@dataclass(frozen=True)
class Cleaned:
    """A data set that was made of another one; that stays as it is."""

    dataset: str
    source: str
    rows: Count
    dropped: Count
    changed: Count
    steps: list[StepReport]


@dataclass(frozen=True)
class Splitted:
    """Two data sets that were made of one; no text, nor a near copy of one, is in both."""

    train: str
    test: str
    train_rows: Count
    test_rows: Count
    stratified: bool
    """Whether both have the labels in the same shares."""
    together: Count = 0
    """Rows that went where a copy of theirs did."""
    seed: Count = 0
