"""What an evaluation found, as a table for people and as JSON."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from agentos.kernel.scoring import Score, Steps
from agentos.types import Json, Plan

_Z = 1.959964
"""Standard deviations either side that hold 95% of a normal distribution."""


@dataclass(frozen=True)
class Row:
    """One case: what was wanted, what came, and what it took."""

    id: str
    lang: str
    kind: str
    text: str
    expected: tuple[Steps, ...]
    plan: Plan
    score: Score
    seconds: float
    passes: int
    error: str = ""
    """Why there is no plan, where the planner failed."""


@dataclass(frozen=True)
class Rate:
    """`hits` of `of`, with its 95% interval (Wilson)."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        """Between 0 and 1; 0 where there was nothing to count."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The shares between which the true one lies, 95 times in 100."""
        if not self.of:
            return 0.0, 1.0
        spread = _Z * math.sqrt(self.share * (1 - self.share) / self.of + _Z**2 / (4 * self.of**2))
        middle, scale = self.share + _Z**2 / (2 * self.of), 1 + _Z**2 / self.of
        return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)

    def to_json(self) -> dict[str, Json]:
        """The rate as one JSON object."""
        low, high = self.interval
        return {"hits": self.hits, "of": self.of, "share": self.share, "low": low, "high": high}


@dataclass(frozen=True)
class Group:
    """The figures of one part of a suite."""

    name: str
    exact: Rate
    syscalls: Rate
    arguments: Rate
    median_ms: float
    p95_ms: float
    passes: float
    """Forward passes over the model's weights, at the median."""

    def to_json(self) -> dict[str, Json]:
        """The group as one JSON object."""
        return {
            "name": self.name, "cases": self.exact.of, "exact": self.exact.to_json(),
            "syscalls": self.syscalls.to_json(), "arguments": self.arguments.to_json(),
            "median_ms": self.median_ms, "p95_ms": self.p95_ms, "passes": self.passes,
        }


