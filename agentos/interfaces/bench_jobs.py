"""`agentos bench --only jobs`: the queue against huey, HyperQueue and what the machine can do at all, taking turns."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from agentos.interfaces.bench_peers import Bell, starts
from agentos.jobs.executor import Ended
from agentos.jobs.local import LocalExecutor
from agentos.jobs.ours import OURS
from agentos.jobs.prediction import History
from agentos.jobs.queue import Queue
from agentos.jobs.records import Spec
from agentos.jobs.scheduling import Node, Request
from agentos.jobs.service import JobService
from agentos.jobs.waiting import Waiting
from agentos.secrets import Masker, Secrets
from agentos.store import Store
from agentos.types import Caller, JobRequest

PEERS = ("huey", "hyperqueue")
ROUNDS = 5
STARTS = 20
"""Submissions of a round whose start is waited for."""
ONE, MANY = 200, 2000
"""Submissions of a round by one caller, and by a hundred."""
LENGTHS = (1_000, 100_000)
IDLE = 10.0
"""Seconds for which an idle system is watched."""


def measure() -> dict[str, Any]:
    """All figures of the part, in seconds, bytes and events a second as their names say."""
    with tempfile.TemporaryDirectory(prefix="agentos-bench-") as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> dict[str, Any]:
    figures: dict[str, Any] = {"peers": {name: _version(name) for name in PEERS}}
    figures["load"] = [round(load, 1) for load in os.getloadavg()]
    with ExitStack() as stack:
        peers = {name: stack.enter_context(_Peer(name, folder)) for name in PEERS if figures["peers"][name]}
        found: dict[str, dict[str, list[float]]] = {"start": {}, "submit": {}, "together": {}}
        for turn in range(ROUNDS):
            for what, number in (("start", STARTS), ("submit", ONE), ("together", MANY)):
                told = {"ours": await _OURS[what](_home(folder, f"{what}-{turn}"), number)}
                told["limit"] = _limit(what, _home(folder, f"limit-{what}-{turn}"), number)
                told |= {name: peer.ask(what, number) for name, peer in peers.items()}
                for name, seconds in told.items():
                    found[what].setdefault(name, []).extend(seconds)
        figures["start_ms"] = {name: _spread(seconds, 1e3) for name, seconds in found["start"].items()}
        figures["submissions_per_second"] = {
            name: {
                "one_caller": round(ONE / statistics.median(found["submit"][name])),
                "hundred_callers": round(MANY / statistics.median(found["together"][name])),
            }
            for name in found["submit"]
        }
        figures["decision_us"] = {str(length): _decisions(folder, length, peers.get("huey")) for length in LENGTHS}
    figures["idle_percent_of_a_core"] = await _idle(_home(folder, "idle"))
    figures["held"] = _held(folder, LENGTHS[-1])
    return figures


def rows(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The part's lines of the table."""
    start, rate, held = figures["start_ms"], figures["submissions_per_second"], figures["held"]
    absent = [name for name, version in figures["peers"].items() if version is None]
    against = [name for name in ("huey", "hyperqueue") if name in start]

    def beside(say: Callable[[str], str]) -> str:
        return ", ".join([*(f"{name} {say(name)}" for name in against), f"limit {say('limit')}"])

    found = [
        ("submission to process start, median", f"{start['ours']['median']} ms",
         beside(lambda name: f"{start[name]['median']} ms")),
        ("submission to process start, p99", f"{start['ours']['p99']} ms",
         beside(lambda name: f"{start[name]['p99']} ms")),
    ]
    for callers in ("one_caller", "hundred_callers"):
        found.append((
            f"durable submissions a second, {callers.replace('_', ' ')}", f"{rate['ours'][callers]}",
            beside(lambda name, at=callers: f"{rate[name][at]}" + " (in memory)" * (name == "hyperqueue")),  # type: ignore[misc]
        ))
    for length, spent in figures["decision_us"].items():
        peer = f", huey's dequeue {spent['huey']['median']} us" if "huey" in spent else ""
        said = f"with its durable claim {spent['claimed']['median']} us{peer}"
        found.append((f"decision with {length} queued, median", f"{spent['decided']['median']} us", said))
    found += [
        ("idle job loop", f"{figures['idle_percent_of_a_core']} % of a core", f"over {IDLE:g} s"),
        (f"memory of {held['queued']} queued", f"{held['bytes'] / 2**20:.0f} MiB", f"ready in {held['ready_s']} s"),
    ]
    if absent:
        found.append((f"{' and '.join(absent)}", "not installed", "pip install 'llm-agentos[peers]'"))
    return found


class _Peer:
    """Another queue, in a process of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self._command = [sys.executable, "-m", "agentos.interfaces.bench_peers", name, str(_home(folder, name))]

    def __enter__(self) -> _Peer:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, what: str, number: int) -> list[float]:
        """Seconds, as measured there."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps([what, number]), file=self._process.stdin, flush=True)
        found: list[float] = json.loads(self._process.stdout.readline())
        return found


@asynccontextmanager
async def _service(home: Path, cpus: int = 2) -> AsyncIterator[JobService]:
    store = Store(home / "agentos.db")
    executor = LocalExecutor(home / "jobs", cpus=cpus, memory=2**33)
    service = JobService(store, executor, OURS, home / "jobs", vault=Secrets(store), masker=Masker)
    await service.open()
    try:
        yield service
    finally:
        await service.close()
        store.close()


