"""Remote models, asked over real HTTP: what they are sent, and what becomes of every way they fail."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import math
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from agentos.engines.host import ChildEngine
from agentos.engines.litellm import SWITCHES, Backend
from agentos.errors import Failed, Retry, UserError
from agentos.types import Completed, Generation, Message, ModelSpec, Predicted, Token
from tests.engines.providers import PATIENCE, Plan, Provider, serving

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore"),  # LiteLLM's own; as errors they would break its answers off
]
numbers = itertools.count()
KEY = "sk-secret-of-the-test"
PROMPT = "a sentence that nobody else may read"


class Here:
    """A backend in this process, asked as an engine is: importing LiteLLM takes seconds, so it is done once."""

    def __init__(self, spec: ModelSpec) -> None:
        self.backend = Backend()
        self.backend.load(spec, lambda *_: None)

    async def generate(self, request: Generation) -> AsyncGenerator[Token | Completed, None]:
        pieces: asyncio.Queue[Token] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def emit(text: str) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, Token(text))

        work = asyncio.ensure_future(asyncio.to_thread(self.backend.generate, request, emit, lambda: False))
        while not work.done() or not pieces.empty():
            piece = asyncio.ensure_future(pieces.get())
            await asyncio.wait([work, piece], return_when=asyncio.FIRST_COMPLETED)
            if piece.done():
                yield piece.result()
            else:
                piece.cancel()
        yield await work

    async def predict(self, texts: list[str]) -> Predicted:
        return await asyncio.to_thread(self.backend.predict, texts)


def told(provider: Provider, model: str = "openai/served", **settings: Any) -> ModelSpec:
    base = {"api_base": provider.base, "keys": {"OPENAI_API_KEY": KEY}, "backoff": 0.01}
    return ModelSpec(f"litellm:{model}", settings={**base, **settings})


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Here]:
    for name, value in {"OPENAI_API_KEY": "", "SPARE_KEY": "", **SWITCHES}.items():
        monkeypatch.setenv(name, value)  # so that what loading sets is taken back
    return lambda provider, model="openai/served", **settings: Here(told(provider, model, **settings))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def child(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[ChildEngine, Provider, Path]]:
    """The engine's own process, its provider and its log; the prompt "hang" hangs."""
    patch = pytest.MonkeyPatch()
    patch.delenv("OPENAI_API_KEY", raising=False)
    patch.delenv("COVERAGE_PROCESS_START", raising=False)
    log = tmp_path_factory.mktemp("litellm") / "log"
    engine = ChildEngine("litellm", log=log)
    with serving() as provider:
        await engine.load(told(provider))
        yield engine, provider, log
        await engine.unload()
    patch.undo()


@pytest.fixture(autouse=True)
def well(child: tuple[ChildEngine, Provider, Path]) -> None:
    child[1].plans = deque([Plan()])
    child[1].asked.clear()


def ask(text: str = PROMPT, **rest: Any) -> Generation:
    return Generation(f"r{next(numbers)}", (Message("user", text),), **{"max_tokens": 40, **rest})


async def answer(engine: Any, request: Generation | None = None) -> tuple[list[str], Completed]:
    pieces: list[str] = []
    async for item in engine.generate(request or ask()):
        if isinstance(item, Completed):
            return pieces, item
        pieces.append(item.text)
    raise AssertionError("no end came")


async def test_the_provider_gets_the_key_the_model_and_the_request_and_its_counts_come_back(load):
    with serving() as provider:
        engine = load(provider)
        pieces, end = await answer(engine, ask(max_tokens=9, temperature=0.5, stop=("END",), seed=3))
    asked = provider.asked[0]
    assert (asked.path, asked.key) == ("/v1/chat/completions", KEY)
    sent = {name: asked.body[name] for name in ("model", "max_tokens", "temperature", "stop", "seed", "stream")}
    assert sent == {"model": "served", "max_tokens": 9, "temperature": 0.5, "stop": ["END"], "seed": 3, "stream": True}
    assert asked.body["messages"] == [{"role": "user", "content": PROMPT}]
    assert "".join(pieces) == end.text == "one two three"
    assert (end.reason, end.prompt_tokens, end.tokens, end.counted, end.served_by) == ("stop", 7, 3, False, "")
    assert end.cost is None, "nobody knows a price of this model"


