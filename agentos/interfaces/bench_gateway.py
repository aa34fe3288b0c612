"""`agentos bench --only gateway`: what a gateway adds to an answer and how many a core serves, beside LiteLLM's proxy.

One upstream that answers at once is asked directly, through agentos as it is shipped (a key, policy, the audit trail,
rules over replies) and, where its environment is given (`--peer litellm=PYTHON`), through LiteLLM's proxy. The ways
take turns, one request after another; what a gateway adds is its time less the direct one's of the same turn. Requests
a second on a core are those served over `CONNECTIONS` connections by the processor time of the gateway's processes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agentos.config import Settings
from agentos.errors import Failed, UserError
from agentos.interfaces.bench_gateway_doors import Asking, Door, litellm, ours, upstream

PEER = "litellm"
TURNS = 300
"""Requests to each way one after another, of each kind; the first tenth is not counted."""
CONNECTIONS = 16
LOAD_S = 6.0
"""Seconds for which a gateway is asked over all connections."""
SAID = "name the planets of the sun and write to li.hua@corp.cn"


def measure(settings: Settings, peers: Sequence[str] = ()) -> dict[str, Any]:
    """Milliseconds added, whole and streamed, and requests a second on a core.

    Args:
        settings: Whose caches are used; the home is another.
        peers: LiteLLM's proxy as litellm=PYTHON, PYTHON being an interpreter that has `litellm[proxy]`.

    Raises:
        UserError: a peer is not known.
        Failed: a gateway does not start, or answers wrongly.
    """
    python = ""
    for peer in peers:
        name, _, python = peer.partition("=")
        if name != PEER or not python:
            raise UserError(f"--peer {peer!r} is not litellm=PYTHON, with an interpreter that has litellm[proxy]")
    figures: dict[str, Any] = {"said": SAID, "turns": TURNS, "connections": CONNECTIONS, "load": _load()}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agentos-bench-")))
        before = stack.enter_context(upstream())
        doors = [before, stack.enter_context(ours(settings, folder, before, ["bench"]))[0]]
        if python:
            figures["litellm_version"] = _version(python)
            doors.append(stack.enter_context(litellm(python, folder, before)))
        for stream in (False, True):
            figures["streamed" if stream else "whole"] = added(doors, stream)
        for door in doors[1:]:
            figures.setdefault("per_core_s", {})[door.name] = per_core(door)
    figures["load_after"] = _load()
    for name, one in (("whole", figures["whole"]), ("streamed", figures["streamed"])):
        if PEER in one:
            figures[f"{name}_of_litellm"] = round(one["agentos"]["median_ms"] / one[PEER]["median_ms"], 3)
    served = figures["per_core_s"]
    if PEER in served:
        figures["per_core_of_litellm"] = round(served["agentos"]["rate"] / served[PEER]["rate"], 2)
    return figures


def added(doors: Sequence[Door], stream: bool) -> dict[str, Any]:
    """Milliseconds that each door adds to the first one's answers; all take turns at going first.

    Raises:
        Failed: an answer is not what was said.
    """
    asking = {door.name: Asking(door) for door in doors}
    took: dict[str, list[float]] = {door.name: [] for door in doors}
    try:
        for turn in range(TURNS):
            names = [*asking]
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                answer = asking[name].ask(SAID, stream)
                if answer.text != SAID:
                    raise Failed(f"{name} answered {answer.status} {answer.text!r}; nothing was compared")
                took[name].append(1000 * answer.seconds)
    finally:
        for one in asking.values():
            one.close()
    return _spreads({name: times[TURNS // 10 :] for name, times in took.items()}, doors[0].name)


def _spreads(took: Mapping[str, list[float]], plain: str) -> dict[str, Any]:
    figures: dict[str, Any] = {f"{plain}_ms": round(statistics.median(took[plain]), 3)}
    for name, times in took.items():
        if name != plain:
            more = [one - other for one, other in zip(times, took[plain], strict=True)]
            low, middle, high = statistics.quantiles(more, n=4)
            figures[name] = {"median_ms": round(middle, 3), "quartiles_ms": [round(low, 3), round(high, 3)]}
    return figures


def per_core(door: Door) -> dict[str, float]:
    """Requests a second of processor time of a gateway's processes, and a second, over all connections at once."""
    done, faults = [0] * CONNECTIONS, 0
    until = threading.Event()

    def one(at: int) -> None:
        nonlocal faults
        asking = Asking(door)
        try:
            while not until.is_set():
                faults += asking.ask(SAID).text != SAID
                done[at] += 1
        except Exception:  # no answer is a wrong one
            faults += 1
        asking.close()

    threads = [threading.Thread(target=one, args=(at,), daemon=True) for at in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    time.sleep(LOAD_S / 6)  # until it has settled
    before, begun, cpu = sum(done), time.perf_counter(), door.cpu()
    time.sleep(LOAD_S)
    served, spent, cpu = sum(done) - before, time.perf_counter() - begun, door.cpu() - cpu
    until.set()
    for thread in threads:
        thread.join(30)
    if faults or not served:
        raise Failed(f"{door.name} answered {faults} of {served} requests wrongly; nothing was compared")
    each = round(1000 * cpu / served, 3)
    return {"rate": round(served / cpu, 1), "a_second": round(served / spent, 1), "cpu_ms": each}


def _version(python: str) -> str:
    code = "from importlib.metadata import version; print(version('litellm'))"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f"{python!r} has no litellm ({error}); pip install 'litellm[proxy]' into it") from error


def _load() -> list[float]:
    return [round(load, 1) for load in os.getloadavg()]


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The part's lines of the table."""
    lines = []
    for kind in ("whole", "streamed"):
        one = figures[kind]["agentos"]
        beside = ""
        if PEER in figures[kind]:
            beside = f"{figures[f'{kind}_of_litellm']} of LiteLLM's proxy ({figures[kind][PEER]['median_ms']} ms); "
        low, high = one["quartiles_ms"]
        lines.append((f"added by the gateway, {kind}", f"{one['median_ms']} ms", f"{beside}quartiles {low} and {high}"))
    served = figures["per_core_s"]
    beside = f"{served['agentos']['cpu_ms']} ms of processor time each"
    if PEER in served:
        beside = f"{figures['per_core_of_litellm']} times LiteLLM's proxy ({served[PEER]['rate']}); {beside}"
    lines.append(("requests a second on a core", f"{served['agentos']['rate']}", beside))
    return lines
