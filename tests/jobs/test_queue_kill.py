"""A process killed in the middle of its work loses nothing that it has told anyone."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from agentos.jobs.queue import Queue
from agentos.store import Store

WORKER = """
import sys
from pathlib import Path
from agentos.jobs.executor import Ended
from agentos.jobs.queue import Queue
from agentos.jobs.records import Spec
from agentos.store import Store

queue = Queue(Store(Path(sys.argv[1])))
say = lambda *words: print(*words, flush=True)
say("open")
turn = int(sys.argv[2]) * 100_000
while True:
    with queue.transaction():
        made = []
        for at in range(20):
            turn += 1
            after = (made[-1].id,) if made and at % 4 == 3 else ()
            made += queue.submit([Spec(f"echo {turn}", "ann", call=f"c{turn}", after=after)], 1.0)
    say("submitted", *(f"{job.id}:{job.spec.call}" for job in made))
    with queue.transaction():
        open_now = [queue.claim(job.id, node="n", gpus=(), owner="me", until=2.0, now=1.0) for job in made[:10]]
    say("claimed", *filter(None, open_now))
    for attempt in filter(None, open_now):
        code = int(attempt.split(".")[0]) % 3 == 0
        queue.finish(Ended(attempt, "exited", int(code), None, None, 1.0, 2.0, attempt), 2.0)
        say("finished", f"{attempt}:{int(code)}")
"""


def told_before_the_kill(database: Path, turn: int, wait: float) -> list[list[str]]:
    """What a worker said until it was killed, `wait` seconds after it had opened the database."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(database), str(turn)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    lines = said.split("\n")[:-1]
    assert lines, "the worker was killed before it had done anything"
    return [line.split() for line in lines]


def test_what_a_killed_process_had_acknowledged_is_on_disk_once(tmp_path):
    database, rng = tmp_path / "agentos.db", random.Random(11)
    submitted: dict[str, str] = {}
    results: dict[str, str] = {}
    claimed: set[str] = set()
    for turn in range(5):
        for kind, *words in told_before_the_kill(database, turn, 0.15 + rng.random() * 0.15):
            pairs = dict(word.split(":") for word in words) if kind != "claimed" else {}
            if kind == "submitted":
                assert not pairs.keys() & submitted.keys(), "an id was given twice"
                submitted |= pairs
            elif kind == "finished":
                results |= pairs
            else:
                claimed |= set(words)
        store = Store(database)
        queue = Queue(store)
        assert store.connection.execute("pragma integrity_check").fetchone() == ("ok",)
        calls = {str(number): call for number, call in store.connection.execute("select id, call from jobs")}
        assert submitted.items() <= calls.items() and len(set(calls.values())) == len(calls)
        attempts = {}
        for job in queue.find.listing(limit=100_000):
            tries = queue.find.attempts(job.id)
            attempts |= {one.id: one for one in tries}
            assert len(tries) == job.attempts <= 1
            assert (job.state == "running") == any(one.outcome is None for one in tries)
            if job.state == "waiting":
                parents = [queue.find.get(str(parent)).state for parent in job.spec.after]
                assert job.pending == len(parents) and not {"succeeded", "failed"} & set(parents)
        assert claimed <= attempts.keys()
        assert all(str(attempts[attempt].exit_code) == code for attempt, code in results.items())
        store.close()
    assert len(results) > 20
