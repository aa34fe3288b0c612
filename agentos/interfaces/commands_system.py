"""Commands about the system itself: status, serve, stop, syscalls, eval, bench."""

from __future__ import annotations

import json
import os
import time
from argparse import Namespace
from dataclasses import replace
from typing import Any

from agentos import __version__
from agentos.config import load
from agentos.errors import Failed, unknown
from agentos.interfaces.client import NotRunning
from agentos.interfaces.session import Session
from agentos.interfaces.show import clean

_PATIENCE = 60.0


def status(args: Namespace) -> int:
    """`agentos status`: 1 where no system runs."""
    settings = load()
    session = Session(settings, user=args.user, autostart=False)
    try:
        said = session.client.status()
        code = 1 if said.get("boot_error") else 0
    except NotRunning as absent:
        if settings.url:
            raise
        said = {"pid": None, "ready": False, "home": str(settings.home), "version": __version__}
        code = 1
        if not args.json:
            session.printer.note(f"agentos: {absent}")
    if args.json:
        print(json.dumps(said, ensure_ascii=False))
    elif not code or said.get("boot_error"):
        print(status_text(session, said))
    return code


def status_text(session: Session, said: dict[str, Any]) -> str:
    """A status for people, one line a fact."""
    say = session.say
    model = said.get("model")
    name = model.get("name", "") if isinstance(model, dict) else model
    if said.get("boot_error"):
        state = say("broken", said["boot_error"])
    else:
        state = say("ready") if said.get("ready") else say("not_ready", said.get("boot") or "")
    rows = [("agentos", f"{said.get('version')}, {state}"), (say("process"), said.get("pid")),
            (say("model"), name), (say("home"), said.get("home"))]
    refused = (said.get("policy") or {}).get("refused")
    if refused:
        rows.append((say("policies"), say("policies_refused", clean("; ".join(refused["faults"]), lines=False))))
    return "\n".join(f"{key}: {fact}" for key, fact in rows if fact)


def serve(args: Namespace) -> int:
    """`agentos serve`."""
    from agentos.interfaces.server import serve as run

    settings = load()
    return run(replace(settings, cluster=args.cluster or settings.cluster), args.http, args.detached)


def stop(args: Namespace) -> int:
    """`agentos stop`: returns when the system has ended; nothing to end is no failure."""
    settings = load()
    session = Session(settings, user=args.user, autostart=False)
    try:
        pid = session.client.request("POST", "/v1/stop", {})["pid"]
    except NotRunning:
        session.printer.note(session.say("nothing_runs", settings.url or settings.home))
        return 0
    until = time.monotonic() + _PATIENCE
    while not settings.url and (settings.socket.exists() or _alive(pid, settings.home / "agentos.lock")):
        if time.monotonic() > until:
            raise Failed(f"the system (process {pid}) has not ended after {_PATIENCE:.0f} s; end it with `kill {pid}`")
        time.sleep(0.05)
    session.printer.note(session.say("stopped"))
    return 0


def _alive(pid: int, held: os.PathLike[str]) -> bool:
    """Whether a process still holds the home's lock: it empties the file when it lets go."""
    try:
        with open(held, encoding="ascii") as file:
            return file.read().strip() == str(pid)
    except OSError:
        return False


def syscalls(args: Namespace) -> int:
    """`agentos syscalls`."""
    session = Session(load(), user=args.user)
    table = session.client.request("GET", "/v1/syscalls")["syscalls"]
    if args.name is None:
        if args.json:
            print(json.dumps({"syscalls": table}, ensure_ascii=False))
        else:
            print(table_text(table))
        return 0
    found = next((entry for entry in table if entry["name"] == args.name), None)
    if found is None:
        raise unknown("syscall", args.name, [entry["name"] for entry in table])
    print(json.dumps(found, ensure_ascii=False) if args.json else entry_text(found))
    return 0


def table_text(table: list[dict[str, Any]]) -> str:
    """The table, one line a syscall."""
    wide = max((len(entry["name"]) for entry in table), default=0)
    return "\n".join(f"{entry['name']:{wide}}  {entry['effect']:7}  {entry['doc']}" for entry in table)


def entry_text(entry: dict[str, Any]) -> str:
    """One syscall with its parameters and an example."""
    lines = [f"{entry['name']} ({entry['effect']})", entry["doc"]]
    for param in entry["params"]:
        takes = "|".join(param["choices"]) or param["kind"]
        default = "required" if param["required"] else f"default {param['default']}" if param["default"] else "optional"
        many = ", may be given again" if param["many"] else ""
        lines.append(f"  --{param['name']} {takes} ({default}{many})\n      {param['doc']}")
    lines += [f"  e.g. {sentence}" for sentence in list(entry["examples"])[:3]]
    return "\n".join(lines)


def evaluate(args: Namespace) -> int:
    """`agentos eval`."""
    from agentos.interfaces.evals import main

    return main(args)


def bench(args: Namespace) -> int:
    """`agentos bench`."""
    from agentos.interfaces.bench import main

    return main(args)