@asynccontextmanager
async def _busy(home: Path) -> AsyncIterator[JobService]:
    """A service whose one CPU is taken."""
    async with _service(home, cpus=1) as service:
        job = await _submit(service, "sleep 600")
        await asyncio.sleep(0.3)
        yield service
        await service.cancel(job, "bench")
        await service.keeper.wait(job)


async def _submit(service: JobService, command: str) -> str:
    return (await service.submit(JobRequest(command), Caller("bench", "operator", folder="/"), "")).job


async def _start(home: Path, count: int) -> list[float]:
    async with _service(home) as service:
        loop = asyncio.get_running_loop()
        bell = Bell(home)
        found = []
        for _ in range(count + 1):
            begun = time.monotonic_ns()
            job = await _submit(service, bell.command)
            found.append((await loop.run_in_executor(None, bell.rung) - begun) / 1e9)
            await service.keeper.wait(job)
            await asyncio.sleep(0.02)
        bell.close()
    return found[1:]


async def _one_caller(home: Path, count: int) -> list[float]:
    async with _busy(home) as service:
        begun = time.perf_counter()
        for _ in range(count):
            await _submit(service, "true")
        return [time.perf_counter() - begun]


async def _hundred_callers(home: Path, count: int) -> list[float]:
    async with _busy(home) as service:

        async def caller() -> None:
            for _ in range(count // 100):
                await _submit(service, "true")

        begun = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(100)))
        return [time.perf_counter() - begun]


_OURS = {"start": _start, "submit": _one_caller, "together": _hundred_callers}


def _limit(what: str, folder: Path, count: int) -> list[float]:
    """The same with a file that is written through and a process that is started, and nothing else."""
    with (folder / "limit").open("ab", buffering=0) as file:

        def write(command: str) -> None:
            file.write(command.encode() + b"\n")
            os.fdatasync(file.fileno())

        def run(command: str) -> None:
            write(command)
            running.append(subprocess.Popen(["/bin/sh", "-c", command]))

        running: list[subprocess.Popen[bytes]] = []
        if what == "start":
            found = starts(run, folder, count)
            for process in running:
                process.wait()
            return found
        begun = time.perf_counter()
        for _ in range(count if what == "submit" else count // 100):
            write("true" * (1 if what == "submit" else 100))
        return [time.perf_counter() - begun]


def _decisions(folder: Path, queued: int, huey: _Peer | None) -> dict[str, dict[str, float]]:
    """Microseconds for choosing who starts next where one place is free, alone and with what makes it last."""
    store = Store(_home(folder, f"decide-{queued}") / "agentos.db")
    queue = Queue(store)
    waiting, history = Waiting(History()), time.time()
    specs = [
        Spec(f"python train{at % 97}.py --seed {at}", f"user{at % 23}", priority=("high", "normal", "low")[at % 3])
        for at in range(queued)
    ]
    for at in range(0, queued, 1000):
        for job in queue.submit(specs[at : at + 1000], history + at):
            spec = job.spec
            waiting.add(Request(job.id, spec.user, job.submitted, 1, 0, 0, spec.priority, f"train{int(job.id) % 97}"))
    decided, claimed = [], []
    for _ in range(200):
        begun = time.perf_counter()
        (start,) = OURS.decide(history + queued, waiting, [], [Node("local", 1, 2**33)])
        chosen = time.perf_counter()
        request = waiting.remove(start.job)
        attempt = queue.claim(start.job, node="local", gpus=(), owner="bench", until=history, now=history)
        decided.append(chosen - begun)
        claimed.append(time.perf_counter() - begun)
        assert attempt is not None
        queue.finish(Ended(attempt, "exited", 0, None, None, history, history + 1, ""), history)
        waiting.learn(request, 1.0)
    store.close()
    found = {"decided": _spread(decided, 1e6), "claimed": _spread(claimed, 1e6)}
    if huey is not None:
        found["huey"] = _spread(huey.ask("decide", queued), 1e6)
    return found


async def _idle(home: Path) -> float:
    """Per cent of a core that the loop and the process that makes others take when nothing happens."""
    import psutil

    async with _service(home) as service:
        await asyncio.sleep(1.0)
        ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
        before = [process.cpu_times() for process in ours]
        await asyncio.sleep(IDLE)
        after = [process.cpu_times() for process in ours]
        assert service.keeper is not None
    spent = sum(late.user + late.system - early.user - early.system for early, late in zip(before, after, strict=True))
    return round(100 * max(0.0, spent) / IDLE, 2)


def _held(folder: Path, queued: int) -> dict[str, Any]:
    """What a system that starts with so many queued takes for them, in a process of its own."""
    home = folder / f"decide-{queued}"
    command = [sys.executable, "-m", "agentos.interfaces.bench_jobs", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def _holding(home: Path) -> dict[str, Any]:
    import psutil

    (home / "empty").mkdir(exist_ok=True)
    async with _service(home / "empty"):
        pass
    before, begun = psutil.Process().memory_info().rss, time.perf_counter()
    async with _service(home, cpus=0) as service:  # nothing may start
        ready = time.perf_counter() - begun
        taken = psutil.Process().memory_info().rss - before
        return {"queued": len(service.keeper.waiting), "bytes": taken, "ready_s": round(ready, 2)}


def _spread(times: list[float], scale: float) -> dict[str, float]:
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return {"median": round(scale * statistics.median(times), 2), "p99": round(scale * p99, 2)}


def _home(folder: Path, name: str) -> Path:
    (folder / name).mkdir(exist_ok=True)
    return folder / name


def _version(name: str) -> str | None:
    return metadata.version(name) if importlib.util.find_spec(name) else None


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_holding(Path(sys.argv[1])))))
