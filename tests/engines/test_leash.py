"""A server's processes end with it, with each other, and with whoever started them, however that ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agentos.engines import leash

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tree is known from /proc")

# A server, an engine core below it and a worker below that, in sessions of their own, as multiprocessing makes them.
TREE = """
import multiprocessing, os, sys, time

def worker(pids):
    os.setsid()
    pids.put(os.getpid())
    time.sleep(600)

def core(pids):
    pids.put(os.getpid())
    part = multiprocessing.get_context("spawn").Process(target=worker, args=(pids,))
    part.start()
    time.sleep(600)

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    pids = spawn.Queue()
    spawn.Process(target=core, args=(pids,)).start()
    made = [os.getpid(), pids.get(), pids.get()]
    with open(sys.argv[1] + ".new", "w") as out:
        out.write(" ".join(map(str, made)))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    time.sleep(600)
"""
# Stands for the system: it starts the leash as the system does, and waits.
SYSTEM = """
import json, subprocess, sys, time
given = sys.argv[1]
ran = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[2], given], stdin=subprocess.PIPE, start_new_session=True)
print(ran.pid, flush=True)
time.sleep(600)
"""


class Tree:
    """A system, the leash and three processes of a server."""

    def __init__(self, folder: Path, *, vital: str = "spawn_main", limit: int | None = None) -> None:
        program, pids = folder / "tree.py", folder / "pids"
        program.write_text(TREE)
        self.own = folder / "own"
        given = {
            "command": [sys.executable, str(program), str(pids)], "folder": str(self.own), "vital": vital,
            "limit": limit, "oom": 500,
        }
        self.system = subprocess.Popen(
            [sys.executable, "-c", SYSTEM, json.dumps(given), leash.__file__], stdout=subprocess.PIPE, text=True
        )
        assert self.system.stdout is not None
        self.leash = psutil.Process(int(self.system.stdout.readline()))
        self.started = json.loads(self.system.stdout.readline())["started"]
        while not pids.exists() and self.leash.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.02)
        self.pids = [int(pid) for pid in pids.read_text().split()] if pids.exists() else []
        # a part that dies before the leash has looked is its parent's to notice; here it has looked
        while len(self.pids) > len(_watched(self.leash.pid)) and self.leash.is_running() and vital:
            time.sleep(0.02)
        self.all = [self.leash]
        for pid in leash.below(self.leash.pid):
            with contextlib.suppress(psutil.NoSuchProcess):  # the leash may be ending it already
                self.all.insert(0, psutil.Process(pid))

    def why(self) -> str:
        """What the leash said at the end."""
        assert self.system.stdout is not None
        return str(json.loads(self.system.stdout.readline())["ended"])

    def left(self) -> list[psutil.Process]:
        """What still lives of the server and the leash, after ten seconds at most."""
        for _ in range(200):
            alive = [process for process in self.all if process.is_running()]
            alive = [process for process in alive if leash.fields(process.pid)[:1] not in ([], [b"Z"])]
            if not alive:
                break
            time.sleep(0.05)
        return alive

    def close(self) -> None:
        self.system.kill()
        self.system.communicate()
        for process in self.all:
            if process.is_running():
                process.kill()


def _watched(pid: int) -> list[Path]:
    """The processes whose end another one will hear of."""
    found = []
    for held in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            if os.readlink(held) == "anon_inode:[pidfd]":
                found.append(held)
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path)
    assert len(made.pids) == 3 and made.pids[0] == made.started
    yield made
    made.close()


def test_nothing_is_left_when_the_system_is_killed(tree):
    tree.system.kill()
    assert not tree.left()
    assert not tree.own.exists()


def test_nothing_is_left_when_the_leash_is_killed(tree):
    tree.leash.kill()
    assert not tree.left()


def test_nothing_is_left_when_the_leash_is_killed_and_the_workers_are_stopped(tree):
    for pid in tree.pids:
        os.kill(pid, signal.SIGSTOP)
    tree.leash.kill()
    assert not tree.left()


def test_nothing_is_left_when_the_leash_is_told_to_end(tree):
    tree.leash.terminate()
    assert not tree.left()
    assert not tree.own.exists()


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_part_that_is_killed_takes_the_rest_along_and_the_signal_is_named(tree, part):
    os.kill(tree.pids[part], signal.SIGKILL)
    why = tree.why()
    assert str(tree.pids[part]) in why and "SIGKILL" in why
    assert not tree.left()


def test_stopped_processes_are_ended_too(tree):
    for pid in tree.pids:
        os.kill(pid, signal.SIGSTOP)
    tree.system.kill()
    assert not tree.left()


def test_the_server_is_offered_first_when_memory_runs_out_and_the_system_is_not(tree):
    scores = {Path(f"/proc/{pid}/oom_score_adj").read_text().strip() for pid in tree.pids}
    assert scores == {"500"}
    assert Path(f"/proc/{tree.system.pid}/oom_score_adj").read_text().strip() != "500"


def test_a_server_that_takes_more_than_its_limit_ends_and_says_so(tmp_path):
    made = Tree(tmp_path, limit=8 << 20)
    try:
        assert "more than the 8 MiB" in made.why()
        assert not made.left()
    finally:
        made.close()
