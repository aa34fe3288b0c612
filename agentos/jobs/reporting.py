"""What a replay came to, for a person: a table with a line per policy, what was left out, and a plot."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agentos.jobs.simulation import PERCENTILES, Report

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

TICKS = [(1.0, "1s"), (10.0, "10s"), (MINUTE, "1m"), (600.0, "10m"), (HOUR, "1h"), (6 * HOUR, "6h"), (DAY, "1d"),
         (7 * DAY, "7d"), (30 * DAY, "30d"), (365 * DAY, "1y")]  # fmt: skip

HEADS = (
    "policy",
    "avg JCT",
    "p99 JCT",
    "avg wait",
    "p99 wait",
    "used",
    "makespan",
    "stops",
    "decisions",
    "each",
    "p99",
)


def text(reports: Sequence[Report]) -> str:
    """The figures as a table; JCT is the completion time, from submission to end."""
    first = reports[0]
    rows = [HEADS, *(_row(report) for report in reports)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADS))]
    lines = [f"{first.jobs} jobs on {first.gpus} GPUs; {first.restart:g} s charged per stop"]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([*lines, *(f"note: {note}" for note in first.notes)])


def plot(reports: Sequence[Report], width: int = 78, height: int = 18, color: bool = False) -> str:
    """How many of the jobs had ended after how long, a line per policy, for a terminal."""
    import plotext  # type: ignore[import-untyped, import-not-found, unused-ignore]

    plotext.clear_figure()
    plotext.theme("pro" if color else "clear")
    plotext.plot_size(width, height)
    plotext.title("jobs ended (%) by completion time")
    longest = math.log10(max(10.0, *(report.completions[-1] for report in reports)))
    for report in reports:
        logs = [math.log10(max(1.0, value)) for value in report.completions]
        plotext.plot(logs, PERCENTILES.tolist(), label=report.policy)
    shown = [(math.log10(at), name) for at, name in TICKS if math.log10(at) <= longest]
    plotext.xlim(0, longest)
    plotext.xticks([at for at, _ in shown], [name for _, name in shown])
    plotext.ylim(0, 100)
    plotext.yticks([0, 25, 50, 75, 100])
    built = str(plotext.build())
    return built if color else str(plotext.uncolorize(built))


def span(seconds: float) -> str:
    """A length of time in the unit that suits it."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f}{name}"
    return f"{seconds:.1f}s"


def _row(report: Report) -> tuple[str, ...]:
    return (
        report.policy,
        span(report.completion_mean),
        span(report.completion_p99),
        span(report.wait_mean),
        span(report.wait_p99),
        f"{report.utilisation:.1%}",
        span(report.makespan),
        str(report.stops),
        str(report.decisions),
        f"{report.decision_mean * 1e3:.3f}ms",
        f"{report.decision_p99 * 1e3:.3f}ms",
    )
