"""A server that hangs, dies or talks without end is told in a sentence, and the next call has a new one."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agentos.errors import Failed, Retry
from agentos.interfaces.http_scope import inside
from agentos.mounts.child import _told
from agentos.mounts.server import Mounted
from agentos.mounts.spec import Spec, read

Make = Callable[..., Mounted]


async def silent(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
    pass


async def pid(server: Mounted) -> int:
    answer = await server.call("search_notes", {"query": "x", "limit": 1}, silent)
    assert isinstance(answer.data, dict)
    return int(str(answer.data["pid"]))


async def test_a_tool_is_called_with_its_folder_its_variables_and_its_progress(mounted: Make, tmp_path: Path) -> None:
    server = mounted("good", env={"NOTES_KEY": "sesame"})
    assert server.state == "idle"
    told: list[tuple[str, float | None, float | None]] = []

    async def tell(message: str, done: float | None = None, total: float | None = None, unit: str = "") -> None:
        told.append((message, done, total))

    tools = {tool.name: tool for tool in await server.tools()}
    assert tools["search_notes"].reads and not tools["addNote"].reads and tools["drop_notes"].destroys
    answer = await server.call("addNote", {"text": "hello", "tags": ["a"]}, tell)
    assert answer.text == "kept 'hello' in red with ['a']"
    assert (tmp_path / "notes.txt").read_text() == "hello red ['a']"
    found = await server.call("search_notes", {"query": "x"}, silent)
    assert isinstance(found.data, dict) and found.data["secret"] == "sesame"
    assert server.state == "running"


def below() -> set[int]:
    return {child.pid for child in psutil.Process(os.getpid()).children(recursive=True)}


def alive(pid: int) -> bool:
    """Whether a process runs: one that nobody has buried yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_what_goes_wrong_with_a_call_is_its_callers_alone(
    mounted: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTES_KEY", "ours")
    before = below()
    server = mounted("good")
    first, *others = await asyncio.gather(*(pid(server) for _ in range(5)))
    assert {*others} == {first}
    answer = await server.call("search_notes", {"query": "x"}, silent)
    assert isinstance(answer.data, dict) and answer.data["secret"] == ""  # no variable of ours
    with pytest.raises(Failed, match="good: "):
        await server.call("broken", {"what": "it"}, silent)
    with pytest.raises(Failed, match="Unknown tool"):
        await server.call("nothing", {}, silent)
    odd = await server.call("odd", {}, silent)
    assert odd.text == "ab[2Jcd"  # nothing that moves what is shown
    assert odd.data is None  # too deep to be kept
    long = await server.call("long", {"size": 100_000}, silent)
    assert (len(long.text), long.lost) == (65536, 100_000 - 65536)
    assert await pid(server) == first
    started = below() - before  # an engine that all tests share runs beside it
    assert first in started
    await server.close()
    assert server.state == "idle"
    for _ in range(200):  # what it had started is its heir's to bury
        if not any(map(alive, started)):
            break
        await asyncio.sleep(0.05)
    assert not any(map(alive, started))


async def test_a_server_that_dies_in_a_call_is_told_and_started_again(mounted: Make) -> None:
    server = mounted("good")
    before = await pid(server)
    with pytest.raises(Failed, match="exit code 7 in the middle of die"):
        await server.call("die", {}, silent)
    assert server.state == "failed"
    again = await pid(server)
    assert again != before
    with pytest.raises(Failed, match="SIGKILL"):
        await server.call("kill", {}, silent)
    assert not psutil.pid_exists(again)


async def test_a_server_that_hangs_is_ended_and_one_that_is_slow_is_not(mounted: Make) -> None:
    server = mounted("good", timeout=1)
    before = await pid(server)
    with pytest.raises(Failed, match="did not answer within 1 s. What slow may"):
        await server.call("slow", {}, silent)
    assert await pid(server) == before
    with pytest.raises(Failed, match="did not answer within 1 s and was ended"):
        await server.call("hang", {}, silent)
    assert not psutil.pid_exists(before)
    assert await pid(server) != before
    with pytest.raises(Failed, match="within 1 s"):  # words on standard error hold nobody up
        await server.call("complain", {}, silent)


async def test_what_floods_is_ended_and_calls_beside_it_hear_of_it(mounted: Make) -> None:
    server = mounted("good")
    before = await pid(server)
    beside = asyncio.ensure_future(server.call("slow", {}, silent))
    with pytest.raises(Failed, match="sent .* messages .* was ended"):
        await server.call("flood", {}, silent)
    with pytest.raises(Failed, match="sent .* messages"):
        await beside
    assert not psutil.pid_exists(before)
    with pytest.raises(Failed, match="more than 4 MiB"):
        await server.call("long", {"size": 6_000_000}, silent)


@pytest.mark.parametrize(
    ("kind", "why"),
    [("silent", "did not greet within 1 s"), ("endless", "more than 4 MiB"),
     ("dead", "exit code 3 before it had greeted, saying: no database at /nowhere")],
)
async def test_a_server_that_does_not_greet_is_told_with_its_last_words(mounted: Make, kind: str, why: str) -> None:
    server = mounted(kind, start=1.0 if kind == "silent" else 30.0)
    with pytest.raises(Failed, match=why):
        await server.call("any", {}, silent)
    assert server.state == "failed"


async def test_one_that_keeps_failing_is_started_less_and_less_often(mounted: Make) -> None:
    now = [0.0]
    server = mounted("dead", clock=lambda: now[0])
    pauses = []
    for _ in range(3):
        with pytest.raises(Failed):
            await server.call("any", {}, silent)
        begun = now[0]
        while True:
            with pytest.raises((Failed, Retry)) as error:
                await server.call("any", {}, silent)
            if error.type is Failed:
                break
            now[0] += 0.5
        pauses.append(now[0] - begun)
        now[0] += 1000
    assert pauses[0] == 0.0 and pauses[0] < pauses[1] < pauses[2]


async def test_a_command_that_is_not_there_is_told() -> None:
    server = Mounted("none", lambda: Spec(command=("no-such-program",)))
    with pytest.raises(Failed, match="no program 'no-such-program'"):
        await server.call("any", {}, silent)


def test_what_the_leash_says_is_told_of_the_server() -> None:
    assert _told("the server (process 12) ended with exit code 7") == "ended with exit code 7"
    assert _told("it took 5 MiB of memory, more than the 4 MiB it was given").startswith("took 5 MiB")
    assert _told("") == "ended, as the process that holds it was killed"


async def test_what_its_process_asks_at_the_owners_socket_is_no_persons_word(mounted: Make) -> None:
    assert inside(await pid(mounted("good"))) == "within a mounted server"
    assert inside(os.getpid()) == ""


async def test_its_last_words_are_told_without_the_values_it_was_given(mounted: Make, tmp_path: Path) -> None:
    words = 'import os, sys; sys.exit("no entry with " + os.environ["KEY"])'
    spec = read({"command": [sys.executable, "-c", words], "env": {"KEY": "sesame-4711"}})
    server = Mounted("locked", lambda: spec)
    with pytest.raises(Failed, match="saying: no entry with …; nothing was sent to it") as said:
        await server.call("any", {}, silent)
    assert "4711" not in f"{said.value} {server.fault}"
