"""A sentence becomes a validated plan or an honest reply, and no prompt grows with the table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agentos.config import Settings
from agentos.engines.make import maker
from agentos.errors import UserError
from agentos.kernel.examples import collect
from agentos.kernel.pages import PAGE, Pages, shots, signature
from agentos.kernel.planner import PREFIX, Correction, Planner
from agentos.kernel.retrieval import Retrieval
from agentos.kernel.tuned import Manifest
from agentos.registry import Registry, installed
from agentos.syscall import describe, syscall
from agentos.types import Completed, Engine, Generation, ModelSpec, Name, Plan, Prompt, Step, Token, Undone

SCRIPT = r"""
- {when: "ask zeta to greet <EMAIL_1>", say: 'models.generate(model="zeta", prompt="greet <EMAIL_1>")'}
- {when: "mend <EMAIL_1>\\n.*went wrong.*<EMAIL_1>", say: 'models.load(model="<EMAIL_1>")'}
- {when: "mend <EMAIL_1>", say: "let me think of <EMAIL_1>"}
- {when: "mend me\\n.*went wrong", say: 'models.load(model="zeta")'}
- {when: "went wrong", say: "again no plan at all"}
- {when: "mend me", say: "let me think"}
- {when: "babble|胡说", say: "let me think"}
- {when: "top many", say: 'resources.query(kind="cpu", top="many")'}
- {when: "load a model|加载一个模型", say: "models.load(model=?)"}
- {when: "hello", say: "chat()"}
- {when: "sing", say: "none()"}
- {when: "load zeta", say: 'models.load(model="zeta", keep_alive="1h")'}
"""


class Watched:
    """An engine that remembers what it was asked."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.name = engine, engine.name
        self.asked: list[Generation] = []

    def generate(self, request: Generation) -> AsyncIterator[Token | Completed]:
        self.asked.append(request)
        return self.engine.generate(request)

    async def load(self, spec: ModelSpec) -> Any:
        return await self.engine.load(spec)

    async def unload(self) -> None:
        await self.engine.unload()


@asynccontextmanager
async def scripted(settings: Settings) -> AsyncIterator[Watched]:
    engine = Watched(maker(settings)("scripted"))
    await engine.load(ModelSpec("script", settings={"script": SCRIPT}))
    try:
        yield engine
    finally:
        await engine.unload()


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    return Settings(home=tmp_path)


def planner(table: Registry, engine: Watched, private: bool = False) -> Planner:
    async def ready() -> Engine:
        return engine

    return Planner(table, collect(table), ready, private=private)


def extended(count: int, family: int = 8) -> Registry:
    """The installed syscalls and so many more."""
    table = installed()
    for number in range(count):
        examples: dict[str, dict[str, Any]] = {f"frobnicate widget w{number}": {"thing": f"w{number}"}}

        @syscall(effect="read", name=f"frob{number:03}", examples=examples)
        async def frob(ctx: Any, thing: Name, level: int = 1) -> Undone:
            """Frobnicates a widget of some kind.

            Args:
                thing: Which.
                level: How much.
            """
            return Undone("thing", thing)

        table.add(describe(frob, f"zextra{number // family:03}"))
    return table


async def test_a_sentence_becomes_a_plan_with_its_arguments_typed(settings: Settings) -> None:
    async with scripted(settings) as engine:
        planned = await planner(installed(), engine).plan("load zeta for an hour", "r1")
    assert planned.plan == Plan("r1", (Step("s1", "models.load", {"model": "zeta", "keep_alive": "1h"}),))
    assert planned.answered == ""


async def test_a_private_kernel_reads_placeholders_and_its_plan_holds_the_values(settings: Settings) -> None:
    async with scripted(settings) as engine:
        private = planner(installed(), engine, private=True)
        planned = await private.plan("ask zeta to greet zhang.san@example.com")
        assert planned.plan.steps[0].args == {"model": "zeta", "prompt": "greet zhang.san@example.com"}
        mended = await private.plan("mend zhang.san@example.com")
        assert mended.plan.steps[0].args == {"model": "zhang.san@example.com"}
        await private.plan("mend me", correction=Correction(planned.plan, "zhang.san@example.com is nobody"))
    assert "zhang.san" not in "".join(repr(request) for request in engine.asked)


async def test_an_unreadable_answer_is_repaired_once(settings: Settings) -> None:
    async with scripted(settings) as engine:
        planned = await planner(installed(), engine).plan("mend me")
        assert [step.syscall for step in planned.plan.steps] == ["models.load"]
        assert len(engine.asked) == 2
        prompt = engine.asked[1].prompt
        assert isinstance(prompt, Prompt) and "let me think" in prompt.tail


