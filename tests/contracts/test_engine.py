"""What every engine promises, whichever runs the model."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace

import psutil
import pytest

from agentos.errors import Failed, UserError
from agentos.types import Completed, Engine, Generation, Message, Prompt, Pulse, Token

pytestmark = pytest.mark.asyncio(loop_scope="session")
numbers = itertools.count()

SPELLED = 'start: "the list of settings: " /[a-z]{1,8}/ ", " /[0-9]{3}/\n'
FORCED = 'start: "the default engine is the first one that answers"\n'


def ask(prompt: Prompt | tuple[Message, ...], max_tokens: int = 40, **rest) -> Generation:
    return Generation(f"r{next(numbers)}", prompt, max_tokens, **rest)


async def answer(engine: Engine, request: Generation) -> tuple[list[str], Completed]:
    pieces, ends = [], []
    async for item in engine.generate(request):
        if isinstance(item, Token):
            assert not ends, "nothing comes after the end"
            pieces.append(item.text)
        else:
            ends.append(item)
    assert len(ends) == 1
    return pieces, ends[0]


async def gone(pid: int) -> bool:
    """Whether a process has ended; looks for ten seconds at most."""
    for _ in range(200):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        await asyncio.sleep(0.05)
    return False


async def rest(engine: Engine) -> Pulse:
    """The pulse of an engine that has done with what was cancelled before; asks a thousand times at most."""
    for _ in range(1000):
        pulse = await engine.pulse()
        if not pulse.busy:
            return pulse
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to rest")


async def noticed(engine: Engine) -> None:
    """Waits until an engine of several processes, all of them killed, knows it of each; ten seconds at most.

    One process alone: who hears of its end finds the engine ended.
    """
    for _ in range(200 if getattr(engine, "count", 1) > 1 else 0):
        if not engine.alive:
            return
        await asyncio.sleep(0.05)


async def stopped(process: psutil.Process) -> None:
    """Waits until a process stands still, ten seconds at most."""
    for _ in range(200):
        if process.status() == psutil.STATUS_STOPPED:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"the process is {process.status()}")


async def test_loading_says_which_process_holds_how_much_memory_in_which_form(case):
    made = await case.ready()
    assert psutil.Process(made.pid).is_running()
    assert made.pid != os.getpid()
    assert made.memory > 10_000_000
    assert made.engine == case.engine.name and made.name == case.spec.name
    assert (made.device, bool(made.dtype)) in {("cpu", True), ("gpu", True), ("remote", False)}
    assert made.context == case.spec.context


async def test_a_model_that_cannot_be_loaded_fails_and_leaves_no_process(case):
    engine = case.make()
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(Failed):
        await engine.load(case.broken)
    assert not engine.alive and engine.loaded is None
    assert set(psutil.Process().children(recursive=True)) <= before
    with pytest.raises(Failed, match="load the model again"):
        await answer(engine, ask(case.count))


async def test_pieces_stream_and_then_one_end_holds_them_all(case):
    await case.ready()
    pieces, end = await answer(case.engine, ask(case.count))
    assert len(pieces) > 3
    assert "".join(pieces) == end.text
    assert end.tokens >= len(pieces) - 1 and end.prompt_tokens > 0


async def test_an_answer_ends_at_max_tokens_and_says_so(case):
    await case.ready()
    _, end = await answer(case.engine, ask(case.count, max_tokens=5))
    assert (end.reason, end.tokens) == ("length", 5)


async def test_stop_strings_end_the_answer_and_are_never_shown(case):
    await case.ready()
    _, whole = await answer(case.engine, ask(case.count))
    stop = whole.text[7:12]
    assert len(stop) == 5
    pieces, end = await answer(case.engine, ask(case.count, stop=("\x00 never", stop)))
    assert end.reason == "stop"
    assert end.text == whole.text[: whole.text.index(stop)] == "".join(pieces)


async def test_closing_the_iterator_cancels_and_the_next_request_is_answered(case):
    await case.ready()
    request = ask(case.endless, case.longest)
    async with aclosing(case.engine.generate(request)) as stream:
        async for _ in stream:
            break
    pieces, end = await answer(case.engine, replace(ask(case.count, max_tokens=5), id=request.id))
    assert "".join(pieces) == end.text and end.tokens == 5


async def test_two_requests_at_once_are_both_answered(case):
    await case.ready()
    (_, one), (_, other) = await asyncio.gather(
        answer(case.engine, ask(case.count)), answer(case.engine, ask(case.count, max_tokens=5))
    )
    assert one.text.startswith(other.text) and len(one.text) > len(other.text)


async def test_a_second_request_of_the_same_id_is_refused_and_the_first_goes_on(case):
    await case.ready()
    request = ask(case.endless, case.longest)
    async with aclosing(case.engine.generate(request)) as stream:
        await anext(stream)
        with pytest.raises(UserError, match="already under way"):
            await answer(case.engine, replace(ask(case.count), id=request.id))
        assert isinstance(await anext(stream), Token)


async def test_an_id_is_free_again_once_its_answer_ended_though_nobody_closed_the_iterator(case):
    await case.ready()
    request = ask(case.count, max_tokens=5)
    stream = case.engine.generate(request)
    while not isinstance(await anext(stream), Completed):
        pass
    assert (await answer(case.engine, request))[1].tokens == 5


async def test_a_prompt_longer_than_the_context_is_the_askers_error(case):
    await case.ready()
    with pytest.raises(UserError):
        await answer(case.engine, ask((Message("user", "too long a prompt " * 2500),)))
    assert (await answer(case.engine, ask(case.count, max_tokens=5)))[1].tokens == 5


async def test_a_killed_engine_tells_its_caller_and_a_fresh_load_serves_the_next(case):
    case.ours()
    await case.ready()
    pids, seen = case.pids(), 0
    with pytest.raises(Failed, match="SIGKILL"):
        async for _ in case.engine.generate(ask(case.endless, case.longest)):
            if seen == 0:
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
            seen += 1
    assert seen > 0
    await noticed(case.engine)
    assert not case.engine.alive and case.engine.loaded is None
    await case.ready()
    assert not set(case.pids()) & set(pids)
    assert (await answer(case.engine, ask(case.count, max_tokens=5)))[1].tokens == 5


async def test_unloading_ends_the_process_and_whoever_waits_for_it_is_told(case):
    case.ours()
    await case.ready()
    pids = case.pids()
    stream = case.engine.generate(ask(case.endless, case.longest))
    await anext(stream)
    await case.engine.unload()
    assert not case.engine.alive and case.engine.loaded is None
    assert not any(map(psutil.pid_exists, pids))
    with pytest.raises(Failed):
        async for _ in stream:
            pass
    await case.engine.unload()


PARENT = """
import asyncio, json, sys
import psutil
from agentos.engines import wire

