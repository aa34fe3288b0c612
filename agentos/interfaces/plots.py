"""A run's figures as curves: in a terminal, as an image, and in one line."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Points = list[tuple[int, float]]
_BLOCKS = "▁▂▃▄▅▆▇█"
_MARKERS = ("braille", "x", "o", "+", "*", "#", "%", "@")
"""How curves are told apart without colours."""
_COLOURS = ("cyan", "orange", "green", "magenta", "red", "blue", "white", "gray")
_ASCII = str.maketrans("┌┐└┘├┤┬┴┼─│", "+++++++++-|")
_FACTOR = 20.0
"""How many times the least value the greatest must be for a log scale to show more."""
_IMAGE = 4000
"""Points of a curve in an image, at most."""


def curve(events: Sequence[Mapping[str, Any]], name: str) -> Points:
    """One figure of a run over its updates; what a run did again after it was cut short counts once.

    Args:
        events: The run's, in order.
        name: `loss`, `rate`, `tokens_per_second`, `memory` of an update; `accuracy`, `macro_f1`, `perplexity` on the
            rows that were held out; with `held_out/` before it, any figure of those rows.
    """
    held = name.startswith("held_out/")
    key = name.removeprefix("held_out/")
    found: dict[int, float] = {}
    for event in events:
        kind, at = event.get("kind"), event.get("step")
        if not isinstance(at, int):
            continue
        if kind == "resume":
            found = {step: value for step, value in found.items() if step <= at}
        metric = event.get("metric")
        said = event.get(key) if kind == "step" and not held else None
        if said is None and isinstance(metric, Mapping) and (held or key != "loss"):
            said = metric.get(key)
        if isinstance(said, int | float) and math.isfinite(said):
            found[at] = float(said)
    return sorted(found.items())


def thinned(points: Points, most: int) -> Points:
    """At most so many points, the first, the last and the least and greatest of every stretch among them."""
    if len(points) <= most:
        return points
    stretches = max(1, most // 2 - 1)
    kept = {0, len(points) - 1}
    for part in range(stretches):
        span = range(part * len(points) // stretches, (part + 1) * len(points) // stretches)
        kept |= {min(span, key=lambda at: points[at][1]), max(span, key=lambda at: points[at][1])}
    return [points[at] for at in sorted(kept)]


def logarithmic(curves: Mapping[str, Points]) -> bool:
    """Whether a log scale shows more: all values are above 0, and the greatest is 20 times the least."""
    values = [value for points in curves.values() for _step, value in points]
    return bool(values) and min(values) > 0 and max(values) / min(values) >= _FACTOR


def terminal(
    curves: Mapping[str, Points], width: int = 80, height: int = 20, colour: bool = False, plain: bool = False
) -> str:
    """Curves drawn with letters, at most so many columns and lines; empty where there is no point.

    Args:
        curves: Points by name; the names stand above them.
        width: Columns.
        height: Lines.
        colour: Whether curves are told apart by colours and not by what they are drawn with.
        plain: Whether nothing but ASCII may be written.
    """
    shown = {name: thinned(_finite(points), 4 * width) for name, points in curves.items()}
    shown = {name: points for name, points in shown.items() if points}
    if not shown:
        return ""
    plt: Any = importlib.import_module("plotext")
    plt.clear_figure()
    plt.plotsize(width, max(6, height - 1))
    plt.theme("clear")
    log = logarithmic(shown)
    legend = []
    for number, (name, points) in enumerate(shown.items()):
        marker = _MARKERS[0] if colour and not plain else _MARKERS[(number + plain) % len(_MARKERS)]
        if marker == "braille" and len(points) == 1:
            marker = "•"
        look: dict[str, Any] = {"marker": marker}
        said = f"{'⠒' if marker == 'braille' else marker} {name}"
        if colour:
            look["color"] = _COLOURS[number % len(_COLOURS)]
            said = str(plt.colorize(said, look["color"]))
        legend.append(said if len(shown) > 1 else name)
        plt.plot([step for step, _ in points], [math.log10(one) if log else one for _, one in points], **look)
    _axes(plt, shown, log, height)
    drawn = "   ".join([*legend, *(["(log scale)"] if log else [])]) + "\n" + str(plt.build()).rstrip("\n")
    plt.clear_figure()
    drawn = drawn if colour else re.sub(r"\x1b\[[0-9;]*m", "", drawn)
    drawn = drawn.translate(_ASCII) if plain else drawn
    return "\n".join(line.rstrip() for line in drawn.split("\n"))


def _axes(plt: Any, shown: Mapping[str, Points], log: bool, height: int) -> None:
    """Ticks as people write them: plotext would give fractions of an update."""
    steps = [step for points in shown.values() for step, _ in points]
    values = [value for points in shown.values() for _, value in points]
    first, last = min(steps), max(steps)
    at = sorted({round(first + (last - first) * part / 4) for part in range(5)})
    plt.xticks(at, [f"{step:,}" for step in at])
    least, most = (math.log10(end) if log else end for end in (min(values), max(values)))
    if most - least < 1e-12 * max(1.0, abs(most)):
        margin = abs(most) * 0.1 or 1.0
        least, most = least - margin, most + margin
        plt.ylim(least, most)
    count = max(2, min(6, height // 4))
    ticks = [least + (most - least) * part / count for part in range(count + 1)]
    plt.yticks(ticks, [f"{10 ** tick if log else tick:.3g}" for tick in ticks])


def png(curves: Mapping[str, Points], path: Path, name: str = "loss") -> None:
    """Curves as an image.

    Args:
        curves: Points by name; their names are the legend.
        path: The file, replaced where it is there.
        name: What the figures are.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shown = {label: _finite(points) for label, points in curves.items()}
    for label, points in shown.items():
        some = thinned(points, _IMAGE)
        look: dict[str, Any] = {"marker": "o", "markersize": 3} if len(some) <= 30 else {}
        axes.plot([step for step, _ in some], [value for _, value in some], label=label, linewidth=1.2, **look)
    if logarithmic(shown):
        axes.set_yscale("log")
    axes.set_xlabel("update")
    axes.set_ylabel(name)
    axes.grid(visible=True, alpha=0.3)
    if any(shown.values()):
        axes.legend(frameon=False)
    else:
        axes.text(0.5, 0.5, "no points yet", ha="center", va="center", transform=axes.transAxes)
    figure.savefig(path, format="png")


def sparkline(values: Sequence[float], width: int = 20) -> str:
    """Values as a line of blocks, the means of stretches where there are more than columns."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite or width < 1:
        return ""
    count = min(width, len(finite))
    parts = [finite[at * len(finite) // count : (at + 1) * len(finite) // count] for at in range(count)]
    means = [math.fsum(part) / len(part) for part in parts]
    least, most = min(means), max(means)
    if most - least <= 1e-12 * max(abs(least), abs(most)):
        return _BLOCKS[3] * count
    top = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round(top * (mean - least) / (most - least))] for mean in means)


def _finite(points: Points) -> Points:
    return [(step, value) for step, value in points if math.isfinite(value)]

