"""`agentos runs`: the runs that made or measured models, one of them, and their curves."""

from __future__ import annotations

import json
import shutil
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agentos.config import load
from agentos.errors import UserError
from agentos.interfaces.client import Client
from agentos.interfaces.columns import Column, laid
from agentos.interfaces.session import Session
from agentos.interfaces.show import clean, colourful, moving, plain

_COLUMNS = (  # key, right-aligned, rank
    ("run", False, 0), ("kind", False, 3), ("state", False, 0), ("model", False, 0), ("base", False, 5),
    ("dataset", False, 2), ("method", False, 4), ("loss", True, 1), ("metric", False, 1), ("seconds", True, 2),
)
_TITLES = {"dataset": "data", "seconds": "time"}
_MARKS = {"running": "36", "succeeded": "32", "failed": "31", "cancelled": "33"}
_FIGURES = ("loss", "rate", "tokens_per_second", "memory", "accuracy", "macro_f1", "perplexity")
"""What can be plotted; with `held_out/` before it also the loss on rows that were held out."""


def runs(args: Namespace) -> int:
    """`agentos runs`, `agentos runs show RUN`, `agentos runs plot RUN … [--png FILE] [--metric NAME]`."""
    if args.action is not None and not args.run:
        raise UserError(f"which run? agentos runs {args.action} RUN; `agentos runs` lists them")
    if args.action == "show" and len(args.run) > 1:
        raise UserError(f"{len(args.run)} runs cannot be shown as one; show them one by one, or plot them together")
    if args.action == "plot" and args.metric.removeprefix("held_out/") not in _FIGURES:
        raise UserError(f"there is no figure {args.metric!r}; there are {', '.join(_FIGURES)}, held_out/loss")
    session = Session(load(), user=args.user, quiet=args.json)
    session.client.wait()
    session.printer.settle()
    if args.action == "plot":
        return _plot(session.client, args)
    if args.action == "show":
        return _show(session.client, args)
    found = listed(session.client)
    if args.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    room = shutil.get_terminal_size((80, 24)).columns - 1 if moving(sys.stdout) else 10_000
    print("\n".join(table(found, room, colourful(sys.stdout))))
    return 0


def events(client: Client, run: str) -> list[dict[str, Any]]:
    """What a run has told so far, in order.

    Raises:
        NotFound: there is no such run.
    """
    found: list[dict[str, Any]] = client.request("GET", f"/v1/training/{quote(run, safe='')}/events")["events"]
    return found


def table(listed: dict[str, Any], room: int, colour: bool = False) -> list[str]:
    """A listing as lines of at most so many columns, a summary first."""
    rows = listed["runs"]
    if not rows:
        return ["no runs"]
    total = listed["total"]
    head = f"{total} runs" if total != 1 else "1 run"
    lines = [head if total <= len(rows) else f"the newest {len(rows)} of {head}"]
    columns = [Column(_TITLES.get(key, key), right, rank) for key, right, rank in _COLUMNS]
    made = laid(columns, [[_cell(row, key) for key, _right, _rank in _COLUMNS] for row in rows], room)
    for number, line in enumerate(made):
        mark = _MARKS.get(rows[number - 1]["state"]) if colour and number else None
        lines.append(f"\x1b[{mark}m{line}\x1b[0m" if mark else line)
    return lines


def _cell(row: dict[str, Any], key: str) -> str:
    from agentos.types.units import show_seconds

    said = row.get(key)
    if said is None:
        return ""
    if key == "state" and said == "running" and row.get("done") is not None:
        return f"running {100 * row['done']:.0f}%"
    if key == "seconds":
        return show_seconds(said)
    return f"{said:.4g}" if key == "loss" else clean(str(said), lines=False)


def listed(client: Client) -> dict[str, Any]:
    """The newest runs."""
    return client.request("POST", "/v1/syscalls/training.runs", {"args": {}, "session": client.session})


def _show(client: Client, args: Namespace) -> int:
    run = args.run[0]
    told = events(client, run)
    row = next((row for row in listed(client)["runs"] if row["run"] == run), {"run": run})
    if args.json:
        print(json.dumps({"run": row, "events": told}, ensure_ascii=False))
    else:
        print("\n".join(shown(row, told, plain(sys.stdout))))
    return 0


def shown(row: dict[str, Any], told: list[dict[str, Any]], ascii_only: bool = False) -> list[str]:
    """A run's line of the listing, its curve in one line, its figures and what it noted, a line each."""
    from agentos.interfaces.plots import curve, sparkline
    from agentos.types.units import show_seconds

    lines = [f"{_TITLES.get(key, key)}: {cell}" for key, *_ in _COLUMNS if (cell := _cell(row, key))]
    points = curve(told, "loss")
    if points:
        drawn = "" if ascii_only else f"  {sparkline([value for _, value in points], 40)}"
        lines.append(f"curve: {points[0][1]:.4g} to {points[-1][1]:.4g} in {points[-1][0]} updates{drawn}")
    measured: list[dict[str, Any]] = [event["metric"] for event in told if isinstance(event.get("metric"), dict)]
    last = measured[-1] if measured else {}
    lines += [f"held out, {clean(str(name), lines=False)}: {value:.4g}" for name, value in last.items()]
    for event in reversed(told):
        if event.get("kind") == "step":
            if event.get("eta") and row.get("state") == "running":
                lines.append(f"left: {show_seconds(event['eta'])}")
            break
    return lines + [f"note: {clean(str(event.get('text')), lines=False)}" for event in told if event["kind"] == "note"]


def _plot(client: Client, args: Namespace) -> int:
    from agentos.interfaces import plots

    curves = {clean(run, lines=False): plots.curve(events(client, run), args.metric) for run in args.run}
    if args.json:
        print(json.dumps({"metric": args.metric, "curves": curves}, ensure_ascii=False))
    elif not any(curves.values()):
        raise UserError(f"no {args.metric} has been told by {', '.join(curves)} yet; nothing was drawn")
    if args.png:
        try:
            plots.png(curves, Path(args.png), args.metric)
        except OSError as error:
            raise UserError(f"{args.png!r} cannot be written: {error.strerror or error}") from error
    if args.json:
        return 0
    if args.png:
        print(args.png)
        return 0
    size = shutil.get_terminal_size((80, 24))
    width, height = (size.columns, min(30, size.lines - 2)) if moving(sys.stdout) else (80, 20)
    print(args.metric)
    print(plots.terminal(curves, width, height, colourful(sys.stdout), plain(sys.stdout)))
    return 0
