"""The system is killed in the middle, and nothing is lost and nothing happens twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .conftest import Agentos, Terminal, kill

FAMILY = '''
"""Effects that can be counted: a line in a file for each."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from agentos.syscall import syscall
from agentos.types import Context, Name

HERE = Path(os.environ["AGENTOS_HOME"]).parent


@dataclass(frozen=True)
class Noted:
    """What was noted."""

    word: str


async def noted(word: str) -> Noted:
    with (HERE / "effects").open("a") as file:
        file.write(word + "\\\\n")
    return Noted(word)


async def gate(name: str) -> None:
    (HERE / f"at-{name}").touch()
    while not (HERE / "go").exists():
        await asyncio.sleep(0.02)


@syscall(effect="write")
async def note(ctx: Context, word: Name) -> Noted:
    """Notes a word.

    Args:
        word: Which.
    """
    return await noted(word)


@syscall(effect="read")
async def look(ctx: Context) -> Noted:
    """Waits, and changes nothing."""
    await gate("look")
    return Noted("looked")


@syscall(effect="write")
async def stuck(ctx: Context, word: Name) -> Noted:
    """Notes a word and does not come back.

    Args:
        word: Which.
    """
    given = await noted(word)
    await gate("stuck")
    return given


@syscall(effect="execute")
async def drop(ctx: Context, word: Name) -> Noted:
    """Drops a word.

    Args:
        word: Which.
    """
    return await noted(f"drop {word}")
'''.replace("\\\\n", "\\n")
SCRIPT = r"""
- {when: "between", say: "probe.note(word=\"a\")\nprobe.look() after s1\nprobe.note(word=\"b\") after s2"}
- {when: "within", say: "probe.stuck(word=\"a\")\nprobe.note(word=\"b\") after s1\nprobe.note(word=\"c\")"}
- {when: "two drops", say: "probe.drop(word=\"a\")\nprobe.drop(word=\"b\")"}
"""


@dataclass(frozen=True)
class Probed(Agentos):
    """A home whose system has a family of syscalls that somebody installed."""

    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "PYTHONPATH": str(self.home.parent / "site")}

    def start(self, *args: str) -> subprocess.Popen[str]:
        quiet = subprocess.DEVNULL
        process = self.popen(*args, stdin=quiet, stdout=quiet, stderr=quiet)
        self.started.append(process)
        return process

    def serve(self) -> subprocess.Popen[str]:
        server = self.start("serve")
        self.until(lambda: self.run("status").returncode == 0)
        return server

    def effects(self) -> list[str]:
        file = self.home.parent / "effects"
        return file.read_text().split("\n")[:-1] if file.exists() else []

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(self.home / "agentos.db") as db:
            found = db.execute(query).fetchall()
        db.close()
        return found

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not true():
            assert time.monotonic() < end, self.log()
            time.sleep(0.05)

    def ended(self, state: str) -> None:
        self.until(lambda: self.rows("select state from runs order by started desc limit 1") == [(state,)])


@pytest.fixture
def probed(tmp_path: Path) -> Iterator[Probed]:
    site = tmp_path / "site"
    info = site / "probe_syscalls-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "probe_syscalls.py").write_text(FAMILY, "utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probe-syscalls\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[agentos.syscalls]\nprobe = probe_syscalls\n", "utf-8")
    script = tmp_path / "kernel.yaml"
    script.write_text(SCRIPT, "utf-8")
    made = Probed(tmp_path / "home", script)
    yield made
    kill(made)
    for process in made.started:
        process.kill()
        process.wait(30)


def shot(server: subprocess.Popen[str]) -> None:
    os.kill(server.pid, signal.SIGKILL)
    server.wait(30)


def test_a_run_that_is_killed_between_two_effects_goes_on_and_repeats_none(probed: Probed) -> None:
    server = probed.serve()
    asking = probed.start("ask", "between")
    probed.until((probed.home.parent / "at-look").exists)
    assert probed.effects() == ["a"]
    shot(server)
    assert asking.wait(60) != 0
    (probed.home.parent / "go").touch()
    probed.serve()
    probed.ended("done")
    assert probed.effects() == ["a", "b"]
    open_rows = "select count(*) from audit a where of = 0 and not exists (select 1 from audit f where f.of = a.id)"
    assert probed.rows(open_rows) == [(0,)]


def test_an_effect_that_is_cut_off_is_not_made_again_and_stops_its_followers(probed: Probed) -> None:
    server = probed.serve()
    asking = probed.start("ask", "within")
    probed.until((probed.home.parent / "at-stuck").exists)
    probed.until(lambda: sorted(probed.effects()) == ["a", "c"])
    shot(server)
    assert asking.wait(60) != 0
    (probed.home.parent / "go").touch()
    probed.serve()
    probed.ended("done")
    assert sorted(probed.effects()) == ["a", "c"]
    cut = "select f.outcome from audit a join audit f on f.of = a.id where a.syscall = 'probe.stuck'"
    assert probed.rows(cut) == [("interrupted",)]


def test_held_calls_outlive_a_kill_and_are_answered_after(probed: Probed) -> None:
    server = probed.serve()
    asked = probed.run("ask", "two drops")
    assert asked.returncode == 4, asked.stderr
    waiting = json.loads(probed.run("approvals", "--json").stdout)["approvals"]
    first, second = (item["id"] for item in sorted(waiting, key=lambda item: str(item["arguments"])))
    shot(server)
    server = probed.serve()
    assert probed.effects() == []
    assert probed.run("approve", second).returncode == 4
    assert probed.effects() == ["drop b"]
    shot(server)
    probed.serve()
    assert probed.run("approve", first).returncode == 0
    assert probed.effects() == ["drop b", "drop a"]


def test_a_person_is_asked_about_each_of_two_held_calls_and_answers_each_once(probed: Probed) -> None:
    with Terminal(probed, "ask", "two drops") as terminal:
        assert "word = a" in terminal.expect(r"\[n\] no > ")
        terminal.type("y\r")
        assert "word = b" in terminal.expect(r"\[n\] no > ")
        terminal.type("n\r")
        assert terminal.ended() == 3
    assert probed.effects() == ["drop a"]
    assert probed.rows("select answer from approvals order by rowid") == [("once",), ("no",)]


def test_yes_answers_every_call_that_is_held(probed: Probed) -> None:
    assert probed.run("ask", "--yes", "two drops").returncode == 0
    assert sorted(probed.effects()) == ["drop a", "drop b"]