@pytest.mark.parametrize(
    ("sentence", "says"), [("babble", "nothing was run"), ("胡说", "什么都没有执行"), ("top many", "nothing was run")]
)
async def test_an_answer_that_stays_bad_is_an_honest_reply(settings: Settings, sentence: str, says: str) -> None:
    async with scripted(settings) as engine:
        planned = await planner(installed(), engine).plan(sentence)
        assert planned.answered == "unplanned" and planned.plan.steps == ()
        assert planned.plan.reply is not None and says in planned.plan.reply
        assert len(engine.asked) == 2


@pytest.mark.parametrize(
    ("sentence", "says"),
    [("load a model", "models.load needs 'model'"), ("加载一个模型", "models.load 还需要参数 model")],
)
async def test_a_missing_argument_is_asked_for_in_the_persons_language(
    settings: Settings, sentence: str, says: str
) -> None:
    async with scripted(settings) as engine:
        planned = await planner(installed(), engine).plan(sentence)
    assert planned.answered == "asked" and planned.plan.steps == ()
    assert planned.plan.reply is not None and planned.plan.reply.startswith(says)


async def test_what_no_syscall_does_is_declined_and_small_talk_is_answered(settings: Settings) -> None:
    async with scripted(settings) as engine:
        made = planner(installed(), engine)
        declined, chat = await made.plan("sing"), await made.plan("hello")
    assert declined.answered == "declined" and "nothing was run" in str(declined.plan.reply)
    assert chat.answered == "chat" and chat.plan.steps == ()


async def test_an_empty_sentence_is_refused(settings: Settings) -> None:
    async with scripted(settings) as engine:
        with pytest.raises(UserError, match="empty"):
            await planner(installed(), engine).plan("  ")
        assert engine.asked == []


async def test_a_correction_tells_the_model_what_went_wrong(settings: Settings) -> None:
    async with scripted(settings) as engine:
        was = Plan("r1", (Step("s1", "models.load", {"model": "zeta"}),))
        await planner(installed(), engine).plan("mend me", "r1", Correction(was, "there is no model 'zeta'"))
        prompt = engine.asked[0].prompt
        assert isinstance(prompt, Prompt)
        assert 'models.load(model="zeta")' in prompt.tail and "there is no model" in prompt.tail


async def test_every_example_validates(settings: Settings) -> None:
    async with scripted(settings) as engine:
        made, table = planner(installed(), engine), installed()
        for entry in table:
            for args in entry.examples.values():
                assert len(made.checked([Step("s1", entry.name, args)])) == 1


def test_a_table_that_fits_one_page_is_one_prefix() -> None:
    table = installed()
    assert len(table) > PAGE or Pages(table, PREFIX).prefixes == [PREFIX + "".join(map(signature, table))]


@pytest.mark.parametrize(("count", "family"), [(5, 5), (200, 8), (200, 7), (40, 40)])
def test_a_page_holds_few_signatures_and_each_is_on_one(count: int, family: int) -> None:
    table = extended(count, family)
    prefixes = Pages(table, "").prefixes
    assert max(len(prefix.splitlines()) for prefix in prefixes) <= PAGE
    assert "".join(prefixes) == "".join(map(signature, table))


def test_a_family_is_on_one_page_where_it_fits() -> None:
    table = extended(200, 7)
    pages = [{line.split(".")[0] for line in prefix.splitlines()} for prefix in Pages(table, "").prefixes]
    for family in {entry.family for entry in table}:
        assert sum(family in page for page in pages) == 1


def test_what_is_retrieved_and_off_the_page_is_shown_before_the_examples() -> None:
    table = extended(200)
    pages, retrieval = Pages(table, PREFIX), Retrieval(table, collect(table))
    found = retrieval.find("load zeta and then frobnicate widget w9")
    prefix, blocks = pages.lay(found)
    shown = prefix + "".join(blocks)
    assert all(signature(entry) in shown for entry in found.entries)
    assert all(shown.count(signature(entry)) == 1 for entry in found.entries)
    assert len(blocks) == 2 and blocks[-1] == shots(found.shots)


