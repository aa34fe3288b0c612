"""Parts a data set in two that share no text, with each label's share the same in both."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from agentos.datasets import near, profile
from agentos.datasets.beside import Teller
from agentos.datasets.cleaning import chosen
from agentos.datasets.shelf import DATA, Built, Facts, Stored
from agentos.errors import UserError


@dataclass(frozen=True)
class Parted:
    """Which rows are for training, and how they were parted."""

    train: Any
    together: int
    """Rows that went where a copy of theirs did."""
    stratified: bool


def part(stored: Stored, train: float, seed: int, work: Path, tell: Teller) -> Parted:
    """Decides which rows are for training.

    Raises:
        UserError: there are too few rows that differ.
    """
    found = near.prints(stored.path / DATA, stored.text, stored.label, work, tell)
    tops = near.groups(found, tell)
    members: defaultdict[int, list[int]] = defaultdict(list)
    for row, top in enumerate(tops):
        members[top].append(row)
    if len(members) < 2:
        raise UserError(
            f"the {len(tops):,} rows of {stored.name!r} are all copies of each other, or nearly; they were not split"
        )
    by_label: defaultdict[int, list[list[int]]] = defaultdict(list)
    for rows in members.values():
        label, _ = Counter(found.labels[rows].tolist()).most_common(1)[0]
        by_label[label].append(rows)
    test: list[int] = []
    rng = random.Random(seed)
    for label in sorted(by_label):
        clusters = by_label[label]
        rng.shuffle(clusters)
        test += _some(clusters, round(sum(map(len, clusters)) * (1 - train)))
    if not test:
        test = min(members.values(), key=len)
    if len(test) == len(tops):
        largest = max(members.values(), key=len)
        test = sorted(set(test) - set(largest))
    chosen_rows = numpy.ones(len(tops), bool)
    chosen_rows[test] = False
    together = sum(len(rows) for rows in members.values() if len(rows) > 1)
    return Parted(chosen_rows, together, bool(stored.label) and _even(found.labels, chosen_rows))


def _some(clusters: list[list[int]], wanted: int) -> list[int]:
    """Rows of whole clusters, as near to the wanted number as they come; never all where there are two or more."""
    taken: list[int] = []
    left = len(clusters)
    if left > 1:
        wanted = max(wanted, 1)
    for rows in clusters:
        if left > 1 and len(taken) + len(rows) <= wanted:
            taken += rows
            left -= 1
        if len(taken) >= wanted:
            break
    if not taken and wanted and len(clusters) > 1:
        smallest = min(clusters, key=len)
        taken = list(smallest) if len(smallest) <= 2 * wanted else []
    return taken


def _even(labels: Any, train: Any) -> bool:
    """Whether each label's share differs by no more than two rows, or two in a hundred, between the parts."""
    for label in numpy.unique(labels):
        mine = labels == label
        shares = mine[train].mean(), mine[~train].mean()
        least = min(train.sum(), (~train).sum())
        if abs(shares[0] - shares[1]) > max(0.02, 2 / least):
            return False
    return True


def build(stored: Stored, keep: Any, target: Path, tell: Teller) -> Built:
    """One part, written."""
    sha256, rows = chosen(stored.path / DATA, keep, target, tell)
    shape = profile.measure(target, stored.text if stored.medium == "text" else (), stored.label, tell)
    facts = Facts(stored.text, stored.label, stored.medium, stored.guessed, 0, shape.balance, shape.lengths)
    return Built(target, sha256, rows, stored.columns, facts)
