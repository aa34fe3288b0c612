"""Other queues, under the same measurements as ours: `python -m agentos.interfaces.bench_peers huey|hyperqueue FOLDER`.

A line of JSON on its input is a question, a line on its output the answer: seconds. It runs in a process of its
own, so that what a peer keeps running does not run in ours.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

_CLOCK = """
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
os.write(1, b"0\\n")
while True:
    os.read(fd, 1)
    os.write(1, b"%d\\n" % time.monotonic_ns())
"""


class Bell:
    """Tells when a command began to run: it rings first of all, and a process of its own looks at the clock."""

    def __init__(self, folder: Path) -> None:
        """Ready to be rung."""
        self.path = folder / f"bell-{os.getpid()}"
        self.path.unlink(missing_ok=True)
        os.mkfifo(self.path)
        self._clock = subprocess.Popen([sys.executable, "-I", "-S", "-c", _CLOCK, self.path], stdout=subprocess.PIPE)
        self.rung()

    @property
    def command(self) -> str:
        """What rings it, for `/bin/sh -c`."""
        return f"echo -n x > {self.path}"

    def rung(self) -> int:
        """Waits until it is rung; nanoseconds of the machine's steady clock."""
        assert self._clock.stdout is not None
        return int(self._clock.stdout.readline())

    def close(self) -> None:
        """Takes it down."""
        self._clock.kill()
        self._clock.communicate()
        self.path.unlink()


def starts(submit: Callable[[str], object], folder: Path, count: int) -> list[float]:
    """Seconds from a submission to the command's first instruction, one at a time; the first one is not counted."""
    bell = Bell(folder)
    found = []
    for _ in range(count + 1):
        begun = time.monotonic_ns()
        submit(bell.command)
        found.append((bell.rung() - begun) / 1e9)
        time.sleep(0.02)
    bell.close()
    return found[1:]


class Huey:
    """SqliteHuey with fsync; one worker thread in a process of its own, which looks for work every millisecond."""

    def __init__(self, folder: Path) -> None:
        """A queue in that folder."""
        self.folder = folder
        self._turn = 0
        self.huey, self.task = self._queue("start")

    def _queue(self, name: str) -> tuple[Any, Any]:
        huey = importlib.import_module("huey").SqliteHuey(filename=str(self.folder / f"{name}.db"), fsync=True)
        return huey, huey.task(name="run")(_run)

    def _fresh(self) -> tuple[Any, Any]:
        self._turn += 1
        return self._queue(f"fresh-{self._turn}")

    def start(self, count: int) -> list[float]:
        """Each submission's seconds until it runs."""
        worker = subprocess.Popen([sys.executable, "-m", __spec__.name, "huey-worker", str(self.folder)])
        try:
            return starts(self.task, self.folder, count)
        finally:
            worker.kill()
            worker.wait()

    def submit(self, count: int) -> list[float]:
        """So many submissions by one caller, nothing runs meanwhile: the seconds of all."""
        _, task = self._fresh()
        begun = time.perf_counter()
        for _ in range(count):
            task("true")
        return [time.perf_counter() - begun]

    def together(self, count: int) -> list[float]:
        """The same by a hundred callers."""
        _, task = self._fresh()
        callers = [Thread(target=lambda: [task("true") for _ in range(count // 100)]) for _ in range(100)]
        begun = time.perf_counter()
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        return [time.perf_counter() - begun]

    def decide(self, queued: int) -> list[float]:
        """Taking the next of so many, which is on disk then."""
        huey, task = self._fresh()
        data = huey.serialize_task(task.s("true"))
        with huey.storage.db(commit=True) as cursor:
            rows = ((huey.name, data, 0) for _ in range(queued))
            cursor.executemany("insert into task (queue, data, priority) values (?, ?, ?)", rows)
        found = []
        for _ in range(200):
            begun = time.perf_counter()
            assert huey.dequeue() is not None
            found.append(time.perf_counter() - begun)
        return found

    def work(self) -> None:
        """The worker."""
        self.huey.create_consumer(
            workers=1, periodic=False, initial_delay=0.001, max_delay=0.001, backoff=1.0, check_worker_health=False
        ).run()


class HyperQueue:
    """A server and a worker as the package starts them; this server keeps its queue in memory alone."""

    def __init__(self, folder: Path) -> None:
        """A cluster in that folder."""
        self.folder = folder
        self.hq = importlib.import_module("hyperqueue")
        self.cluster = importlib.import_module("hyperqueue.cluster")
        self._turn = 0

    def _open(self, work: bool) -> Any:
        self._turn += 1
        config = self.cluster.WorkerConfig(cores=2) if work else None
        return self.cluster.LocalCluster(str(self.folder / f"hq-{self._turn}"), config)

    def _job(self, command: str, tasks: int = 1) -> Any:
        job = self.hq.Job()
        for _ in range(tasks):
            job.program(["/bin/sh", "-c", command], stdout=None, stderr=None)
        return job

    def start(self, count: int) -> list[float]:
        """Each submission's seconds until it runs."""
        with self._open(work=True) as cluster:
            client = cluster.client()
            return starts(lambda command: client.submit(self._job(command)), self.folder, count)

    def submit(self, count: int) -> list[float]:
        """So many submissions by one caller, nothing runs meanwhile: the seconds of all."""
        with self._open(work=False) as cluster:
            client = cluster.client()
            begun = time.perf_counter()
            for _ in range(count):
                client.submit(self._job("true"))
            return [time.perf_counter() - begun]

    def together(self, count: int) -> list[float]:
        """The same as the tasks of one job, which is its fastest way."""
        with self._open(work=False) as cluster:
            client = cluster.client()
            begun = time.perf_counter()
            client.submit(self._job("true", count))
            return [time.perf_counter() - begun]


def _run(command: str) -> None:
    subprocess.Popen(["/bin/sh", "-c", command]).wait()


def main() -> int:
    """Answers until its input ends."""
    which, folder = sys.argv[1], Path(sys.argv[2])
    if which == "huey-worker":
        Huey(folder).work()
        return 0
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # HyperQueue prints what it likes
    peer: Any = {"huey": Huey, "hyperqueue": HyperQueue}[which](folder)
    for line in sys.stdin:
        what, number = json.loads(line)
        print(json.dumps(getattr(peer, what)(number)), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
