"""The real server of vLLM, on this machine's processor: started once, asked many things, and killed at the end."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from agentos.engines import leash, vllm_args
from agentos.engines.vllm import VllmEngine
from agentos.errors import Failed, UserError
from agentos.types import Completed, Generation, Message, ModelSpec, Prompt, Token

pytestmark = pytest.mark.asyncio(loop_scope="session")
numbers = itertools.count()
STORY = (Message("user", "Tell a long story."),)


def ask(prompt: Prompt | tuple[Message, ...] = STORY, max_tokens: int = 24, **rest) -> Generation:
    return Generation(f"v{next(numbers)}", prompt, max_tokens, **rest)


async def answer(engine: VllmEngine, request: Generation) -> tuple[list[str], Completed]:
    items = [item async for item in engine.generate(request)]
    assert isinstance(items[-1], Completed)
    return [item.text for item in items[:-1] if isinstance(item, Token)], items[-1]


def named(engine: VllmEngine, name: str) -> int:
    assert engine._server is not None
    return next(pid for pid in engine._server.processes() if name.encode() in leash.read(f"/proc/{pid}/cmdline"))


async def test_it_says_what_it_loaded_and_no_port_or_key_is_seen(vllm_engine):
    made = vllm_engine.loaded
    assert (made.engine, made.context, made.grammar) == ("vllm", 2048, True)
    assert made.memory > 1 << 30 and vllm_engine.memory() > 1 << 30
    server = psutil.Process(made.pid)
    assert not [each for each in server.net_connections("inet") if each.status == "LISTEN" and each.laddr.port == 8000]
    line = server.cmdline()
    folder = Path(line[line.index("--uds") + 1]).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    key = server.environ()["VLLM_API_KEY"]
    assert not [word for word in line if key in word]


async def test_the_estimate_covers_what_it_takes_and_is_near_it(vllm_engine):
    need = vllm_args.need(vllm_engine._spec.path, 2048, {})
    taken = vllm_engine.memory()
    assert 0.6 * need < taken <= need, (taken >> 20, need >> 20)


async def test_an_answer_streams_and_is_the_same_again(vllm_engine):
    pieces, end = await answer(vllm_engine, ask())
    assert len(pieces) > 3 and "".join(pieces) == end.text
    assert (end.reason, end.tokens) == ("length", 24) and end.prompt_tokens > 20
    assert (await answer(vllm_engine, ask()))[1].text == end.text


async def test_raw_text_is_continued_and_a_chat_in_parts_is_a_chat(vllm_engine):
    _, raw = await answer(vllm_engine, ask(Prompt("The capital of France", (" is",)), 4))
    assert "Paris" in raw.text
    parts = Prompt("Be terse. ", ("Be kind. ",), "Hello", chat=True)
    turns = (Message("system", "Be terse. Be kind. "), Message("user", "Hello"))
    assert (await answer(vllm_engine, ask(parts, 6)))[1].text == (await answer(vllm_engine, ask(turns, 6)))[1].text


async def test_a_seed_repeats_a_warm_answer(vllm_engine):
    one, same, other = [
        (await answer(vllm_engine, ask(temperature=1.0, seed=seed)))[1].text for seed in (1, 1, 2)
    ]
    assert one == same != other


async def test_a_stop_text_ends_the_answer_and_is_not_shown(vllm_engine):
    _, whole = await answer(vllm_engine, ask())
    stop = whole.text[9:13]
    _, end = await answer(vllm_engine, ask(stop=(stop,)))
    assert end.reason == "stop" and end.text == whole.text[: whole.text.index(stop)]


async def test_a_grammar_holds(vllm_engine):
    grammar = 'start: "the list of settings: " /[a-z]{1,8}/ ", " /[0-9]{3}/\n'
    _, end = await answer(vllm_engine, ask(max_tokens=40, grammar=grammar))
    assert re.fullmatch(r"the list of settings: [a-z]{1,8}, [0-9]{3}", end.text)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (ask((Message("user", "too long a prompt " * 2500),)), "maximum context length"),
        (ask(grammar="start: nothing("), "rammar"),
    ],
)
async def test_what_cannot_be_met_is_the_askers_error_and_the_next_is_answered(vllm_engine, request_, said):
    with pytest.raises(UserError, match=said):
        await answer(vllm_engine, request_)
    assert (await answer(vllm_engine, ask(max_tokens=2)))[1].tokens == 2


async def test_it_predicts_nothing(vllm_engine):
    with pytest.raises(UserError, match="transformers"):
        await vllm_engine.predict(["good"])


async def test_requests_side_by_side_share_their_steps(vllm_engine):
    async def steps() -> int:
        body = (await vllm_engine._client.ask("GET", "/metrics")).body.decode()
        return int(float(re.search(r"vllm:iteration_tokens_total_count\S* (\S+)", body)[1]))

    before = await steps()
    ends = await asyncio.gather(*(
        answer(vllm_engine, ask((Message("user", f"Tell a long story, number {number}."),), 32)) for number in range(8)
    ))
    assert [end.tokens for _, end in ends] == [32] * 8
    assert await steps() - before < 8 * 32 / 2, "one after another takes a step for each token of each"


async def test_closing_the_iterator_ends_the_request_in_the_server(vllm_engine):
    request = ask(max_tokens=1500)
    async with aclosing(vllm_engine.generate(request)) as stream:
        await anext(stream)
        with pytest.raises(UserError, match="already under way"):
            await answer(vllm_engine, request)
        assert (await vllm_engine.pulse()).busy
    for _ in range(100):
        body = (await vllm_engine._client.ask("GET", "/metrics")).body.decode()
        if "vllm:num_requests_running{engine=\"0\",model_name=\"smollm2-135m\"} 0.0" in body:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("the server goes on writing for nobody")
    assert not (await vllm_engine.pulse()).busy


async def test_a_pulse_moves_while_it_writes_and_an_idle_engine_writes_a_token_for_it(vllm_engine):
    async with aclosing(vllm_engine.generate(ask(max_tokens=1500))) as stream:
        await anext(stream)
        first = await vllm_engine.pulse()
        for _ in range(5):
            await anext(stream)
        second = await vllm_engine.pulse()
    assert first.busy and second.busy and second.progress > first.progress
    vllm_engine._beat._last -= 60  # as if a minute had passed
    assert (await vllm_engine.pulse()).progress > second.progress


@pytest.mark.parametrize("part", ["VLLM::EngineCore", "VLLM::Worker", "api_server"])
async def test_a_stopped_part_is_seen_by_the_next_pulse(vllm_engine, part):
    pid = named(vllm_engine, part)
    os.kill(pid, signal.SIGSTOP)
    try:
        while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0.01)  # it stops when it next runs, and not when it is told to
        with pytest.raises(Failed, match=f"process {pid}.* is stopped"):
            await vllm_engine.pulse()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (await answer(vllm_engine, ask(max_tokens=2)))[1].tokens == 2


async def test_a_model_that_cannot_be_loaded_fails_with_the_reason_and_leaves_nothing(vllm_engine, tmp_path):
    engine = VllmEngine(vllm_engine._cache, log=tmp_path / "log")
    with pytest.raises(Failed, match="holds no model"):
        await engine.load(ModelSpec("broken", tmp_path))
    little = ModelSpec("little", vllm_engine._spec.path, context=2048, limit=1 << 30)
    with pytest.raises(Failed, match="may take 1.0 GiB"):
        await engine.load(little)
    (tmp_path / "config.json").write_text(
        '{"model_type": "none", "num_attention_heads": 1, "hidden_size": 8, "num_hidden_layers": 1}'
    )
    with pytest.raises(Failed, match="could not serve 'broken'"):
        await engine.load(ModelSpec("broken", tmp_path))
    assert not engine.alive and not engine.memory()


SYSTEM = """
import asyncio, sys
from pathlib import Path
from agentos.engines.vllm import VllmEngine
from agentos.types import ModelSpec