@dataclass(frozen=True)
class Report:
    """How a planner did on a suite; the rows are in the suite's order."""

    suite: str
    model: str
    rows: tuple[Row, ...]

    @property
    def total(self) -> Group:
        """Every case."""
        return _group("all", self.rows)

    @property
    def groups(self) -> list[Group]:
        """By kind, by language, and by both."""
        kinds = list(dict.fromkeys(row.kind for row in self.rows))
        langs = list(dict.fromkeys(row.lang for row in self.rows))
        parts = [(kind, [row for row in self.rows if row.kind == kind]) for kind in kinds]
        parts += [(lang, [row for row in self.rows if row.lang == lang]) for lang in langs]
        for kind in kinds:
            parts += [(f"{kind}/{lang}", [r for r in self.rows if (r.kind, r.lang) == (kind, lang)]) for lang in langs]
        return [_group(name, rows) for name, rows in parts if rows]

    @property
    def over_acting(self) -> Rate:
        """Of the cases that should be answered in words, those acted on."""
        silent = [row for row in self.rows if not any(row.expected)]
        return Rate(sum(row.score.over_acted for row in silent), len(silent))

    @property
    def over_declining(self) -> Rate:
        """Of the cases that should be acted on, those answered in words or not at all."""
        active = [row for row in self.rows if all(row.expected)]
        return Rate(sum(row.score.over_declined or bool(row.error) for row in active), len(active))

    @property
    def failed(self) -> list[Row]:
        """The cases that were not exact."""
        return [row for row in self.rows if not row.score.exact]

    def shortfalls(
        self, exact: float = 0.0, over_acting: float = 1.0, over_declining: float = 1.0
    ) -> list[str]:
        """What misses its threshold, a sentence each; empty where all is met.

        Args:
            exact: The least share of exact plans.
            over_acting: The greatest share acted on of what should be declined.
            over_declining: The greatest share declined of what should be acted on.
        """
        found: list[str] = []
        if self.total.exact.share < exact:
            found.append(f"exact plans: {self.total.exact.share:.1%}, under the threshold of {exact:.1%}")
        for name, rate, most in (
            ("acted on what should be declined", self.over_acting, over_acting),
            ("declined what should be acted on", self.over_declining, over_declining),
        ):
            if rate.share > most:
                found.append(f"{name}: {rate.share:.1%}, over the threshold of {most:.1%}")
        return found

    def table(self, failures: int = 10) -> str:
        """The report for a terminal of 80 columns, with the first failed cases."""
        lines = [f"{self.suite}: {self.model or 'kernel'}, {len(self.rows)} cases", ""]
        lines.append(f"{'':<16}{'cases':>6}{'exact':>8}{'95%':>12}{'calls':>8}{'args':>8}{'median':>10}{'p95':>10}")
        for group in [self.total, *self.groups]:
            low, high = group.exact.interval
            lines.append(
                f"{group.name:<16}{group.exact.of:>6}{group.exact.share:>8.1%}{f'{low:.0%}-{high:.0%}':>12}"
                f"{group.syscalls.share:>8.1%}{group.arguments.share:>8.1%}"
                f"{f'{group.median_ms:.0f} ms':>10}{f'{group.p95_ms:.0f} ms':>10}"
            )
        lines += ["", f"forward passes at the median: {self.total.passes:g}"]
        for name, rate in (("acted, should decline", self.over_acting), ("declined, should act", self.over_declining)):
            low, high = rate.interval
            lines.append(f"{name}: {rate.hits} of {rate.of}, {rate.share:.1%} (95%: {low:.0%}-{high:.0%})")
        shown = self.failed[:failures]
        if shown:
            lines += ["", f"not exact: {len(self.failed)}, the first {len(shown)}:"]
        for row in shown:
            lines += ["", _fit(f"{row.id}  {row.text}")]
            lines.append(_fit(f"  wanted {_brief(row.expected[0])}"))
            lines.append(_fit(f"  got    {row.error or _brief(row.plan.steps)}"))
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Json]:
        """The whole report as one JSON object: figures, groups, and every failed case."""
        return {
            "suite": self.suite,
            "model": self.model,
            "total": self.total.to_json(),
            "groups": [group.to_json() for group in self.groups],
            "over_acting": self.over_acting.to_json(),
            "over_declining": self.over_declining.to_json(),
            "rows": [
                {"id": row.id, "exact": row.score.exact, "seconds": row.seconds, "passes": row.passes}
                for row in self.rows
            ],
            "failed": [
                {
                    "id": row.id,
                    "lang": row.lang,
                    "kind": row.kind,
                    "text": row.text,
                    "expected": [[step.to_json() for step in steps] for steps in row.expected],
                    "got": [step.to_json() for step in row.plan.steps],
                    "reply": row.plan.reply,
                    "error": row.error or None,
                    "syscalls": row.score.syscalls,
                    "arguments": row.score.arguments,
                }
                for row in self.failed
            ],
        }


def _group(name: str, rows: Iterable[Row]) -> Group:
    listed = list(rows)
    planned = [row for row in listed if not row.error]
    times = sorted(row.seconds * 1000 for row in planned) or [0.0]
    return Group(
        name,
        Rate(sum(row.score.exact for row in listed), len(listed)),
        Rate(sum(row.score.syscalls for row in listed), len(listed)),
        Rate(sum(row.score.arguments for row in listed), len(listed)),
        median(times),
        times[max(0, math.ceil(0.95 * len(times)) - 1)],
        median([row.passes for row in planned] or [0]),
    )


def _brief(steps: Steps) -> str:
    if not steps:
        return "(words, no call)"
    named = len(steps) > 1
    shown: list[str] = []
    for step in steps:
        args = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in step.args.items())
        waits = f" after {','.join(step.after)}" if step.after else ""
        shown.append(f"{step.id + ': ' if named else ''}{step.syscall}({args}){waits}")
    return "; ".join(shown)


def _fit(line: str, columns: int = 80) -> str:
    """The line on one row of the terminal; a Chinese character takes two columns."""
    flat = " ".join(line.split("\n"))
    kept, width = "", 0
    for char in flat:
        width += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if width > columns - 1:
            return kept + "…"
        kept += char
    return kept
