"""`agentos bench --only decisions`: how long policy takes over a call, by how many rules there are, and what slips by.

Rules beside the package's are of the kinds that owners write: about one syscall, an effect, an argument, an owner.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from agentos.errors import UserError
from agentos.policy.monitor import Monitor
from agentos.policy.rules import shipped
from agentos.registry import Registry, installed
from agentos.syscall import Syscall
from agentos.types import Allowed, Call, Caller, Json, Role

COUNTS = (20, 100)
"""Rules in force."""
ROUNDS = 5
DECISIONS = 20_000
"""Of a round."""
MALFORMED = 10_000
ROLES: dict[str, Role] = {"vera": "viewer", "oscar": "operator", "ada": "admin"}
_ODD: tuple[Json, ...] = (None, True, -1, 1e308, "", "x" * 5000, "\0", "../..", [], ["x", 1], {}, {"x": {"y": []}}, 7.5)


def measure(decisions: int = DECISIONS, malformed: int = MALFORMED, counts: tuple[int, ...] = COUNTS) -> dict[str, Any]:
    """Microseconds that a decision takes with so many rules; how many malformed requests were allowed."""
    table, figures = installed(), {}
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as folder:
        for count in counts:
            monitor = Monitor(table, ROLES.get, extra=_rules(Path(folder) / str(count), table, count))
            assert len(monitor.rules.rules) == count
            figures[str(count)] = _times(monitor, table, decisions)
    monitor = Monitor(table, ROLES.get)
    return {"rules": figures, "malformed": {"made": malformed, "allowed": _slipped(monitor, table, malformed)}}


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The part's lines of the table."""
    found = [
        (f"policy decision with {count} rules, p99", f"{one['p99_us']} us",
         f"median {one['median_us']} us; of the core, p99 {one['cpu_p99_us']} us")
        for count, one in figures["rules"].items()
    ]
    odd = figures["malformed"]
    return [*found, ("malformed requests allowed", f"{odd['allowed']} of {odd['made']}", "by policy or validation")]


def _rules(folder: Path, table: Registry, count: int) -> Path:
    """A folder of as many rules as there must be beside the package's."""
    folder.mkdir()
    entries = [entry for entry in table if any(param.kind == "name" and not param.many for param in entry.params)]
    more = count - sum(text.count("@id(") for text in shipped().values())
    for number in range(more):
        entry = entries[number % len(entries)]
        param = next(param for param in entry.params if param.kind == "name" and not param.many)
        has = "" if param.required else f"context.args has {param.name} && "
        whom = ("principal", 'principal in Role::"viewer"', f'principal == User::"user{number}"')[number % 3]
        rule = (
            f'@id("own-{number}")\nforbid ({whom}, action == Action::"{entry.name}", resource)\n'
            f'when {{ {has}context.args.{param.name} like "forbidden-{number}-*" }};\n'
        )
        (folder / f"own-{number:03d}.cedar").write_text(rule, "utf-8")
    return folder


def _times(monitor: Monitor, table: Registry, count: int) -> dict[str, float]:
    """The median round's, over calls of every syscall by every role; `cpu` leaves out what others take of the core."""
    calls = list(_calls(table))
    dice, rounds = random.Random(11), []
    for call, entry in calls:  # who and what it is about is parsed once, which takes longer than to decide
        monitor.decide(call, entry)
    for _ in range(ROUNDS):
        times, taken = [], []
        for call, entry in dice.choices(calls, k=count):
            begun, used = time.perf_counter_ns(), time.thread_time_ns()
            monitor.decide(call, entry)
            taken.append(time.thread_time_ns() - used)
            times.append(time.perf_counter_ns() - begun)
        rounds.append((_at(times, 0.5), _at(times, 0.99), _at(taken, 0.99)))
    found = [round(statistics.median(one) / 1000, 1) for one in zip(*rounds, strict=True)]
    return dict(zip(("median_us", "p99_us", "cpu_p99_us"), found, strict=True))


def _at(times: list[int], share: float) -> int:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def _calls(table: Registry) -> list[tuple[Call, Syscall]]:
    found = []
    for entry in table:
        for variant in range(3):
            given = {p.name: f"thing-{variant}" if p.kind != "int" else 1 for p in entry.params if p.required}
            args = entry.validate(given)
            found += [(Call("c", entry.name, args, Caller(user, role)), entry) for user, role in ROLES.items()]
    return found


def _slipped(monitor: Monitor, table: Registry, count: int) -> int:
    """How many requests with something wrong are let through: by validation or, where that is passed by, by policy."""
    dice, entries, allowed = random.Random(13), list(table), 0
    for number in range(count):
        entry = dice.choice(entries)
        user, role = dice.choice(list(ROLES.items()))
        args: dict[str, Json] = {p.name: "x" if p.kind != "int" else 1 for p in entry.params if p.required}
        caller, name = Caller(user, role), entry.name
        kind = number % 5
        if kind == 0:  # an argument that the syscall does not have
            args[f"odd{number}"] = dice.choice(_ODD)
        elif kind == 1:  # a role that nobody has, or one above the user's own
            caller = Caller(user, "root") if number % 2 else Caller("vera", "admin")  # type: ignore[arg-type]
            entry = dice.choice([one for one in entries if one.effect != "read"])
            name = entry.name
        elif kind == 2:  # a user whom nobody knows
            caller = Caller(f"{user}\0{number}", role)
        elif kind == 3:  # a syscall by another's name
            name = dice.choice([one.name for one in entries if one.name != entry.name])
        elif args:  # a value that is not of its type
            args[dice.choice(list(args))] = dice.choice([one for one in _ODD if not isinstance(one, str | int | float)])
        else:
            args["odd"] = 1
        allowed += _let(monitor, entry, Call(f"c{number}", name, args, caller), validated=kind == 4 or number % 2 == 0)
    return allowed


def _let(monitor: Monitor, entry: Syscall, call: Call, *, validated: bool) -> bool:
    if validated and call.syscall == entry.name:
        try:
            call = Call(call.id, call.syscall, entry.validate(call.args), call.caller)
        except UserError:
            return False
    return isinstance(monitor.decide(call, entry), Allowed)