engine = VllmEngine(Path(sys.argv[1]), log=Path(sys.argv[2]))
asyncio.run(engine.load(ModelSpec("m", Path(sys.argv[3]), context=2048)))
"""


async def test_nothing_is_left_of_a_real_server_whose_system_is_killed(vllm_engine, tmp_path):
    given = [str(vllm_engine._cache), str(tmp_path / "log"), str(vllm_engine._spec.path)]
    system = subprocess.Popen([sys.executable, "-c", SYSTEM, *given])
    below: list[int] = []
    try:
        for _ in range(3000):
            below = leash.below(system.pid)
            if any(b"VLLM::EngineCore" in leash.read(f"/proc/{pid}/cmdline") for pid in below):
                break
            assert system.poll() is None
            await asyncio.sleep(0.1)
    finally:
        system.kill()
        system.wait()
    assert len(below) >= 3
    for _ in range(200):
        left = [pid for pid in below if leash.fields(pid)[:1] not in ([], [b"Z"])]
        if not left:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"{left} outlived their system")


async def test_a_killed_part_tells_its_callers_and_leaves_no_process(vllm_engine):
    pids = vllm_engine._server.processes()
    core = named(vllm_engine, "VLLM::EngineCore")
    other = asyncio.create_task(answer(vllm_engine, ask(max_tokens=1500)))
    stream = vllm_engine.generate(ask(max_tokens=1500))
    await anext(stream)
    os.kill(core, signal.SIGKILL)
    with pytest.raises(Failed, match=rf"process {core}.* was killed by SIGKILL"):
        async for _ in stream:
            pass
    with pytest.raises(Failed, match="SIGKILL"):
        await other
    assert not [pid for pid in pids if leash.fields(pid)[:1] not in ([], [b"Z"])]
    assert not vllm_engine.alive
    with pytest.raises(Failed, match="not running"):
        await answer(vllm_engine, ask())


async def test_after_that_it_loads_again_and_unloading_tells_its_callers_and_leaves_no_process(vllm_engine):
    await vllm_engine.load(vllm_engine._spec)
    pids = vllm_engine._server.processes()
    stream = vllm_engine.generate(ask(max_tokens=1500))
    await anext(stream)
    await vllm_engine.unload()
    assert not vllm_engine.alive and vllm_engine.loaded is None and vllm_engine.memory() == 0
    assert not [pid for pid in pids if leash.fields(pid)[:1] not in ([], [b"Z"])]
    with pytest.raises(Failed, match="it was unloaded"):
        async for _ in stream:
            pass
    await vllm_engine.unload()


async def test_a_server_that_is_killed_while_it_loads_says_why_and_leaves_no_process(vllm_engine):
    loading = asyncio.create_task(vllm_engine.load(vllm_engine._spec))
    while not vllm_engine.alive:
        await asyncio.sleep(0.01)
    pids = vllm_engine._server.processes()
    await vllm_engine.kill("its load stood still for 6 s")
    with pytest.raises(Failed, match="its load stood still for 6 s"):
        await loading
    assert not [pid for pid in pids if leash.fields(pid)[:1] not in ([], [b"Z"])]
    await vllm_engine.kill("again")
    with pytest.raises(Failed):
        await vllm_engine.pulse()