async def test_a_prompt_does_not_grow_with_the_table(settings: Settings) -> None:
    sentences = ["load zeta-7b", "现在GPU占用怎么样", "delete zeta, then show me the disk usage", "babble", "hello"]
    async with scripted(settings) as engine:
        for table in (installed(), extended(200)):
            made = planner(table, engine)
            for sentence in sentences:
                await made.plan(sentence)
    sizes = [len(prompt.text) for prompt in prompts(engine.asked)]
    longest = max(len(signature(entry)) for entry in installed())
    most = len(PREFIX) + (PAGE + 6) * longest
    examples = max(len(block) for prompt in prompts(engine.asked) for block in prompt.blocks)
    assert max(sizes) <= most + examples + 500
    assert max(len(prompt.tail) for prompt in prompts(engine.asked)) < 500
    for prompt in prompts(engine.asked):
        listed = [line for line in prompt.prefix.splitlines() if "  # " in line]
        assert 1 <= len(listed) <= PAGE


async def test_warming_covers_every_prompt_that_an_example_is_nearest_to(settings: Settings) -> None:
    table = extended(40)
    async with scripted(settings) as engine:
        made = planner(table, engine)
        await made.warm()
        warmed = {(prompt.prefix, block) for prompt in prompts(engine.asked) for block in prompt.blocks}
        assert {prompt.prefix for prompt in prompts(engine.asked)} == set(Pages(table, PREFIX).prefixes)
        assert sum(len(prompt.blocks) for prompt in prompts(engine.asked)) == len(warmed), "none is computed twice"
        engine.asked.clear()
        for sentence in ("load zeta-7b", "frobnicate widget w3", "帮我看看磁盘", "delete zeta"):
            await made.prepare(sentence)
        for prompt in prompts(engine.asked):
            assert (prompt.prefix, prompt.blocks[-1]) in warmed


async def test_warming_waits_while_the_processors_are_wanted(settings: Settings) -> None:
    async with scripted(settings) as engine:
        made = planner(extended(2), engine)
        looked: list[int] = []

        def busy() -> bool:
            looked.append(len(engine.asked))
            return len(looked) == 1

        await made.warm(busy)
        assert looked[:2] == [0, 0] and len(engine.asked) == len(looked) - 1


def prompts(asked: Iterable[Generation]) -> list[Prompt]:
    return [request.prompt for request in asked if isinstance(request.prompt, Prompt)]


class Sure:
    """A trained kernel that writes one plan and says how sure it is."""

    name = "sure"

    def __init__(self, text: str, confidence: float) -> None:
        self.asked: list[Generation] = []
        self._said = Completed("stop", text, confidence=confidence)

    async def generate(self, request: Generation) -> AsyncIterator[Token | Completed]:
        self.asked.append(request)
        yield self._said


def trained(engine: Sure, threshold: float = 0.5, slope: float = 1.0) -> Planner:
    async def ready() -> Any:
        return engine

    table = installed()
    manifest = Manifest("base", "sha", {}, threshold=threshold, slope=slope)
    return Planner(table, collect(table), ready, adapter=lambda: manifest)


async def test_a_trained_kernel_reads_a_sheet_and_no_examples() -> None:
    engine = Sure('models.load(model="zeta")', 0.9)
    made = await trained(engine).plan("load zeta")
    assert made.confidence == 0.9 and made.plan.steps[0].syscall == "models.load"
    (asked,) = engine.asked
    assert asked.adapted and isinstance(asked.prompt, Prompt) and not asked.prompt.chat
    assert asked.prompt.blocks == () and asked.prompt.tail == "\nUser: load zeta\n"


async def test_what_would_change_something_is_not_done_on_a_guess() -> None:
    made = await trained(Sure('models.load(model="zeta")', 0.2)).plan("load zeta")
    assert made.answered == "unsure" and made.plan.steps == ()
    assert made.plan.reply is not None and 'models.load(model="zeta")' in made.plan.reply
    chinese = await trained(Sure('models.load(model="zeta")', 0.2)).plan("加载 zeta")
    assert chinese.plan.reply is not None and "不太确定" in chinese.plan.reply


async def test_what_only_reads_is_done_all_the_same() -> None:
    made = await trained(Sure('resources.query(kind="cpu")', 0.2)).plan("how is it going there")
    assert made.plan.steps[0].syscall == "resources.query" and made.confidence == 0.2


async def test_confidence_is_what_calibration_makes_of_it() -> None:
    made = await trained(Sure('models.load(model="zeta")', 0.25), slope=0.5).plan("load zeta")
    assert made.confidence == 0.5 and made.plan.steps


async def test_a_repair_shows_the_examples_after_all() -> None:
    engine = Sure('models.load(model="zeta")', 0.9)
    await trained(engine).plan("load zeta", correction=Correction(Plan(""), "it broke"))
    assert not engine.asked[0].adapted
