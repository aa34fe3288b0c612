"""A remote model sees placeholders; who asked sees their own values."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from agentos.config import Settings
from agentos.engines.make import maker
from agentos.models.watch import Seen
from agentos.types import Completed, Engine, Generation, Message, ModelSpec, Prompt, Token
from tests.engines.providers import Plan, Provider, serving

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.filterwarnings("ignore")]
MAIL, PHONE, KEY = "zhang.san@example.com", "13812345678", "sk-proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb7d"
numbers = itertools.count()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serving() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> AsyncIterator[Engine]:
    """The remote engine as the system makes it."""
    home = tmp_path_factory.mktemp("home")
    make = maker(Settings(home=home, cache=home / "cache"))
    engine = make("litellm")
    settings = {"api_base": provider.base, "keys": {"OPENAI_API_KEY": "none"}, "backoff": 0.01}
    await engine.load(ModelSpec("litellm:openai/served", settings=settings))
    yield engine
    await engine.unload()
    make.close()


@pytest.fixture(autouse=True)
def fresh(provider: Provider) -> None:
    provider.plans = deque([Plan()])
    provider.asked.clear()


async def answer(engine: Engine, prompt: Prompt | tuple[Message, ...]) -> tuple[list[str], Completed]:
    pieces: list[str] = []
    async for item in engine.generate(Generation(f"r{next(numbers)}", prompt, max_tokens=40)):
        if isinstance(item, Completed):
            return pieces, item
        assert isinstance(item, Token)
        pieces.append(item.text)
    raise AssertionError("no end came")


async def test_placeholders_go_out_and_values_come_back_over_cut_pieces(engine: Engine, provider: Provider) -> None:
    provider.plans = deque([Plan(words=("Mail <EM", "AIL_1", "> or call <PHONE_1>", ", not <EMAIL_7>."))])
    turns = (
        Message("system", f"The owner is {MAIL}."), Message("user", f"我的手机 {PHONE}，密钥 {KEY}"),
        Message("assistant", "noted"), Message("user", f"so how do I reach {MAIL}?"),
    )
    pieces, end = await answer(engine, turns)
    sent = json.dumps(provider.asked[0].body, ensure_ascii=False)
    assert MAIL not in sent and PHONE not in sent and KEY not in sent
    assert sent.count("<EMAIL_1>") == 2 and sent.count("<PHONE_1>") == 1 and "<API_KEY_1>" in sent
    assert "".join(pieces) == end.text == f"Mail {MAIL} or call {PHONE}, not <EMAIL_7>."


async def test_a_prompt_in_parts_is_one_request(engine: Engine, provider: Provider) -> None:
    provider.plans = deque([Plan(words=("<EMAIL_1> <EMAIL_2>",))])
    _, end = await answer(engine, Prompt(f"For {MAIL}: ", ("other@example.org ",), f"again {MAIL}", chat=True))
    sent = json.dumps(provider.asked[0].body)
    assert "example" not in sent
    assert end.text == f"{MAIL} other@example.org"


async def test_what_the_person_wrote_as_a_placeholder_is_nobody_s_value(engine: Engine, provider: Provider) -> None:
    provider.plans = deque([Plan(words=("<EMAIL_1> and <EMAIL_2>",))])
    _, end = await answer(engine, (Message("user", f"what is <EMAIL_1>? I am {MAIL}"),))
    assert end.text == f"<EMAIL_1> and {MAIL}"


async def test_texts_to_be_made_vectors_of_are_without_private_values(engine: Engine, provider: Provider) -> None:
    provider.plans = deque([Plan(vectors=[[1.0, 0.0], [0.0, 1.0]])])
    await engine.predict([f"write to {MAIL}", f"call {PHONE}"])
    assert provider.asked[0].body["input"] == ["write to <EMAIL_1>", "call <PHONE_1>"]


async def test_it_is_watched_as_the_engine_it_wraps(engine: Engine) -> None:
    assert isinstance(engine, Seen) and engine.pids()
    assert engine.alive and engine.loaded is not None and engine.memory() > 0
    assert (await engine.pulse()).progress >= 0


async def test_a_model_here_sees_all_but_where_the_setting_says_otherwise(tmp_path: Path) -> None:
    script = json.dumps([{"when": "<EMAIL_1>", "say": "to <EMAIL_1>"}, {"when": ".", "say": "seen"}])
    for private, said in ((True, f"to {MAIL}"), (False, "seen")):
        make = maker(Settings(home=tmp_path, cache=tmp_path / "cache", redact_local=private))
        engine = make("scripted")
        await engine.load(ModelSpec("double", settings={"script": script}))
        try:
            _, end = await answer(engine, (Message("user", f"I am {MAIL}"),))
            assert end.text == said
        finally:
            await engine.unload()
            make.close()
