"""`agentos ps`: models in memory or on their way there, what they do and when they leave."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import Any

from agentos.config import load
from agentos.interfaces.columns import Column, laid
from agentos.interfaces.live import redraw
from agentos.interfaces.session import Session
from agentos.interfaces.show import clean, clip, colourful, moving
from agentos.interfaces.words import Say
from agentos.types.units import show_bytes, show_seconds

_MARKS = {"busy": "32", "loading": "36", "waiting": "33", "restarting": "31", "unloading": "2"}
_TITLES = (  # key of the word, right-aligned, rank
    ("model", False, 0), ("engine", False, 4), ("state", False, 0), ("device", False, 7), ("memory", True, 0),
    ("gpu_memory", True, 2), ("requests", True, 3), ("rate", True, 1), ("served", True, 8), ("leaves", True, 1),
    ("replicas", True, 5), ("restarts", True, 6), ("cost", True, 9),
)


def ps(args: Namespace) -> int:
    """`agentos ps`."""
    session = Session(load(), user=args.user, quiet=args.json)
    session.client.wait()
    session.printer.settle()
    if args.json:
        print(json.dumps(_look(session), ensure_ascii=False))
    elif moving(sys.stdout) and not args.once:
        live(session)
    else:
        print("\n".join(lines(_look(session), session.say, 10_000)))
    return 0


def live(session: Session) -> None:
    """The table, drawn over itself until Ctrl-C."""
    colour = colourful(sys.stdout)
    redraw(lambda columns, _: (lines(_look(session), session.say, columns, colour), True))


def _look(session: Session) -> dict[str, Any]:
    return session.client.request("GET", "/v1/ps", start_it=False)


def lines(listed: dict[str, Any], say: Say, room: int, colour: bool = False) -> list[str]:
    """A listing as lines of at most so many columns, the budgets last."""
    rows = [row for row in listed["models"] if row.get("live")]
    if not rows:
        return [say("no_models"), *budgets(listed, say, room)]
    made = table(rows, say, room)
    if colour:
        made[1:] = [_coloured(line, row) for line, row in zip(made[1:], rows, strict=True)]
    return [*made, *budgets(listed, say, room)]


def table(rows: list[dict[str, Any]], say: Say, room: int) -> list[str]:
    """The models' lines under their heading."""
    columns = [Column(say(f"ps_{key}"), right, rank) for key, right, rank in _TITLES]
    return laid(columns, [_cells(row, say) for row in rows], room)


def budgets(listed: dict[str, Any], say: Say, room: int) -> list[str]:
    """One line for each kind of memory: what is used of it."""
    return [
        clip(say("budget", clean(quota["kind"], lines=False), show_bytes(quota["used"]), show_bytes(quota["budget"])),
             room)
        for quota in listed.get("budgets") or []
    ]


def _cells(row: dict[str, Any], say: Say) -> list[str]:
    live = row["live"]
    requests = str(live["requests"]) + (f"+{live['waiting']}" if live["waiting"] else "")
    state = say(f"state_{live['state']}") if live["state"] in _STATES else clean(live["state"], lines=False)
    if live["done"] is not None and live["state"] == "loading":
        state += f" {100 * live['done']:.0f}%"
    several = live["replicas"] != 1 or live["healthy"] != 1 and live["state"] in ("ready", "busy")
    name = clean(row["model"], lines=False) + ("*" if row.get("kernel") else "")
    return [
        name, clean(row["engine"], lines=False), state, clean(live["device"], lines=False), show_bytes(live["memory"]),
        show_bytes(live["gpu_memory"]) if live["gpu_memory"] else "", requests, f"{live['tokens_per_second']:.1f}",
        str(live["served"]), _leaves(live, say), f"{live['healthy']}/{live['replicas']}" if several else "",
        str(live["restarts"]) if live["restarts"] else "", f"${live['cost']:.4f}" if live["cost"] else "",
    ]


_STATES = ("waiting", "loading", "ready", "busy", "restarting", "unloading")


def _leaves(live: dict[str, Any], say: Say) -> str:
    """When it leaves memory by itself."""
    if live["expires_in"] is not None:
        return show_seconds(round(live["expires_in"]) or live["expires_in"]).replace(".0 s", " s")
    return say("in_use") if live["requests"] and live["keep_alive"] != "forever" else say("stays")


def _coloured(line: str, row: dict[str, Any]) -> str:
    mark = _MARKS.get(row["live"]["state"])
    return f"\x1b[{mark}m{line}\x1b[0m" if mark else line
