"""Engines that are forked are engines like any other, and nothing is left of them or of what forked them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from agentos.engines import wire
from agentos.engines.footprint import held
from agentos.engines.host import ChildEngine
from agentos.engines.nursery import Nursery
from agentos.errors import Failed
from agentos.types import Completed, Generation, ModelSpec, Prompt, Token

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="engines are forked on Linux alone"),
]


async def until(true, what: str) -> None:
    """Looks for two minutes at most: an import on a busy machine."""
    for _ in range(1200):
        if true():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"never came: {what}")


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def say(engine: ChildEngine, tokens: int = 6) -> str:
    async for item in engine.generate(Generation("r", Prompt("count"), tokens)):
        if isinstance(item, Completed):
            return item.text
    raise AssertionError("an answer ended without saying so")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nursery(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nursery]:
    made = Nursery(tmp_path_factory.mktemp("nursery") / "log")
    yield made
    made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def warm(nursery: Nursery) -> Nursery:
    nursery.prepare()
    await until(lambda: nursery.ready, "a nursery that is ready")
    return nursery


@pytest_asyncio.fixture(loop_scope="module")
async def engine(nursery: Nursery, tmp_path: Path) -> AsyncIterator[ChildEngine]:
    made = ChildEngine("transformers", log=tmp_path / "log", nursery=nursery, threads=1)
    yield made
    await made.unload()


@pytest.fixture
def spec(tiny_models: dict[str, Path]) -> ModelSpec:
    return ModelSpec("tiny", tiny_models["qwen2"], "cpu", 1000)


async def test_the_first_load_is_plain_and_makes_the_next_one_a_fork_that_answers_the_same(nursery, engine, spec):
    made = await engine.load(spec)
    assert psutil.Process(made.pid).ppid() == os.getpid()
    plain = await say(engine)
    await until(lambda: nursery.ready, "a nursery that is ready")
    forked = await engine.load(spec)
    assert psutil.Process(forked.pid).ppid() == nursery.pid
    assert await say(engine) == plain and plain
    assert forked.dtype == made.dtype and forked.memory > 10_000_000


async def test_the_nursery_runs_one_thread_so_that_what_it_forks_is_whole(warm):
    assert psutil.Process(warm.pid).num_threads() == 1


async def test_an_engine_whose_libraries_load_at_once_is_never_forked(warm, tmp_path):
    script = tmp_path / "script.yaml"
    script.write_text(json.dumps([{"when": "count", "say": "one two"}]), "utf-8")
    engine = ChildEngine("scripted", nursery=warm)
    made = await engine.load(ModelSpec("script", settings={"script": str(script)}))
    assert psutil.Process(made.pid).ppid() == os.getpid()
    await engine.unload()


async def test_a_killed_fork_names_its_signal_and_the_next_load_is_served(warm, engine, spec):
    made = await engine.load(spec)
    assert psutil.Process(made.pid).ppid() == warm.pid
    with pytest.raises(Failed, match="SIGKILL"):
        async for item in engine.generate(Generation("r", Prompt("go on"), 900)):
            if isinstance(item, Token) and psutil.pid_exists(made.pid):
                os.kill(made.pid, signal.SIGKILL)
    assert not engine.alive and not psutil.pid_exists(made.pid)
    assert (await engine.load(spec)).pid != made.pid
    assert await say(engine)


async def test_a_model_that_cannot_be_loaded_leaves_no_fork(warm, engine, spec, tmp_path):
    with pytest.raises(Failed):
        await engine.load(ModelSpec("none", tmp_path, "cpu"))
    assert not engine.alive and not psutil.Process(warm.pid).children()
    await engine.load(spec)
    assert await say(engine)


async def test_loads_and_unloads_leak_no_process_no_memory_map_and_no_descriptor(warm, engine, spec):
    async def once() -> None:
        made = await engine.load(spec)
        assert psutil.Process(made.pid).ppid() == warm.pid
        await engine.unload()

    def open_files() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{warm.pid}/fd"))

    await once()
    await asyncio.sleep(0)
    before, children = open_files(), set(psutil.Process().children(recursive=True))
    for _ in range(20):
        await once()
    await asyncio.sleep(0)
    assert open_files() == before
    assert set(psutil.Process().children(recursive=True)) == children


async def test_forks_that_live_side_by_side_end_each_by_itself(warm, spec):
    engines = [ChildEngine("transformers", nursery=warm, threads=1) for _ in range(3)]
    made = await asyncio.gather(*(engine.load(spec) for engine in engines))
    assert len({each.pid for each in made}) == 3
    await engines[0].unload()
    await engines[2].kill("it was told to")
    assert [psutil.pid_exists(each.pid) for each in made] == [False, True, False]
    assert await say(engines[1])
    await engines[1].unload()
    assert not psutil.pid_exists(made[1].pid)


async def test_a_killed_nursery_costs_its_forks_nothing_and_the_next_load_is_plain_and_then_warm_again(
    warm, engine, spec
):
    forked = await engine.load(spec)
    told, first = await say(engine), warm.pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: warm.pid is None, "the news that the nursery has ended")
    assert not psutil.pid_exists(first)
    assert await say(engine) == told and engine.alive
    other = ChildEngine("transformers", nursery=warm, threads=1)
    plain = await other.load(spec)
    assert psutil.Process(plain.pid).ppid() == os.getpid()
    await until(lambda: warm.ready, "another nursery")
    assert psutil.Process((await other.load(spec)).pid).ppid() == warm.pid != first
    await other.unload()
    assert engine.alive
    await engine.unload()
    await until(lambda: gone(forked.pid), "the end of the fork without a nursery")


async def test_who_ends_unseen_is_noticed_and_said_to_have_ended(warm, engine, spec):
    made = await engine.load(spec)
    warm.close()
    assert await say(engine)
    with pytest.raises(Failed, match="nobody was left to see"):
        async for item in engine.generate(Generation("r", Prompt("go on"), 900)):
            if isinstance(item, Token) and not gone(made.pid):
                os.kill(made.pid, signal.SIGKILL)
    assert not engine.alive


PARENT = """
import asyncio, json, sys
from agentos.engines import wire
from agentos.engines.host import ChildEngine
from agentos.engines.nursery import Nursery

