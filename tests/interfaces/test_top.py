"""The screen of `agentos top`, and what it is drawn from."""

from __future__ import annotations

import asyncio
import os

import pytest

from agentos.dispatch.dispatcher import as_json
from agentos.interfaces.show import bar, width
from agentos.interfaces.top_frame import View, frame
from agentos.interfaces.words import speaker
from agentos.resources.watch import FRESH, Seen, Watch

from .conftest import Agentos, Terminal
from .test_ps import BUSY, COMING, listed

JOB = {"id": "7", "name": "训练模型" * 20, "state": "running", "progress": 40.0, "runtime": 61.0, "user": "ada"}


async def two_looks() -> Seen:
    now = [0.0]
    watch = Watch(lambda: now[0])
    first = await watch.look(lambda: [os.getpid()])
    assert first.each == () and first.disk_rate is None and all(link.rate is None for link in first.links)
    sum(range(3_000_000))
    now[0] = 1.0
    return await watch.look(lambda: [os.getpid()])


def screen(view: View, language: str = "en") -> list[str]:
    seen = {
        "machine": as_json(asyncio.run(two_looks())), "models": listed(BUSY, COMING), "version": "1", "uptime": 61.0,
        "jobs": {"running": {"jobs": [JOB] * 30, "total": 30}, "queued": {"jobs": [], "total": 4}},
    }
    return [line.text for line in frame(seen, view, speaker(language))]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (40, 12), (200, 60)])
def test_a_screen_fits_its_terminal(language: str, columns: int, lines: int) -> None:
    drawn = screen(View(columns, lines), language)
    assert len(drawn) <= lines and all(width(line) <= columns for line in drawn)


def test_a_screen_of_80_by_24_has_machine_models_jobs_and_processes() -> None:
    text = "\n".join(screen(View(80, 24)))
    parts = ("CPU", "Memory", "Disk", "qwen2.5-coder-0.5b*", "Jobs: 30 running, 4 queued", "PROCESS", str(os.getpid()))
    for part in parts:
        assert part in text, text


def test_a_terminal_without_unicode_gets_none() -> None:
    assert "█" not in "\n".join(screen(View(80, 24, ascii=True)))
    assert (bar(50, 4, True), bar(0, 4, True), bar(120, 4, False)) == ("##..", "....", "████")


def test_many_watchers_cost_one_look() -> None:
    async def looks() -> None:
        now = [0.0]
        watch = Watch(lambda: now[0])
        first = await watch.look(lambda: [os.getpid()])
        now[0] = FRESH / 2
        assert (await watch.look(lambda: [os.getpid()])).time == first.time
        now[0] = FRESH
        assert (await watch.look(lambda: [os.getpid()])).time > first.time

    asyncio.run(looks())


def test_rates_and_each_cores_use_come_from_two_looks() -> None:
    seen = asyncio.run(two_looks())
    assert seen.each and all(0 <= share <= 100 for share in seen.each)
    (mine,) = [one for one in seen.processes if one.pid == os.getpid()]
    assert mine.cpu and mine.cpu > 0 and mine.memory


def test_a_pipe_gets_it_once_with_rates_and_a_script_json(agentos: Agentos) -> None:
    done = agentos.run("top")
    assert done.returncode == 0 and "\x1b" not in done.stdout and "CPU" in done.stdout and "%" in done.stdout
    said = agentos.json("top", "--json")
    assert said["machine"]["each"] and said["machine"]["processes"]  # type: ignore[index]


def test_keys_pause_sort_and_quit(agentos: Agentos) -> None:
    with Terminal(agentos, "top", term="xterm") as terminal:
        terminal.expect(r"sort: memory")
        terminal.type("s")
        terminal.expect(r"cpu")
        terminal.type("p")
        terminal.expect(r"PAUSED")
        terminal.type("q")
        assert terminal.ended() == 0
