"""What is told of stored data sets."""

from __future__ import annotations

from agentos.datasets import profile
from agentos.datasets.shelf import DATA, Stored
from agentos.types import DatasetAdded, DatasetCard, DatasetList, DatasetRow, LabelCount

_WORDS = {
    "string": "text", "int64": "whole number", "double": "number", "date32[day]": "date", "timestamp[us]": "time",
    "bool": "yes or no", "binary": "bytes",
}


def listing(stored: list[Stored]) -> DatasetList:
    """Data sets, by name."""
    return DatasetList([
        DatasetRow(one.name, one.rows, one.size, tuple(one.columns), one.label or "", one.source, one.user)
        for one in stored
    ])


def added(stored: Stored, new: bool) -> DatasetAdded:
    """What was read, and what was guessed about it."""
    return DatasetAdded(
        stored.name, stored.rows, tuple(stored.columns), stored.size, stored.seconds, stored.guessed, stored.skipped,
        new,
    )


def card(stored: Stored, rows: int) -> DatasetCard:
    """All that is known of a data set; reads its first rows."""
    columns = {name: _WORDS.get(kind, kind) for name, kind in stored.columns.items()}
    for name in stored.text:
        columns[name] = stored.medium if stored.medium != "text" else f"{columns[name]}, which a model reads"
    if stored.label:
        columns[stored.label] += f", the label: {len(stored.balance):,} values"
    balance = [LabelCount(label, count, round(count / stored.rows, 4)) for label, count in stored.balance.items()]
    return DatasetCard(
        stored.name, stored.rows, stored.size, stored.sha256, columns, stored.text, stored.label or "", balance,
        stored.lengths, stored.source, list(stored.lineage), stored.guessed, stored.created,
        profile.first(stored.path / DATA, rows) if rows > 0 else [],
    )