async def test_a_known_model_costs_what_the_price_table_says_cached_tokens_for_less(load):
    row = importlib.import_module("litellm").model_cost["gpt-4o-mini"]
    usage = {
        "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 400},
    }
    with serving(Plan(usage=usage)) as provider:
        _, end = await answer(load(provider, "openai/gpt-4o-mini"))
    full, cached = row["input_cost_per_token"], row["cache_read_input_token_cost"]
    assert math.isclose(end.cost, 600 * full + 400 * cached + 100 * row["output_cost_per_token"])
    assert end.cached_tokens == 400


async def test_without_usage_tokens_are_counted_here_and_marked(load):
    with serving(Plan(usage=None)) as provider:
        _, end = await answer(load(provider, "openai/gpt-4o-mini"))
    assert end.counted and end.tokens == 3 and end.prompt_tokens > 5
    assert end.cost > 0


@pytest.mark.parametrize("fault", [Plan(500), Plan(503), Plan(429, {"Retry-After": "0"}), Plan(die_after=0)])
async def test_a_passing_fault_before_the_first_word_is_tried_again(load, fault):
    with serving(fault, fault, Plan()) as provider:
        pieces, _ = await answer(load(provider))
    assert "".join(pieces) == "one two three"
    assert len(provider.asked) == 3


async def test_after_its_retries_a_passing_fault_is_told_as_one(load):
    with serving(Plan(500)) as provider:
        engine = load(provider)
        with pytest.raises(Retry, match="openai/served.*500.*try again later"):
            await answer(engine)
    assert len(provider.asked) == 3


async def test_a_provider_that_asks_for_more_time_than_there_is_is_not_asked_again(load):
    with serving(Plan(429, {"Retry-After": "3600"})) as provider:
        engine = load(provider)
        with pytest.raises(Retry, match="fewer requests .429., for 3600 s"):
            await answer(engine)
    assert len(provider.asked) == 1


async def test_the_provider_s_own_pause_is_kept_rather_than_ours(load):
    with serving(Plan(429, {"Retry-After": "0"}), Plan()) as provider:
        engine = load(provider, backoff=10_000)  # longer than all the time there is
        assert (await answer(engine))[1].text == "one two three"
    assert len(provider.asked) == 2


@pytest.mark.parametrize(("fault", "tries"), [(Plan(500), 3), (Plan(401), 1), (Plan(404), 1), (Plan(403), 1)])
async def test_a_fallback_answers_where_the_first_cannot_and_says_so(load, fault, tries):
    with serving(fault) as provider, serving() as other:
        engine = load(
            provider, fallbacks=[{"model": "openai/spare", "api_base": other.base, "key": "SPARE_KEY"}],
            keys={"OPENAI_API_KEY": KEY, "SPARE_KEY": "sk-spare"},
        )
        _, end = await answer(engine)
    assert (end.text, end.served_by) == ("one two three", "litellm:openai/spare")
    assert [len(provider.asked), len(other.asked)] == [tries, 1]
    assert (other.asked[0].key, other.asked[0].body["model"]) == ("sk-spare", "spare")
    assert {asked.key for asked in provider.asked} == {KEY}


async def test_a_server_that_is_not_there_is_passed_over(load):
    with serving() as gone:
        pass
    with serving() as other:
        engine = load(
            gone, retries=0, fallbacks=[{"model": "openai/spare", "api_base": other.base}]
        )
        assert (await answer(engine))[1].served_by == "litellm:openai/spare"


