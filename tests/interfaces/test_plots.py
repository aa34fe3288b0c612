"""Curves of runs, and the lines that show runs."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentos.interfaces import plots
from agentos.interfaces.commands_training import events, shown, table

FALLING = [(step, 3 * math.exp(-step / 50) + 0.05) for step in range(1, 300)]


def step(at: int, **said: Any) -> dict[str, Any]:
    return {"kind": "step", "step": at, **said}


def test_a_curve_is_of_the_figure_that_was_asked_for() -> None:
    told: list[dict[str, Any]] = [
        {"kind": "start", "step": 0}, step(1, loss=2.0, rate=0.1), step(2, loss=1.5, rate=0.2),
        {"kind": "eval", "step": 2, "metric": {"loss": 9.0, "accuracy": 0.5}}, {"kind": "note", "step": 2},
    ]
    assert plots.curve(told, "loss") == [(1, 2.0), (2, 1.5)]
    assert plots.curve(told, "rate") == [(1, 0.1), (2, 0.2)]
    assert plots.curve(told, "accuracy") == [(2, 0.5)]
    assert plots.curve(told, "held_out/loss") == [(2, 9.0)]
    assert plots.curve(told, "perplexity") == plots.curve([], "loss") == []


def test_what_is_no_number_is_no_point() -> None:
    told = [step(1, loss=math.nan), step(2, loss=math.inf), step(3), step(4, loss="high"), step(5, loss=1)]
    assert plots.curve(told, "loss") == [(5, 1.0)]


def test_updates_that_a_run_made_again_after_a_kill_count_once() -> None:
    told = [step(at, loss=float(at)) for at in (1, 4, 9)]
    told += [{"kind": "resume", "step": 4}, step(5, loss=50.0), step(10, loss=100.0)]
    assert plots.curve(told, "loss") == [(1, 1.0), (4, 4.0), (5, 50.0), (10, 100.0)]


def test_thinning_keeps_ends_least_and_greatest() -> None:
    points = [(at, math.sin(at / 500)) for at in range(100_000)]
    points[777], points[88_888] = (777, 9.0), (88_888, -9.0)
    few = plots.thinned(points, 300)
    assert len(few) <= 300
    assert {points[0], points[-1], points[777], points[88_888]} <= set(few)
    assert few == sorted(few)
    assert plots.thinned(points[:300], 300) == points[:300]


@pytest.mark.parametrize("several", [False, True])
def test_a_terminal_plot_keeps_to_its_columns_and_lines_without_colour(several: bool) -> None:
    curves = {"r1": FALLING, **({"r2": FALLING[:100]} if several else {})}
    drawn = plots.terminal(curves, 80, 20)
    lines = drawn.split("\n")
    assert len(lines) <= 20 and max(map(len, lines)) <= 80
    assert "\x1b" not in drawn
    assert ("r2" in lines[0]) is several and "r1" in lines[0]
    assert "(log scale)" in lines[0] and "299" in lines[-1]


def test_colour_comes_where_it_is_asked_for_and_ascii_where_nothing_else_can_be_shown() -> None:
    assert "\x1b[" in plots.terminal({"r1": FALLING, "r2": FALLING}, 80, 12, colour=True)
    assert plots.terminal({"r1": FALLING, "r2": [(1, 1.0)]}, 80, 12, plain=True).isascii()


def test_a_falling_curve_falls_from_left_to_right() -> None:
    lines = [line.partition("┤")[2] or line.partition("│")[2] for line in plots.terminal({"r": FALLING}).split("\n")]
    rows = [line.rstrip("│ ") for line in lines if line.strip("│ ")]
    starts = [len(row) - len(row.lstrip()) for row in rows if row.strip()]
    assert starts == sorted(starts) and starts[0] == 0 < starts[-1]


@pytest.mark.parametrize(
    "points", [[(5, 0.7)], [(1, 2.0), (2, 2.0)], [(1, 0.0), (2, -1.0)], [(1, math.nan), (2, math.inf), (3, 1.0)]]
)
def test_few_equal_negative_and_broken_points_are_drawn(points: list[tuple[int, float]], tmp_path: Path) -> None:
    assert len(plots.terminal({"r1": points}, 60, 10).split("\n")) >= 5
    plots.png({"r1": points}, tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_no_points_draw_nothing_in_a_terminal_and_say_so_in_an_image(tmp_path: Path) -> None:
    assert plots.terminal({"r1": [], "r2": [(1, math.nan)]}) == plots.terminal({}) == ""
    plots.png({"r1": []}, tmp_path / "none.png")
    assert (tmp_path / "none.png").stat().st_size > 1000


def test_a_curve_of_a_hundred_thousand_points_shows_its_one_spike() -> None:
    points = [(at, 2.0) for at in range(100_000)]
    points[50_000] = (50_000, 9.0)
    assert any("⢸" in line or "⡇" in line for line in plots.terminal({"r1": points}, 80, 12).split("\n")[2:6])


def test_a_log_scale_comes_where_values_span_much_and_all_are_above_nothing() -> None:
    assert plots.logarithmic({"r1": FALLING})
    assert not plots.logarithmic({"r1": [(1, 0.5), (2, 0.9)]})
    assert not plots.logarithmic({"r1": [(1, 0.0), (2, 100.0)]})
    assert not plots.logarithmic({})


def test_a_sparkline_goes_from_least_to_greatest_in_its_width() -> None:
    assert plots.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    line = plots.sparkline([value for _, value in FALLING], 12)
    assert len(line) == 12 and line[0] == "█" and line[-1] == "▁"
    assert plots.sparkline([1.0, math.nan, 1.0, math.inf]) == "▄▄"
    assert plots.sparkline([]) == plots.sparkline([1.0], 0) == ""


def test_a_sparkline_and_the_command_load_no_library_of_plots_and_no_torch() -> None:
    asked = (
        "import sys; from agentos.interfaces import plots, commands_training; plots.sparkline([1.0, 2.0]); "
        "sys.exit(any(name in sys.modules for name in ('plotext', 'matplotlib', 'numpy', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


ROW = {
    "run": "t3", "kind": "finetune", "state": "running", "model": "mine", "base": "bert", "dataset": "reviews",
    "method": "lora", "job": "j1", "user": "me", "started": 0, "seconds": 75.0, "loss": 0.25, "metric": "accuracy 0.9",
    "done": 0.42,
}


def test_runs_are_listed_in_a_line_each_that_fits() -> None:
    other = {**ROW, "run": "t2", "state": "failed", "loss": None, "seconds": None, "done": None, "model": "a\x1b[2Jb"}
    lines = table({"runs": [ROW, other], "total": 30}, 80)
    assert lines[0] == "the newest 2 of 30 runs"
    assert "running 42%" in lines[2] and "0.25" in lines[2] and "\x1b" not in "".join(lines)
    assert max(map(len, lines)) <= 80
    assert "\x1b[31m" in table({"runs": [other], "total": 1}, 200, colour=True)[2]
    assert table({"runs": [], "total": 0}, 80) == ["no runs"]


def test_a_run_is_shown_with_its_curve_its_figures_and_its_notes() -> None:
    told: list[dict[str, Any]] = [
        step(1, loss=2.0), step(8, loss=0.5, eta=30.0), {"kind": "eval", "step": 8, "metric": {"accuracy": 0.875}},
        {"kind": "note", "step": 8, "text": "smaller batches"},
    ]
    lines = shown(ROW, told)
    assert "curve: 2 to 0.5 in 8 updates  █▁" in lines
    assert "held out, accuracy: 0.875" in lines
    assert lines[-1] == "note: smaller batches"
    assert "\n".join(shown(ROW, told, ascii_only=True)).isascii()


def test_events_are_asked_of_the_run_that_was_named() -> None:
    class Asked:
        def request(self, method: str, path: str) -> dict[str, Any]:
            return {"run": "x", "events": [{"kind": "note", "text": f"{method} {path}"}]}

    assert events(Asked(), "t/3")[0]["text"] == "GET /v1/training/t%2F3/events"  # type: ignore[arg-type]
