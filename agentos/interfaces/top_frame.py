"""What `agentos top` shows, as lines that fit a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentos.interfaces.columns import Column, laid
from agentos.interfaces.commands_ps import budgets, table
from agentos.interfaces.show import bar, clean, clip, width
from agentos.interfaces.words import Say
from agentos.types.units import show_bytes, show_seconds

SORTS = ("memory", "cpu", "name")
_LABEL = 8
_JOBS = (("id", False, 0), ("name", False, 0), ("state", False, 0), ("progress", True, 1), ("time", True, 2),
         ("user", False, 3))
_PROCESS = (("pid", True, 0), ("name", False, 0), ("cpu", True, 1), ("memory", True, 0))
_LEVELS = ((90.0, "red"), (70.0, "yellow"), (0.0, "green"))


@dataclass(frozen=True)
class Line:
    """One line and how it looks: `""`, `head`, `green`, `yellow` or `red`."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class View:
    """How a person wants it."""

    columns: int
    lines: int
    sort: str = "memory"
    paused: bool = False
    ascii: bool = False
    keys: bool = True


def frame(seen: dict[str, Any], view: View, say: Say) -> list[Line]:
    """The whole screen; tables share the lines that the machine's figures leave."""
    machine = seen["machine"]
    made = [_head(seen, view, say), *_figures(machine, view, say)]
    left = view.lines - len(made)
    models = _models(seen["models"], view, say)
    jobs = _jobs(seen["jobs"], view, say)
    # A third of the room each for models and jobs, more where the others need less.
    models = models[: max(3, left // 3, left - len(jobs) - 6)]
    jobs = jobs[: max(1, left // 3, left - len(models) - 6)]
    left -= len(models) + len(jobs)
    processes = _processes(machine["processes"], view, say)[: max(0, left)]
    made += [*models, *jobs, *(processes if len(processes) > 1 else [])]
    return [Line(clip(line.text, view.columns), line.style) for line in made[: view.lines]]


def _head(seen: dict[str, Any], view: View, say: Say) -> Line:
    parts = [f"agentos {seen.get('version') or ''}".rstrip()]
    if seen.get("uptime"):
        parts.append(say("top_up", show_seconds(round(seen["uptime"]))))
    parts.append(time.strftime("%H:%M:%S", time.localtime(seen["machine"]["time"])))
    if view.paused:
        parts.append(say("top_paused"))
    left = "  ".join(parts)
    keys = say("top_keys", say(f"sort_{view.sort}")) if view.keys else ""
    gap = view.columns - width(left) - width(keys)
    return Line(f"{left}{' ' * gap}{keys}" if keys and gap > 1 else left, "head")


def _figures(machine: dict[str, Any], view: View, say: Say) -> list[Line]:
    cpu, memory = machine["cpu"], machine["memory"]
    load = " ".join(f"{value:.2f}" for value in cpu["load"])
    more = [say("top_cores", cpu["cores"]), *([say("top_load", load)] if load else [])]
    lines = [_gauge(say("top_cpu"), cpu["used"] if machine["each"] else None, "  ".join(more), view)]
    lines += _cores(machine["each"], view)
    taken = say("top_of", show_bytes(memory["used"]), show_bytes(memory["limit"] or memory["total"]))
    if memory["swap_total"]:
        taken += "  " + say("top_swap", show_bytes(memory["swap_used"]), show_bytes(memory["swap_total"]))
    lines.append(_gauge(say("top_memory"), memory["percent"], taken, view))
    for gpu in machine["gpus"]:
        lines += _gpu(gpu, view, say)
    for disk in machine["disks"][:3]:
        free = say("top_free", show_bytes(disk["free"]), show_bytes(disk["total"]))
        lines.append(_gauge(say("top_disk"), disk["percent"], f"{clean(disk['mount'], lines=False)}  {free}", view))
    if machine["disk_rate"]:
        lines.append(Line(_label(say("top_disk")) + _flow("top_io", machine["disk_rate"], say)))
    links = [link for link in machine["links"] if link["rate"]]
    links.sort(key=lambda link: (link["interface"].startswith("lo"), -link["rate"]["read"] - link["rate"]["written"]))
    for link in links[:2]:
        lines.append(Line(f"{_label(say('top_net'))}{clean(link['interface'], lines=False)}  "
                          f"{_flow('top_flow', link['rate'], say)}"))
    return lines


def _flow(key: str, rate: dict[str, float], say: Say) -> str:
    return say(key, show_bytes(rate["read"]), show_bytes(rate["written"]))


def _label(text: str) -> str:
    return text + " " * max(1, _LABEL - width(text))


def _gauge(label: str, share: float | None, more: str, view: View) -> Line:
    cells = max(8, min(24, view.columns - 56))
    if share is None:
        return Line(f"{_label(label)}{' ' * cells}      -  {more}")
    style = next(name for level, name in _LEVELS if share >= level)
    return Line(f"{_label(label)}{bar(share, cells, view.ascii)} {share:5.1f}%  {more}", style)


def _cores(each: Sequence[float], view: View) -> list[Line]:
    """Each core's use: bars for a few, one mark each for many."""
    if len(each) < 2:
        return []
    room = view.columns - _LABEL
    if len(each) <= 8:
        shown = [f"{number} {bar(share, 8, view.ascii)} {share:3.0f}%" for number, share in enumerate(each)]
        a_line = max(1, (room + 2) // (width(shown[0]) + 2))
        parts = ["  ".join(shown[at : at + a_line]) for at in range(0, len(shown), a_line)]
    else:
        marks = "0123456789" if view.ascii else "▁▂▃▄▅▆▇█"
        text = "".join(marks[min(len(marks) - 1, int(share * len(marks) / 100))] for share in each)
        parts = [text[at : at + room] for at in range(0, len(text), room)]
    return [Line(" " * _LABEL + part) for part in parts[:3]]


def _gpu(gpu: dict[str, Any], view: View, say: Say) -> list[Line]:
    parts = []
    if gpu["memory_total"]:
        parts.append(say("top_of", show_bytes(gpu["memory_used"] or 0), show_bytes(gpu["memory_total"])))
    if gpu["temperature_c"] is not None:
        parts.append(f"{gpu['temperature_c']:.0f} °C")
    if gpu["power_watts"] is not None:
        parts.append(f"{gpu['power_watts']:.0f} W")
    parts.append(clean(gpu["name"], lines=False))
    return [_gauge(f"GPU {gpu['index']}", gpu["used"], "  ".join(parts), view)]


def _models(listed: dict[str, Any], view: View, say: Say) -> list[Line]:
    rows = [row for row in listed["models"] if row.get("live")]
    keys = {"memory": lambda row: -row["live"]["memory"], "cpu": lambda row: -row["live"]["tokens_per_second"],
            "name": lambda row: row["model"]}
    rows.sort(key=keys[view.sort])
    made = _styled(table(rows, say, view.columns)) if rows else [Line(say("no_models"))]
    return [*made, *(Line(text) for text in budgets(listed, say, view.columns))]


def _jobs(jobs: dict[str, Any], view: View, say: Say) -> list[Line]:
    running, queued = jobs["running"], jobs["queued"]
    head = Line(say("top_jobs", running["total"], queued["total"]), "head")
    rows = [
        [row["id"], clean(row["name"], lines=False), row["state"],
         "" if row["progress"] is None else f"{row['progress']:.0f}%",
         "" if row["runtime"] is None else show_seconds(round(row["runtime"])), clean(row["user"], lines=False)]
        for row in [*running["jobs"], *queued["jobs"]]
    ]
    columns = [Column(say(f"job_{key}"), right, rank) for key, right, rank in _JOBS]
    return [head, *_styled(laid(columns, rows, view.columns), head="")] if rows else [head]


def _processes(found: list[dict[str, Any]], view: View, say: Say) -> list[Line]:
    keys = {"memory": lambda one: -(one["memory"] or 0), "cpu": lambda one: -(one["cpu"] or 0.0),
            "name": lambda one: one["name"]}
    rows = [
        [str(one["pid"]), clean(one["name"], lines=False), "-" if one["cpu"] is None else f"{one['cpu']:.1f}%",
         "" if one["memory"] is None else show_bytes(one["memory"])]
        for one in sorted(found, key=keys[view.sort])
    ]
    columns = [Column(say(f"process_{key}"), right, rank) for key, right, rank in _PROCESS]
    return _styled(laid(columns, rows, view.columns))


def _styled(lines: list[str], head: str = "head") -> list[Line]:
    return [Line(text, "" if number else head) for number, text in enumerate(lines)]