async def main():
    nursery = Nursery()
    nursery.prepare()
    while not nursery.ready:
        await asyncio.sleep(0.05)
    engine = ChildEngine("transformers", nursery=nursery)
    made = await engine.load(wire.read_spec(json.loads(sys.argv[1])))
    print(json.dumps([nursery.pid, made.pid]), flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


async def test_when_the_system_is_killed_neither_nursery_nor_fork_is_left(spec):
    command = [sys.executable, "-c", PARENT, json.dumps(wire.spec_line(spec))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        nursery, fork = json.loads(await asyncio.to_thread(parent.stdout.readline))
        assert psutil.Process(fork).ppid() == nursery
        parent.kill()
    await until(lambda: gone(nursery) and gone(fork), "their end")


def tree() -> int:
    """Bytes that this process and all it started hold, each shared page counted once."""
    here = psutil.Process()
    return sum(held(process.pid) for process in (here, *here.children(recursive=True)))


async def settled() -> int:
    """`tree` once it stands still: an engine that just loaded still does background work."""
    last, now = 0, tree()
    for _ in range(60):
        if abs(now - last) < 1 << 20:
            return now
        await asyncio.sleep(1)
        last, now = now, tree()
    raise AssertionError("memory never stood still")


@pytest.mark.model
@pytest.mark.asyncio(loop_scope="session")
async def test_unloading_a_forked_model_gives_its_memory_back(kernel_engine):
    with contextlib.closing(Nursery()) as nursery:
        nursery.prepare()
        await until(lambda: nursery.ready, "a nursery that is ready")
        before = await settled()
        engine = ChildEngine("transformers", nursery=nursery)
        made = await engine.load(kernel_engine.spec)
        assert psutil.Process(made.pid).ppid() == nursery.pid
        await say(engine)
        during = await settled()
        weights = sum(file.stat().st_size for file in kernel_engine.spec.path.glob("*.safetensors"))
        assert during - before > weights / 2
        await engine.unload()
        assert during - tree() >= 0.98 * (during - before)
