"""Kills a system, what makes its processes, and its jobs, while jobs come in; then asks what became of each.

`python -m tests.jobs.chaos` (`make stress`) is the whole run, which prints its figures; the tests run a small one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agentos.jobs import tree
from agentos.jobs.identity import content, read_claim, starttime
from agentos.store import Store
from tests.jobs.chaos_jobs import Plan, plans

SERVICE = tuple(
    f"service:{point}" for point in
    ("submitting", "submitted", "claiming", "claimed", "started", "ended", "finishing", "finished")
)
ZYGOTE = ("zygote:received",)
SHIM = tuple(f"shim:{point}" for point in ("forked", "locked", "claimed", "executed", "ended", "result-written"))
POINTS = SERVICE + ZYGOTE + SHIM
TARGETS = {"system": 5, "zygote": 2, "shim": 2, "command": 1, "all": 2}
"""What is killed, and how often of twelve times."""
ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


@dataclass
class Chaos:
    """A home and what was done to it."""

    home: Path
    plans: list[Plan]
    rng: random.Random
    pace: int = 10
    """Jobs that come in for each kill."""
    acked: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    allowed: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    when: list[tuple[float, str]] = field(default_factory=list)
    hit: set[str] = field(default_factory=set)
    """Jobs a shim of which was killed."""
    shot: set[str] = field(default_factory=set)
    """Jobs a command of which was killed."""
    ready: list[float] = field(default_factory=list)
    """Seconds from the death of a system until the next one was ready."""
    results: dict[str, tuple[object, ...]] = field(default_factory=dict)
    """What was recorded of attempts when it was first seen."""
    wrong: list[str] = field(default_factory=list)
    fault: str = ""
    died: float = 0.0
    over: bool = False
    process: asyncio.subprocess.Process | None = None
    up: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, kills: int, points: tuple[str, ...] = POINTS) -> None:
        """A death at each of the points, one after the other, and so many random ones."""
        for name in ("effects", "locks", "faults"):
            (self.home / name).mkdir()
        self.db = Store(self.home / "agentos.db").connection
        self.db.execute("pragma query_only=on")
        life, feed = asyncio.create_task(self._live()), asyncio.create_task(self._feed())
        try:
            for point in points:
                await self._die_at(point)
            self.fault = ""
            wanted = kills + len(points)
            while sum(self.kills.values()) < wanted:
                if self.rng.random() < 0.7:  # else it may die as it starts
                    await self.up.wait()
                await asyncio.sleep(self.rng.uniform(0.0, 0.4))
                target = self.rng.choices(list(TARGETS), list(TARGETS.values()))[0]
                if await self._kill(target):
                    self._count(target)
                    self.allowed += self.pace
                self._look()
            self.allowed = len(self.plans)
            await self._until(lambda: len(self.acked) == len(self.plans) and not self._unfinished(), len(self.plans))
        finally:
            self.over = True
            for task in (life, feed):
                task.cancel()
            await asyncio.gather(life, feed, return_exceptions=True)
            if self.process is not None and self.process.returncode is None:
                assert self.process.stdin is not None
                self.process.stdin.close()
                await self.process.wait()

    async def _live(self) -> None:
        """Keeps a system up."""
        while not self.over:
            env = {**os.environ, "AGENTOS_FAULT": self.fault}
            with (self.home / "err").open("ab") as err:
                self.process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tests.jobs.chaos_system", str(self.home), cwd=ROOT, env=env,
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=err,
                )
            assert self.process.stdout is not None
            while line := (await self.process.stdout.readline()).decode():
                word, _, job = line.rstrip("\n").partition(" ")
                if word == "ready":
                    if self.died:
                        self.ready.append(time.monotonic() - self.died)
                    for plan in self.plans[: self.sent]:
                        if plan.call not in self.acked:
                            self._send(plan)
                    self.up.set()
                elif line.endswith("\n") and self.acked.setdefault(word, job) != job:
                    self.wrong.append(f"{word} is job {self.acked[word]} and job {job}")
            self.up.clear()
            self.died = time.monotonic()
            code = await self.process.wait()
            if code != -signal.SIGKILL and not self.over:
                self.wrong.append(f"the system ended with {code}")

    def _send(self, plan: Plan) -> None:
        assert self.process is not None and self.process.stdin is not None
        with contextlib.suppress(ConnectionError):
            parent = self.acked.get(plan.parent or "")
            self.process.stdin.write(json.dumps(plan.request(parent)).encode() + b"\n")

    async def _feed(self) -> None:
        while self.sent < len(self.plans):
            await self.up.wait()
            room = self.allowed - self.sent
            if room > 0 and self.sent - len(self.acked) < 50:
                plan = self.plans[self.sent]
                if plan.parent is not None and plan.parent not in self.acked:
                    plan.parent = None
                self.sent += 1
                self._send(plan)
            await asyncio.sleep(0.001 if room > 0 else 0.01)

    async def _die_at(self, point: str) -> None:
        """Brings about one death there, and sees that jobs go on."""
        mark = self.home / "faults" / point
        self.fault = f"{point}@{mark}"
        await self.up.wait()
        self._shoot(self.process.pid if self.process else 0)  # the next one has the fault
        self.allowed += self.pace
        await self._until(mark.exists, 1)
        self._count(point)
        if point in ("shim:executed", "shim:ended"):
            # Whose it was is not known: of those that were open, one may run twice.
            self.hit.update(job for job, _ in self._open(ended_since=2.0))
        self.fault = ""
        await self._until(self.up.is_set, 1)

    async def _kill(self, target: str) -> bool:
        """Kills what that means just now; False where there is nothing of it."""
        found = False
        if target in ("shim", "command", "all"):
            found = await self._kill_attempt(target == "command")
        process = self.process
        if process is None or process.returncode is not None:
            return found
        if target in ("zygote", "all"):
            for pid in tree.children(process.pid):
                with contextlib.suppress(OSError):
                    if b"bare.py" in content(f"/proc/{pid}/cmdline"):
                        found |= self._shoot(pid)
        if target in ("system", "all"):
            found |= self._shoot(process.pid)
        return found

    async def _kill_attempt(self, command: bool) -> bool:
        for _ in range(100):
            found = self._open()
            self.rng.shuffle(found)
            for job, attempt in found:
                claim = read_claim(str(self.home / "jobs" / job / str(attempt)))
                pid, born = (0, 0) if claim is None else (
                    (claim.command, claim.command_start) if command else (claim.shim, claim.shim_start)
                )
                if pid and starttime(pid) == born:
                    (self.shot if command else self.hit).add(job)
                    return self._shoot(pid)
            await asyncio.sleep(0.005)
        return False

    def _shoot(self, pid: int) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def _count(self, target: str) -> None:
        self.kills[target] += 1
        self.when.append((time.time(), target))

    def _open(self, ended_since: float = 0.0) -> list[tuple[str, int]]:
        sql = "select job, attempt from job_attempts where outcome is null or finished > ?"
        return [(str(job), number) for job, number in self.db.execute(sql, (time.time() - ended_since,))]

    def _unfinished(self) -> int:
        sql = "select count(*) from jobs where state in ('waiting', 'queued', 'running')"
        return int(self.db.execute(sql).fetchone()[0])

    def _look(self) -> None:
        """Holds what is recorded against what was."""
        sql = "select job || '.' || attempt, outcome, exit_code, signal, started, finished, detail from job_attempts"
        for attempt, *row in self.db.execute(f"{sql} where outcome is not null"):
            if self.results.setdefault(attempt, tuple(row)) != tuple(row):
                self.wrong.append(f"the result of {attempt} changed")

    async def _until(self, true, jobs: int) -> None:  # type: ignore[no-untyped-def]
        end = time.monotonic() + PATIENCE + jobs
        while not true():
            if self.wrong:
                raise RuntimeError("; ".join(self.wrong))
            if time.monotonic() > end:
                raise TimeoutError(f"{self._unfinished()} unfinished, {len(self.acked)} of {self.sent} acknowledged")
            await asyncio.sleep(0.01)

    def verdict(self) -> dict[str, object]:
        """What became of the jobs; empty lists are what is wanted."""
        self._look()
        found: dict[str, list[str]] = {name: [] for name in ("lost", "recorded twice", "run twice", "wrong")}
        found["wrong"] += self.wrong
        if self.db.execute("pragma integrity_check").fetchone() != ("ok",):
            found["wrong"].append("the database is broken")
        overlaps = self.home / "overlaps"
        if overlaps.exists():
            found["run twice"] += [f"{call} beside itself" for call in overlaps.read_text().split()]
        rows = {call: (str(job), *row) for job, call, *row in self.db.execute(
            "select id, call, state, reason, blame, attempts from jobs")}
        twice = "select count(*) from jobs group by call having count(*) > 1"
        found["recorded twice"] += [f"{many} jobs of one call" for (many,) in self.db.execute(twice)]
        for plan in self.plans:
            if plan.call not in rows or rows[plan.call][0] != self.acked.get(plan.call):
                said = self.acked.get(plan.call)
                found["lost"].append(f"{plan.call}: acknowledged as {said}, is {rows.get(plan.call)}")
                continue
            job, state, reason, blame, attempts = rows[plan.call]
            self._judge(plan, job, (state, reason, blame, attempts), found)
        return found

    def _judge(self, plan: Plan, job: str, row: tuple[object, ...], found: dict[str, list[str]]) -> None:
        state, reason, blame, attempts = row
        about = f"job {job} ({plan.call}, {state}: {reason})"
        effects = self.home / "effects" / plan.call
        begun, done = (Counter(effects.read_text().split())[word] for word in "se") if effects.exists() else (0, 0)
        ended = self.db.execute(
            "select count(*), sum(outcome = 'exited' and exit_code = 0) from job_attempts"
            " where job = ? and outcome is not null", (int(job),)).fetchone()
        if (ended[1] or 0) > 1 or ended[0] != attempts:
            found["recorded twice"].append(f"{about}: {ended} results of {attempts} attempts")
        if state not in ("succeeded", "failed"):
            found["lost"].append(about)
        elif blame is not None:
            if begun or self.db.execute("select state from jobs where id = ?", (blame,)).fetchone()[0] != "failed":
                found["wrong"].append(f"{about} failed for job {blame}, and ran {begun} times")
        elif (state == "succeeded") != (plan.code == 0) and job not in self.shot:
            found["wrong"].append(about)
        elif not done and job not in self.shot:
            found["lost"].append(f"{about}: it is said to have ended, and did nothing")
        tries = 1 + (plan.retries if plan.code else 0)
        if begun > (attempts if job in self.hit | self.shot else tries):  # type: ignore[operator]
            columns = "attempt, outcome, exit_code, detail, claimed, started, finished"
            tried = self.db.execute(f"select {columns} from job_attempts where job = ?", (int(job),)).fetchall()
            found["run twice"].append(f"{about}: begun {begun} times in {tried}")


async def small(home: Path, jobs: int, kills: int, seed: int) -> Chaos:
    """A run of so many jobs, a death at every point and so many random ones."""
    rng = random.Random(seed)
    chaos = Chaos(home, plans(jobs, rng), rng, pace=max(1, jobs // (kills + len(POINTS))))
    await chaos.run(kills)
    return chaos


def figures(chaos: Chaos) -> dict[str, object]:
    """Counts, and the times until a system was ready and until a job started again."""
    from agentos.interfaces.bench import machine  # too slow to load for a system that starts again and again

    found = chaos.verdict()
    starts = sorted(at for (at,) in chaos.db.execute("select started from job_attempts where started is not null"))
    again = [min((at - when for at in starts if at > when), default=0.0) for when, _ in chaos.when]
    return {
        "date": time.strftime("%Y-%m-%d"), "machine": machine(), "load": [round(load, 1) for load in os.getloadavg()],
        "jobs": len(chaos.plans), "acknowledged": len(chaos.acked), "kills": dict(chaos.kills),
        **{name.replace(" ", "_"): len(some) for name, some in found.items()},
        "ready_again_s": _spread(chaos.ready), "job_starts_again_s": _spread(again),
        "examples": [line for some in found.values() for line in some][:20],
    }


def _spread(times: list[float]) -> dict[str, float]:
    ordered = sorted(times) or [0.0]
    return {"median": round(statistics.median(ordered), 3), "p99": round(ordered[int(0.99 * (len(ordered) - 1))], 3),
            "max": round(ordered[-1], 3), "count": len(times)}


def main() -> int:
    """Runs it; 1 where anything is lost or done twice."""
    parser = argparse.ArgumentParser(description="Kills a system while jobs come in, and counts what is lost.")
    parser.add_argument("home", nargs="?", type=Path, help="an empty folder, which is kept")
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        home = args.home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agentos-chaos-")))
        said = figures(asyncio.run(small(home, args.jobs, args.kills, args.seed)))
    print(json.dumps(said, indent=1))
    if args.json:
        args.json.write_text(json.dumps(said, indent=1) + "\n", "utf-8")
    return 0 if not any(said[name] for name in ("lost", "recorded_twice", "run_twice", "wrong")) else 1


if __name__ == "__main__":
    raise SystemExit(main())