TOO_LONG = {
    "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens: " + PROMPT,
    "type": "BadRequestError", "code": 400,
}
FILTERED = {
    "message": f"{PROMPT} was rejected by our safety system", "type": "invalid_request_error",
    "code": "content_policy_violation",
}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Plan(400, error={"message": f"what is {PROMPT}?"}), "refused the request .400"),
        (Plan(400, error=TOO_LONG), "longer than its context"),
        (Plan(400, error=FILTERED), "rules on content"),
        (Plan(words=(), finish="content_filter"), "rules on content"),
    ],
)
async def test_a_request_at_fault_is_nobody_else_s_and_its_error_quotes_nothing(load, fault, said):
    with serving(fault) as provider, serving() as other:
        engine = load(provider, fallbacks=[{"model": "openai/spare", "api_base": other.base}])
        with pytest.raises(UserError, match=said) as caught:
            await answer(engine)
    assert PROMPT not in str(caught.value) and KEY not in str(caught.value)
    assert [len(provider.asked), len(other.asked)] == [1, 0]


async def test_a_refused_key_is_told_without_the_key(load):
    with serving(Plan(401, error={"message": f"Incorrect API key provided: {KEY}"})) as provider:
        engine = load(provider)
        with pytest.raises(UserError, match="refused the key") as caught:
            await answer(engine)
    assert KEY not in str(caught.value)


async def test_an_account_without_credit_is_not_asked_again(load):
    with serving(Plan(429, error={"code": "insufficient_quota", "message": "insufficient_quota"})) as provider:
        engine = load(provider)
        with pytest.raises(Failed, match="no credit"):
            await answer(engine)
    assert len(provider.asked) == 1


@pytest.mark.parametrize("how", [{"die_after": 2}, {"finish": None}, {"hang_after": 2}])
async def test_an_answer_that_breaks_off_is_told_and_never_begun_again(load, how):
    with serving(Plan(**how)) as provider, serving() as other:
        engine = load(
            provider, timeout={"between": 0.5}, fallbacks=[{"model": "openai/spare", "api_base": other.base}]
        )
        pieces = []
        with pytest.raises(Failed, match="broke off in the middle"):
            async for item in engine.generate(ask()):
                assert isinstance(item, Token)
                pieces.append(item.text)
    assert "".join(pieces).startswith("one two")
    assert [len(provider.asked), len(other.asked)] == [1, 0]


async def test_silence_before_the_first_word_ends_by_its_own_time_out_and_closes_the_connection(load):
    with serving(Plan(hang_after=0)) as provider:
        engine = load(provider, timeout={"first": 0.5}, retries=0)
        with pytest.raises(Retry, match=r"sent nothing for 0\.5 s"):
            await answer(engine)
        assert provider.hung_up.acquire(timeout=PATIENCE)


async def test_a_whole_answer_has_an_end_though_each_piece_is_in_time(load):
    with serving(Plan(hang_after=2)) as provider:
        engine = load(provider, timeout={"first": 60, "between": 60, "total": 1})
        with pytest.raises(Failed, match="no whole answer within 1 s"):
            await answer(engine)


async def test_a_slow_drip_is_within_its_time_outs(load):
    with serving(Plan(words=("drop",) * 12, steps=True)) as provider:
        engine = load(provider)
        seen = 0
        provider.step()
        async for item in engine.generate(ask()):
            if isinstance(item, Token):
                seen += 1
                provider.step()
        assert seen == 12


async def test_a_hundred_like_pieces_are_an_answer_too(load):
    with serving(Plan(words=("-----",) * 300)) as provider:
        assert (await answer(load(provider)))[1].text == "-----" * 300


async def test_nonsense_from_a_server_is_its_fault(load):
    with serving(Plan(nonsense=True)) as provider:
        engine = load(provider, retries=0)
        with pytest.raises(Retry):
            await answer(engine)


async def test_cancelling_closes_the_connection_and_the_next_is_answered(child):
    engine, provider, _ = child
    provider.plans = deque([Plan(hang_after=1), Plan(hang_after=0), Plan()])
    async with aclosing(engine.generate(ask())) as stream:
        assert (await anext(stream)).text == "one"
    assert await asyncio.to_thread(provider.hung_up.acquire, timeout=PATIENCE)
    waiting = asyncio.ensure_future(answer(engine))
    while len(provider.asked) < 2:
        await asyncio.sleep(0.01)
    waiting.cancel()
    assert await asyncio.to_thread(provider.hung_up.acquire, timeout=PATIENCE)
    assert (await answer(engine))[1].text == "one two three"


