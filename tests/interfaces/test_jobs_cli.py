"""Jobs at the command line: real commands under a real system, which may be killed in between."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import psutil

from agentos.interfaces.commands_jobs import table

from .conftest import Agentos, Terminal


def submit(agentos: Agentos, command: str, *more: str) -> str:
    return str(agentos.json("call", "jobs.submit", f"--command={command}", *more, "--yes", "--json")["job"])


def test_a_job_runs_where_the_person_stands_and_its_output_is_kept(agentos: Agentos, tmp_path: Path) -> None:
    process = agentos.popen(
        "call", "jobs.submit", "--command", "pwd; echo out; echo err >&2", "--yes", "--wait", "--json", cwd=tmp_path
    )
    card = json.loads(process.communicate(timeout=120)[0])
    assert process.returncode == 0 and card["state"] == "succeeded" and card["exit_code"] == 0
    assert agentos.run("logs", card["job"]).stdout == f"{tmp_path}\nout\nerr\n"


def test_a_job_that_fails_says_so_in_every_way(agentos: Agentos) -> None:
    done = agentos.run("call", "jobs.submit", "--command", "exit 3", "--yes", "--wait", "--json")
    card = json.loads(done.stdout)
    assert done.returncode == 1 and card["exit_code"] == 3 and "exit code 3" in card["error"]["message"]
    waited = agentos.run("wait", card["job"])
    assert waited.returncode == 1 and f"job {card['job']} (exit) failed: exit code 3" in waited.stdout


def test_a_log_is_followed_to_its_end(agentos: Agentos, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = submit(agentos, f"echo first; while [ ! -e {gate} ]; do sleep 0.05; done; echo last")
    follow = agentos.popen("logs", job, "-f")
    assert follow.stdout is not None
    assert follow.stdout.readline() == "first\n"
    gate.touch()
    rest, _ = follow.communicate(timeout=60)
    assert rest == "last\n" and follow.returncode == 0


def test_jobs_wait_for_others_and_fail_with_them(agentos: Agentos) -> None:
    first = submit(agentos, "exit 1", "--name", "shaky")
    second = submit(agentos, "echo never", "--after", first)
    assert agentos.run("wait", second).returncode == 1
    card = agentos.json("call", "jobs.show", "--job", second, "--json")
    assert card["state"] == "failed" and f"job {first} (shaky) failed" in str(card["reason"])
    assert card["attempts"] == []


def test_a_cancelled_job_leaves_no_process(agentos: Agentos, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    job = submit(agentos, f"(sleep 600 & echo $! > {mark}; wait)")
    while not mark.exists() or not mark.read_text().strip():
        time.sleep(0.02)
    assert agentos.json("call", "jobs.cancel", "--job", job, "--yes", "--json")["job"] == job
    assert agentos.run("wait", job).returncode == 1
    assert agentos.json("call", "jobs.show", "--job", job, "--json")["state"] == "cancelled"
    assert not psutil.pid_exists(int(mark.read_text()))


def test_what_can_never_run_is_refused_with_the_figures(agentos: Agentos) -> None:
    for wrong, why in (
        (["--cpus", "5000"], "5000 CPUs"), (["--gpus", "64"], "64 GPUs"), (["--after", "nosuch"], "no job 'nosuch'"),
        (["--at", "when pigs fly"], "when pigs fly"), (["--memory", "lots"], "not a size"),
        (["--secrets", "NO_SUCH"], "no secret 'NO_SUCH'"), (["--env", "novalue"], "NAME=value"),
    ):
        done = agentos.run("call", "jobs.submit", "--command", "true", *wrong, "--yes")
        assert done.returncode == 2 and why in done.stderr, done.stderr
    assert agentos.run("call", "jobs.show", "--job", "999999").returncode == 2


def test_a_command_that_does_not_exist_and_a_log_that_is_no_text(agentos: Agentos) -> None:
    job = submit(agentos, "no-such-command-anywhere")
    assert agentos.run("wait", job).returncode == 1
    assert "not found" in agentos.run("logs", job).stdout
    job = submit(agentos, r"printf '\377\376\033[2Jhello\n'")
    agentos.run("wait", job)
    shown = agentos.run("logs", job).stdout
    assert "hello" in shown and "\x1b" not in shown


def test_a_secret_reaches_the_job_and_nothing_else(agentos: Agentos) -> None:
    value = "correct-horse-battery"
    assert agentos.run("secrets", "set", "HORSE", stdin=f"{value}\n").returncode == 0
    assert agentos.json("secrets", "--json") == {"secrets": ["HORSE"]}
    job = submit(agentos, 'test "$HORSE" = correct-horse""-battery && echo "it is $HORSE"', "--secrets", "HORSE")
    assert agentos.run("wait", job).returncode == 0
    assert agentos.run("logs", job).stdout == "it is [secret HORSE]\n"
    assert value not in json.dumps(agentos.json("call", "jobs.show", "--job", job, "--json"))
    assert value not in agentos.log()
    database = (agentos.home / "agentos.db").read_bytes() + (agentos.home / "agentos.db-wal").read_bytes()
    assert value.encode() not in database
    assert agentos.run("secrets", "delete", "HORSE").returncode == 0
    assert agentos.json("secrets", "--json") == {"secrets": []}


def test_jobs_go_on_while_the_system_is_dead_and_are_taken_up_again(fresh: Agentos, tmp_path: Path) -> None:
    gate, runs = tmp_path / "gate", tmp_path / "runs"
    job = submit(fresh, f"echo run >> {runs}; while [ ! -e {gate} ]; do sleep 0.05; done; echo done")
    later = submit(fresh, "echo later", "--after", job)
    while not runs.exists():
        time.sleep(0.02)
    os.kill(fresh.pid(), signal.SIGKILL)
    gate.touch()
    assert fresh.run("wait", job, later).returncode == 0
    assert runs.read_text() == "run\n"
    assert fresh.run("logs", job).stdout == "done\n"


def test_the_table_is_live_on_a_terminal_and_ends_with_the_jobs(agentos: Agentos, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = submit(agentos, f"echo 40%; while [ ! -e {gate} ]; do sleep 0.05; done", "--name", "watched")
    with Terminal(agentos, "jobs", "--state", "running", term="xterm") as terminal:
        terminal.expect(r"watched.*40%")
        gate.touch()
        assert terminal.ended() == 0 and "no jobs" in terminal.seen
    assert agentos.run("wait", job).returncode == 0


def test_a_table_fits_its_columns() -> None:
    row = {
        "id": "7", "name": "x" * 300, "state": "running", "progress": 40.0, "runtime": 61.0, "user": "ada", "cpus": 1,
        "gpus": 0, "reason": "",
    }
    lines = table({"jobs": [row], "total": 90}, columns=60)
    assert lines[0] == "1 running (the newest 1 of 90)" and all(len(line) <= 60 for line in lines[1:])


def test_another_persons_job_is_theirs_by_its_name_too(agentos: Agentos) -> None:
    assert agentos.run("keys", "create", "--user", "otto", "--role", "operator").returncode == 0
    job = submit(agentos, "echo mine; exit 1", "--name", "private-job")
    agentos.run("wait", job)
    for name in (job, "private-job"):
        for call, rule in (("jobs.logs", "own-output"), ("jobs.retry", "own-jobs"), ("jobs.cancel", "destroy-own")):
            done = agentos.run("--as", "otto", "call", call, "--job", name, "--yes")
            assert done.returncode == 3 and rule in done.stderr, done.stderr
    assert agentos.run("--as", "otto", "call", "jobs.show", "--job", "private-job").returncode == 0
