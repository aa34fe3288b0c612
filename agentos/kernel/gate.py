"""Whether a newly trained kernel may take the place of the one in force."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agentos.kernel.report import Report, Row

LEVEL = 0.05
"""A part of a suite counts as worse where chance alone would say so less often than this."""
ASKED = 0.1
"""Calibrated confidence under which a plan is asked about: it is then nine times as likely wrong as right.

Higher, and it would ask about too many plans over other packages' syscalls, of which it is less sure than it should be.
"""


@dataclass(frozen=True)
class Verdict:
    """What speaks against a candidate, a sentence each; nothing where it may be promoted."""

    against: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it may take the other's place."""
        return not self.against


def compare(before: Sequence[Report], after: Sequence[Report]) -> Verdict:
    """A candidate must be better on every suite, and on no part of one worse beyond noise.

    Args:
        before: What the kernel in force made of each suite.
        after: What the candidate made of the same ones, in the same order.
    """
    against: list[str] = []
    for old, new in zip(before, after, strict=True):
        was, now = old.total.exact, new.total.exact
        if now.hits <= was.hits:
            against.append(f"{new.suite}: {now.share:.1%} exact, and {was.share:.1%} before: not better")
        parts = {(row.kind, row.lang) for row in new.rows}
        for kind, lang in sorted(parts):
            lost, gained = _changed(_of(old, kind, lang), _of(new, kind, lang))
            if lost > gained and chance(gained, lost) < LEVEL:
                against.append(f"{new.suite}, {kind}/{lang}: {lost} plans lost and {gained} gained")
        for name, one, two in (
            ("acts on what should be declined", old.over_acting, new.over_acting),
            ("declines what should be acted on", old.over_declining, new.over_declining),
        ):
            if two.hits > one.hits and one.interval[1] < two.share:
                against.append(f"{new.suite}: {name} in {two.share:.1%}, and in {one.share:.1%} before")
    return Verdict(tuple(against))


def _of(report: Report, kind: str, lang: str) -> dict[str, Row]:
    return {row.id: row for row in report.rows if (row.kind, row.lang) == (kind, lang)}


def _changed(old: dict[str, Row], new: dict[str, Row]) -> tuple[int, int]:
    both = old.keys() & new.keys()
    lost = sum(old[name].score.exact and not new[name].score.exact for name in both)
    return lost, sum(new[name].score.exact and not old[name].score.exact for name in both)


def chance(gained: int, lost: int) -> float:
    """The exact two-sided p of McNemar's test: each case that one kernel alone plans right is a coin's throw."""
    count = gained + lost
    if count == 0:
        return 1.0
    tail: float = sum(math.comb(count, k) for k in range(min(gained, lost) + 1)) / float(2**count)
    return min(1.0, 2 * tail)


def slope(told: Sequence[tuple[float, bool]]) -> float:
    """The power that plans' probabilities are raised to so that they are right as often as they say.

    Temperature scaling (Guo et al. 2017) of the whole plan's probability, by the least log loss.

    Args:
        told: Of each plan, its probability and whether it was right.
    """
    if not told or len({right for _, right in told}) < 2:
        return 1.0

    def loss(power: float) -> float:
        total = 0.0
        for probability, right in told:
            sure = min(max(probability**power, 1e-6), 1 - 1e-6)
            total -= math.log(sure if right else 1 - sure)
        return total

    return min((0.1 * step for step in range(1, 81)), key=loss)


def calibration_error(told: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    """The expected calibration error: by how much confidence and share of right plans differ, over equal bins."""
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        some = [(sure, right) for sure, right in told if low <= sure < high or (sure >= 1.0 and number == bins - 1)]
        if some:
            sure = sum(one for one, _ in some) / len(some)
            right = sum(one for _, one in some) / len(some)
            total += len(some) / len(told) * abs(sure - right)
    return total
