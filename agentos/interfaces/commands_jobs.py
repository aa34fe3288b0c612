"""Commands for jobs: a live table, logs, waiting, replaying traces, and the secrets that jobs are given."""

from __future__ import annotations

import getpass
import json
import sys
from argparse import Namespace
from typing import Any
from urllib.parse import quote

from agentos.errors import UserError
from agentos.interfaces.commands_runs import shown, waited
from agentos.interfaces.live import redraw
from agentos.interfaces.session import INTERRUPTED, Session, ready
from agentos.interfaces.show import clean, clip, colourful, moving, width

_LIVE = ("waiting", "queued", "running")
_COLUMNS = (
    ("id", "id"), ("name", "name"), ("state", "state"), ("progress", "progress"), ("runtime", "time"),
    ("user", "user"), ("cpus", "cpus"), ("gpus", "gpus"), ("reason", "why"),
)
_MARKS = {"running": "36", "succeeded": "32", "failed": "31", "cancelled": "33"}


def jobs(args: Namespace) -> int:
    """`agentos jobs`, `agentos jobs simulate TRACE`."""
    if args.action == "simulate":
        from agentos.interfaces.simulate import main

        return main(args)
    session = ready(args)
    request = {"state": args.state}
    if args.json:
        print(json.dumps(_result(session, "jobs.list", request), ensure_ascii=False))
        return 0
    if moving(sys.stdout) and not args.once:
        live(session, request)
    else:
        print("\n".join(table(_result(session, "jobs.list", request), columns=10_000)))
    return 0


def live(session: Session, request: dict[str, Any]) -> None:
    """The table drawn over itself until nothing waits or runs any more, or until Ctrl-C."""
    def frame(columns: int, lines: int) -> tuple[list[str], bool]:
        listed = session.client.request("GET", f"/v1/jobs?state={quote(str(request['state']))}", start_it=False)
        more = any(row["state"] in _LIVE for row in listed["jobs"])
        return table(listed, columns=columns, colour=colourful(sys.stdout)), more

    redraw(frame)


def table(listed: dict[str, Any], columns: int, colour: bool = False) -> list[str]:
    """A listing as lines of at most so many columns, a summary first."""
    rows = listed["jobs"]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    lines = [", ".join(f"{count} {state}" for state, count in counts.items()) or "no jobs"]
    if listed["total"] > len(rows):
        lines[0] += f" (the newest {len(rows)} of {listed['total']})"
    if not rows:
        return lines
    cells = [[label for _, label in _COLUMNS], *([_cell(row, key) for key, _ in _COLUMNS] for row in rows)]
    wide = [max(width(line[index]) for line in cells) for index in range(len(_COLUMNS))]
    for number, line in enumerate(cells):
        text = "  ".join(cell + " " * (wide[i] - width(cell)) for i, cell in enumerate(line)).rstrip()
        text = clip(text, columns)
        mark = _MARKS.get(rows[number - 1]["state"]) if colour and number else None
        lines.append(f"\x1b[{mark}m{text}\x1b[0m" if mark else text)
    return lines


def _cell(row: dict[str, Any], key: str) -> str:
    from agentos.types.units import show_seconds

    said = row.get(key)
    if said is None:
        return ""
    if key == "progress":
        filled = int(said / 10)
        return "█" * filled + "░" * (10 - filled) + f" {said:3.0f}%"
    return show_seconds(said) if key == "runtime" else clean(str(said), lines=False)


def logs(args: Namespace) -> int:
    """`agentos logs JOB [-f]`: the output alone, so that it can be piped."""
    session = ready(args)
    request = {"job": args.job, "tail": args.lines, "follow": args.follow}
    outcome = session.follow(session.client.call("jobs.logs", request), hide=("plan",))
    return outcome.exit_code


def wait(args: Namespace) -> int:
    """`agentos wait JOB …`: 0 where every one of them succeeded."""
    session = ready(args)
    ended, code = [], 0
    for job in args.job:
        outcome = waited(session, job)
        card = next(iter(outcome.results.values()), None) or {}
        ended.append(card or shown(outcome))
        if not args.json and card:
            said = f"job {card['job']} ({card['name']}) {card['state']}"
            print(clean(f"{said}: {card['reason']}" if card["reason"] else said, lines=False))
        if outcome.exit_code == INTERRUPTED:
            return INTERRUPTED
        code = code or outcome.exit_code
    if args.json:
        print(json.dumps({"jobs": ended}, ensure_ascii=False))
    return code


def secrets(args: Namespace) -> int:
    """`agentos secrets`, `agentos secrets set NAME`, `agentos secrets delete NAME`, `agentos secrets rotate`."""
    if args.action == "rotate" and args.name is None:
        from agentos.interfaces.commands_rotate import rotate

        return rotate(args)
    if (args.action is None) != (args.name is None):
        raise UserError("which secret? agentos secrets set NAME, or agentos secrets delete NAME")
    session = ready(args)
    path = f"/v1/secrets/{quote(args.name or '', safe='')}"
    if args.action == "set":
        told = getpass.getpass(f"{args.name}: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")
        said = session.client.request("PUT", path, {"value": told})
    elif args.action == "delete":
        said = session.client.request("DELETE", path)
    else:
        said = session.client.request("GET", "/v1/secrets")
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
    elif args.action is None:
        print("\n".join(said["secrets"]) or "no secrets")
    else:
        print(f"{'kept' if args.action == 'set' else 'deleted'} {args.name}")
    return 0


def _result(session: Session, name: str, args: dict[str, Any]) -> Any:
    return session.client.request("POST", f"/v1/syscalls/{name}", {"args": args, "session": session.client.session})