async def main():
    exec(sys.argv[1], globals())
    engine = await make()
    made = await engine.load(wire.read_spec(json.loads(sys.argv[2])))
    below = [child.pid for child in psutil.Process().children(recursive=True)]
    assert made.pid in below
    print(json.dumps(below), flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


async def test_an_engine_ends_when_the_system_is_killed(case):
    case.ours()
    from agentos.engines import wire

    said = json.dumps(wire.spec_line(case.spec))
    with subprocess.Popen([sys.executable, "-c", PARENT, case.source, said], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = json.loads(await asyncio.to_thread(parent.stdout.readline))
        assert pids and all(map(psutil.pid_exists, pids))
        parent.kill()
    for pid in pids:
        assert await gone(pid)


async def test_a_pulse_tells_work_from_rest_and_moves_while_an_answer_is_owed(case):
    await case.ready()
    before = await rest(case.engine)
    async with aclosing(case.engine.generate(ask(case.endless, case.longest))) as stream:
        await anext(stream)
        first = await case.engine.pulse()
        for _ in range(20):
            await anext(stream)
        later = await case.engine.pulse()
    assert first.busy and later.busy
    assert later.progress > first.progress > before.progress


async def test_who_has_the_whole_answer_finds_the_engine_at_rest(case):
    await case.ready()
    await rest(case.engine)
    for _ in range(20):
        await answer(case.engine, ask(case.count, max_tokens=2))
        assert not (await case.engine.pulse()).busy
    pulses = await asyncio.gather(*(case.engine.pulse() for _ in range(20)))
    assert not any(pulse.busy for pulse in pulses)


async def test_a_stopped_engine_gives_no_pulse_and_once_continued_it_answers(case):
    await case.ready()
    family = case.family()
    for member in family:
        member.suspend()
    try:
        for member in family:
            await stopped(member)
        with pytest.raises(Failed, match="sign of life|is stopped"):
            await case.engine.pulse()
    finally:
        for member in family:
            member.resume()
    assert (await answer(case.engine, ask(case.count, max_tokens=5)))[1].tokens == 5
    assert not (await case.engine.pulse()).busy


async def test_whoever_waits_on_an_engine_that_is_killed_hears_why(case):
    case.ours()
    await case.ready()
    pids = case.pids()
    stream = case.engine.generate(ask(case.endless, case.longest))
    await anext(stream)
    await case.engine.kill("it stood still for 6 s")
    assert not case.engine.alive and case.engine.loaded is None
    assert pids and all([await gone(pid) for pid in pids])
    with pytest.raises(Failed, match="it stood still for 6 s"):
        async for _ in stream:
            pass
    await case.engine.kill("again")
    with pytest.raises(Failed):
        await case.engine.pulse()
    assert case.engine.memory() == 0


async def test_it_holds_what_the_system_says_that_its_processes_hold(case):
    made = await case.ready()
    family = case.family()
    least = sum(member.memory_full_info().uss for member in family)
    most = sum(member.memory_info().rss for member in family)
    assert 0.9 * least < case.engine.memory() < 1.1 * most
    assert 0.5 * least < made.memory < 1.5 * most


async def test_a_model_that_writes_text_predicts_nothing_and_says_so(case):
    if case.engine.name == "litellm":
        pytest.skip("what a remote model does, its provider decides")
    await case.ready()
    with pytest.raises(UserError, match="writes? text"):
        await case.engine.predict(["a text", "another"])
    assert (await answer(case.engine, ask(case.count, max_tokens=5)))[1].tokens == 5


async def test_an_engine_that_goes_past_its_limit_ends_alone_and_says_so(case):
    if isinstance(case.glutton, str):
        pytest.skip(case.glutton)
    if sys.platform != "linux":
        pytest.skip(f"nothing holds a process to a limit on {sys.platform}")
    spec, prompt = case.glutton
    engine = case.make()
    made = await engine.load(spec)
    try:
        assert (await answer(engine, ask(case.count, max_tokens=5)))[1].tokens == 5
        with pytest.raises(Failed, match="ran out of"):
            await answer(engine, ask(prompt))
        assert await gone(made.pid) and not engine.alive
    finally:
        await engine.unload()
    await case.ready()
    assert (await answer(case.engine, ask(case.count, max_tokens=5)))[1].tokens == 5


async def test_an_answer_keeps_to_its_grammar(case):
    if not (await case.ready()).grammar:
        pytest.skip("this engine follows no grammar and says so")
    for seed in range(4):
        _, end = await answer(case.engine, ask(case.count, max_tokens=100, grammar=SPELLED, temperature=1.5, seed=seed))
        assert end.reason == "stop" and re.fullmatch(r"the list of settings: [a-z]{1,8}, [0-9]{3}", end.text)


async def test_what_a_grammar_forces_is_said_and_takes_no_pass_of_its_own(case):
    if not (await case.ready()).grammar:
        pytest.skip("this engine follows no grammar and says so")
    _, end = await answer(case.engine, ask(case.count, max_tokens=200, grammar=FORCED))
    assert end.text == "the default engine is the first one that answers"
    assert end.tokens > 5 and end.reason == "stop"
    if case.hints:
        assert end.passes <= 1
    _, cut = await answer(case.engine, ask(case.count, max_tokens=3, grammar=FORCED))
    assert (cut.tokens, cut.reason) == (3, "length")


async def test_a_grammar_that_does_not_compile_is_the_askers_error(case):
    if not (await case.ready()).grammar:
        pytest.skip("this engine follows no grammar and says so")
    with pytest.raises(UserError, match="does not compile|rammar"):
        await answer(case.engine, ask(case.count, grammar="start: nothing_by_that_name\n"))


@pytest.mark.parametrize("grammar", [None, "start: /[a-z ,.]+/\n"])
async def test_a_draft_saves_passes_and_never_changes_the_answer(case, grammar):
    if not (await case.ready()).grammar:
        pytest.skip("this engine follows no grammar and takes no drafts, and says so")
    _, plain = await answer(case.engine, ask(case.count, grammar=grammar))
    _, right = await answer(case.engine, ask(case.count, grammar=grammar, draft=(plain.text,)))
    _, wrong = await answer(case.engine, ask(case.count, grammar=grammar, draft=("of the many words none is right",)))
    assert right.text == wrong.text == plain.text
    if case.hints:
        assert right.passes < plain.passes


async def test_a_prior_leans_the_first_choice_and_no_other(case):
    if not (await case.ready()).grammar:
        pytest.skip("this engine follows no grammar and says so")
    if not case.hints:
        pytest.skip("this engine follows grammars and has no place for priors")
    grammar = 'start: ("model" | "engine" | "setting") " " ("on" | "off")\n'
    for wanted in ("model", "engine", "setting"):
        weights = {name: 0.0 if name == wanted else -1000.0 for name in ("model", "engine", "setting")}
        _, end = await answer(case.engine, ask(case.count, grammar=grammar, prior=weights))
        assert end.text.split()[0] == wanted and end.text.split()[1] in {"on", "off"}