async def test_requests_are_under_way_at_once_in_one_process(child):
    engine, provider, _ = child
    many = 8
    provider.together = threading.Barrier(many)  # nobody gets a word before all have asked
    ends = await asyncio.gather(*(answer(engine) for _ in range(many)))
    provider.together = threading.Barrier(1)
    assert [end.text for _, end in ends] == ["one two three"] * many


async def test_waiting_for_a_provider_is_life_and_idleness_is_said(child):
    engine, provider, _ = child
    provider.plans = deque([Plan(hang_after=0), Plan()])
    while (await engine.pulse()).busy:  # a request that was cancelled just now
        await asyncio.sleep(0.01)
    waiting = asyncio.ensure_future(answer(engine))
    while not provider.asked:
        await asyncio.sleep(0.01)
    before = await engine.pulse()
    assert before.busy
    while (await engine.pulse()).progress <= before.progress:
        await asyncio.sleep(0.05)
    waiting.cancel()


async def test_vectors_come_in_the_order_of_the_texts_with_length_one_and_a_price(load):
    usage = {"prompt_tokens": 1000, "total_tokens": 1000}
    with serving(Plan(vectors=[[3.0, 4.0], [0.0, 2.0]], usage=usage)) as provider:
        engine = load(provider, "openai/text-embedding-3-small")
        found: Predicted = await engine.predict(["a", "b"])
    assert (provider.asked[0].path, provider.asked[0].body["input"]) == ("/v1/embeddings", ["a", "b"])
    assert found.rows == ((0.6, 0.8), (0.0, 1.0)) and found.labels == ()
    assert found.tokens == 1000 and math.isclose(found.cost, 1000 * 2e-8)


@pytest.mark.parametrize("vectors", [[[1.0]], [[1.0], [1.0, 2.0]], [[0.0], [1.0]], [["a"], [1.0]]])
async def test_what_are_no_vectors_for_the_texts_is_refused(load, vectors):
    with serving(Plan(vectors=vectors)) as provider:
        engine = load(provider, "openai/embedder", retries=0)
        with pytest.raises((Failed, Retry)):
            await engine.predict(["a", "b"])


async def test_a_model_that_writes_text_gives_no_vectors(load):
    with serving() as provider:
        engine = load(provider, "openai/gpt-4o-mini")
        with pytest.raises(UserError, match="writes text"):
            await engine.predict(["a"])
    assert provider.asked == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fallbacks": "openai/x"}, "fallbacks"), ({"fallbacks": [{"name": "x"}]}, "fallbacks"),
        ({"timeout": {"forever": 1}}, "timeout"), ({"timeout": {"first": -1}}, "first"),
        ({"retries": 1.5}, "whole"), ({"retries": float("nan")}, "retries"), ({"key": "NO_SUCH_KEY"}, "NO_SUCH_KEY"),
        ({"model": "no-such-provider/x", "api_base": ""}, "names no provider"),
        ({"fallbacks": ["no-such-provider/x"]}, "names no provider"), ({"keys": ["x"]}, "keys"),
    ],
)
async def test_a_setting_that_is_wrong_is_named_and_nothing_is_loaded(load, settings, said):
    with serving() as provider, pytest.raises(Failed, match=said) as caught:
        load(provider, **settings)
    assert KEY not in str(caught.value)


async def test_no_key_and_no_prompt_ever_reaches_the_log_the_command_line_or_a_repr(child):
    engine, provider, log = child
    quoting = {"message": f"{KEY} {PROMPT}"}
    faults = [Plan(400, error=quoting), Plan(401, error=quoting), *[Plan(500, error=quoting)] * 3, Plan(die_after=1)]
    provider.plans = deque([*faults, Plan(nonsense=True)])
    for _ in range(5):
        with pytest.raises((UserError, Retry, Failed)) as caught:
            await answer(engine)
        assert KEY not in str(caught.value) and PROMPT not in str(caught.value)
    process = psutil.Process(engine.loaded.pid)
    assert not any(KEY in part for part in (*process.cmdline(), *process.environ().values()))
    assert KEY not in repr(engine.spec)
    said = log.read_text("utf-8")
    assert KEY not in said and PROMPT not in said
