"""The service as syscalls see it, over a real store and the scripted engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from agentos.config import Settings
from agentos.engines.host import ChildEngine
from agentos.errors import AgentosError, Failed, NotFound, UserError
from agentos.models.budget import HOST
from agentos.models.service import ModelService
from agentos.policy.trash import TrashCan
from agentos.store import Store
from agentos.types import Caller, Engine
from tests.models.conftest import Server, Told

SCRIPT = json.dumps([
    {"when": "die", "say": "last words", "die": True},
    {"when": "slow", "say": "a b c d e f g h", "wait": 0.2},
    {"when": "(.+)", "say": "you said \\1"},
])


class Ctx:
    """What a call is given, as far as these calls reach."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.progress = Told()

    async def text(self, delta: str) -> None:
        self.said.append(delta)


class Setting:
    """A service, and what is around it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = replace(settings, kernel_script=SCRIPT, kernel_model="tiny")
        self.store = Store(settings.database)
        self.now = 0.0
        self.free = 64 << 30
        self.trash = TrashCan(self.store, self.settings)
        self.engines: list[str] = []
        self.models = ModelService(
            self.settings, self.store, self.engine, self.trash, clock=lambda: self.now, free=lambda: self.free
        )
        self.ctx = Ctx()

    def engine(self, name: str) -> Engine:
        self.engines.append(name)
        # The scripted engine stands in for transformers: what is under test is who is loaded, not what it thinks.
        return Scripted(name)


class Scripted(ChildEngine):
    def __init__(self, name: str) -> None:
        super().__init__("scripted")

    async def load(self, spec, progress=None):  # type: ignore[no-untyped-def]
        return await super().load(replace(spec, settings={"script": SCRIPT}), progress)


@pytest.fixture
async def here(settings: Settings, tiny_stored: Path) -> AsyncIterator[Setting]:
    for name in ("tiny", "other"):
        shutil.copytree(tiny_stored, settings.models / name)
        manifest = settings.models / name / "model.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "name": name}))
    made = Setting(settings)
    yield made
    await made.models.close()
    made.store.close()


def rows(here: Setting, state: str = "all") -> dict[str, str]:
    return {row.model: row.state for row in here.models.listing(state).models}


async def test_listings_show_the_catalog_the_disk_and_memory(here: Setting) -> None:
    await here.models.load("other")
    assert rows(here)["other"] == "loaded" and rows(here)["tiny"] == "stored"
    assert rows(here)["smollm2-135m"] == "catalog"
    assert next(iter(rows(here))) == "other"
    assert rows(here, "loaded") == {"other": "loaded"}
    assert rows(here, "stored") == {"other": "loaded", "tiny": "stored"}
    assert set(rows(here, "catalog")) == {"qwen2.5-coder-0.5b", "smollm2-135m", "all-minilm-l6"}


async def test_a_card_tells_size_licence_need_and_what_is_loaded(here: Setting) -> None:
    await here.models.load("other", keep_alive="2m")
    card = here.models.card("OTHER")
    assert card.state == "loaded" and card.licence == "MIT" and card.kind == "causal" and card.context == 128
    assert card.on_disk and card.needs and card.needs > card.on_disk
    assert isinstance(card.loaded, dict) and card.loaded["expires_in"] == 120 and card.loaded["keep_alive"] == "2m"
    catalog = here.models.card("smollm2")
    assert catalog.state == "catalog" and catalog.on_disk is None and catalog.sources


@pytest.mark.parametrize("call", ["card", "load", "unload", "pull"])
async def test_a_name_that_nothing_bears_is_said(here: Setting, call: str) -> None:
    with pytest.raises(NotFound, match="no model 'ghost-9b'"):
        result = getattr(here.models, call)("ghost-9b")
        await result


async def test_an_answer_is_streamed_and_loads_the_model_first(here: Setting) -> None:
    text = await here.models.generate("other", "hello there", 50, here.ctx)  # type: ignore[arg-type]
    assert text.text == "you said hello there" == "".join(here.ctx.said)
    assert text.model == "other" and text.tokens == 4 and len(here.ctx.said) > 1
    await here.models.generate("other", "again", 50, here.ctx)  # type: ignore[arg-type]
    assert here.engines == ["transformers"]


async def test_max_tokens_holds_the_answer_short(here: Setting) -> None:
    text = await here.models.generate("other", "one two three", 2, here.ctx)  # type: ignore[arg-type]
    assert text.tokens == 2
    with pytest.raises(UserError, match="at least 1"):
        await here.models.generate("other", "x", 0, here.ctx)  # type: ignore[arg-type]


async def test_a_killed_engine_tells_its_caller_and_the_next_request_reloads(here: Setting) -> None:
    with pytest.raises(Failed, match="'other' died while it answered.*loaded afresh"):
        await here.models.generate("other", "die", 50, here.ctx)  # type: ignore[arg-type]
    assert rows(here)["other"] == "stored"
    text = await here.models.generate("other", "hello", 50, here.ctx)  # type: ignore[arg-type]
    assert text.text == "you said hello" and len(here.engines) == 2


async def test_a_model_that_writes_no_text_is_not_asked(here: Setting) -> None:
    with pytest.raises(UserError, match="embedding model and writes no text"):
        await here.models.generate("all-minilm-l6", "hello", 5, here.ctx)  # type: ignore[arg-type]


async def test_idle_models_leave_and_answering_ones_stay(here: Setting) -> None:
    await here.models.load("other", keep_alive="1m")
    answer = asyncio.create_task(here.models.generate("other", "slow", 50, here.ctx))  # type: ignore[arg-type]
    while not here.ctx.said:
        await asyncio.sleep(0.01)
    here.now = 500
    assert await here.models.residency.expiry.expire() == []
    with pytest.raises(UserError, match="is answering"):
        await here.models.unload("other")
    await answer
    here.now = 561
    assert await here.models.residency.expiry.expire() == ["other"]


async def test_cancelling_an_answer_leaves_the_model_ready(here: Setting) -> None:
    answer = asyncio.create_task(here.models.generate("other", "slow", 50, here.ctx))  # type: ignore[arg-type]
    while not here.ctx.said:
        await asyncio.sleep(0.01)
    answer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answer
    text = await here.models.generate("other", "hello", 50, here.ctx)  # type: ignore[arg-type]
    assert text.text == "you said hello" and len(here.engines) == 1


async def test_a_model_that_does_not_fit_is_refused_with_the_numbers(here: Setting) -> None:
    here.free = 612 << 20
    with pytest.raises(Failed, match=r"needs [\d.]+ MiB of memory and this machine can give 100\.0 MiB; nothing was"):
        await here.models.load("other")
    assert here.engines == [] and rows(here)["other"] == "stored"


async def test_under_a_budget_for_one_the_idle_model_makes_room(here: Setting) -> None:
    small = ModelService(
        replace(here.settings, memory_budget="305MiB"), here.store, here.engine, here.trash, free=lambda: 64 << 30
    )
    await small.load("other")
    await small.load("tiny")
    assert [row.model for row in small.listing("loaded").models] == ["tiny"]
    quota = small.listing("loaded").budgets[0]
    assert quota.budget == 305 << 20 and 0 < quota.used <= quota.budget
    await small.close()


async def test_what_is_kept_for_ever_makes_no_room(here: Setting) -> None:
    for name in ("tiny", "other"):  # measured once, so that the budget can be cut to one of them
        await here.models.load(name)
        await here.models.unload(name)
    room = f"{(here.models.card('tiny').needs or 0) * 3 // 2}B"
    small = ModelService(
        replace(here.settings, memory_budget=room), here.store, here.engine, here.trash, free=lambda: 64 << 30
    )
    await small.load("tiny", keep_alive="forever")
    with pytest.raises(Failed, match="within the setting 'memory_budget' beside tiny .*nothing was loaded.*bits 4"):
        await small.load("other")
    await small.close()


async def test_what_was_measured_is_the_next_estimate(here: Setting) -> None:
    guess = here.models.card("other")
    await here.models.load("other")
    await here.models.unload("other")
    known = here.models.card("other")
    assert not guess.needs_measured and known.needs_measured
    assert known.needs and guess.needs and known.needs < guess.needs


async def test_what_is_set_aside_for_a_model_stays_the_same_however_often_it_is_loaded(here: Setting) -> None:
    claims = []
    for _ in range(6):
        await here.models.load("other")
        claims.append(here.models.residency.budget.claims["other"][HOST])
        await here.models.unload("other")
    assert max(claims[1:]) < 1.03 * min(claims[1:])


async def test_a_model_that_is_there_already_says_the_reason_it_was_loaded_with(here: Setting) -> None:
    first = await here.models.load("other")
    again = await here.models.load("other")
    assert first.reason and again.reason == first.reason and len(here.engines) == 1


async def test_what_quantizes_takes_room_of_the_same_budget_and_gives_it_back(here: Setting) -> None:
    claims = here.models.residency.budget.claims
    seen: set[int] = set()
    here.ctx.progress.then = lambda: seen.update(claim[HOST] for name, claim in claims.items() if name != "tiny")
    with contextlib.suppress(AgentosError):  # what the tiny model loses is not under test
        await here.models.quantize("tiny", 8, None, here.ctx)  # type: ignore[arg-type]
    assert seen and min(seen) > 100 << 20 and claims == {}
    here.free = 600 << 20
    with pytest.raises(Failed, match="making tiny-8bit.*needs"):
        await here.models.quantize("tiny", 8, None, here.ctx)  # type: ignore[arg-type]
    assert claims == {}


async def test_the_kernels_model_is_pinned_and_marked(here: Setting) -> None:
    engine = await here.models.acquire("tiny")
    assert await here.models.acquire("tiny") is engine
    row = here.models.listing("loaded").models[0]
    assert row.kernel and row.model == "tiny"
    here.now = 1e9
    assert await here.models.residency.expiry.expire() == []
    with pytest.raises(UserError, match="the kernel's own"):
        await here.models.unload("tiny")
    with pytest.raises(UserError, match="the kernel's own"):
        await here.models.delete("tiny", "c1", "ann")


async def test_a_dead_kernel_is_started_again(here: Setting) -> None:
    engine = await here.models.acquire("tiny")
    pid = here.models.residency.all()["tiny"].loaded.pid
    psutil.Process(pid).kill()
    while here.models.residency.get("tiny"):
        await asyncio.sleep(0.01)
    assert await here.models.acquire("tiny") is not engine
    assert here.models.listing("loaded").models[0].kernel


async def test_loading_the_kernels_model_does_not_give_it_a_time(here: Setting) -> None:
    await here.models.acquire("tiny")
    await here.models.load("tiny", keep_alive="1s")
    here.now = 100
    assert await here.models.residency.expiry.expire() == []


async def test_the_kernel_can_be_scripted_or_remote_and_is_on_no_disk(here: Setting) -> None:
    await here.models.acquire("nobody", "scripted")
    assert rows(here, "loaded") == {"nobody": "loaded"} and here.engines == ["scripted"]


async def test_vllm_is_said_not_to_be_there(here: Setting) -> None:
    with pytest.raises(Failed, match=r"vLLM's environment is not installed; nothing was loaded"):
        await here.models.load("other", "vllm")


@pytest.mark.parametrize("replicas", [0, -2])
async def test_fewer_replicas_than_one_are_refused(here: Setting, replicas: int) -> None:
    with pytest.raises(UserError, match="one or more"):
        await here.models.load("other", replicas=replicas)
    assert here.engines == []


async def test_a_duration_that_is_none_is_refused(here: Setting) -> None:
    with pytest.raises(UserError, match="keep_alive"):
        await here.models.load("other", keep_alive="soonish")


async def test_offline_a_model_of_the_catalog_is_refused_with_what_to_do(settings: Settings, here: Setting) -> None:
    offline = ModelService(replace(here.settings, offline=True), here.store, here.engine, here.trash)
    with pytest.raises(Failed, match="'offline' forbids.*models.pull --model smollm2-135m"):
        await offline.load("smollm2")
    await offline.close()


async def test_deleting_moves_to_the_trash_and_can_be_undone(here: Setting, settings: Settings) -> None:
    await here.models.load("other")
    with pytest.raises(UserError, match="Unload it first"):
        await here.models.delete("other", "c1", "ann")
    unloaded = await here.models.unload("other")
    assert unloaded.freed > 0
    deleted = await here.models.delete("other", "c1", "ann")
    assert deleted.model == "other" and deleted.freed > 100_000 and "other" not in rows(here)
    await here.trash.restore(deleted.undo, Caller("ann", "operator"))
    assert rows(here)["other"] == "stored"
    assert (await here.models.load("other")).model == "other"


@pytest.mark.parametrize("name", ["smollm2-135m", "ghost-9b"])
async def test_what_is_not_on_disk_cannot_be_deleted(here: Setting, name: str) -> None:
    with pytest.raises(UserError):
        await here.models.delete(name, "c1", "ann")


async def test_pulls_of_one_model_join_and_all_are_told(here: Setting, server: Server, tiny_gguf: Path) -> None:
    server.files["/new.gguf"] = tiny_gguf.read_bytes()
    first, second = Told(), Told()
    got = await asyncio.gather(
        here.models.pull("new", server.url + "/new.gguf", first),
        here.models.pull("new", server.url + "/new.gguf", second),
    )
    assert got[0] == got[1] and len(server.asked) == 1
    assert "converting new" in first.text and "converting new" in second.text
    assert not (await here.models.pull("new")).fetched
    with pytest.raises(UserError, match="is stored already, from"):
        await here.models.pull("new", server.url + "/else.gguf")


async def test_a_catalog_name_keeps_its_hash_whatever_the_source(here: Setting, tiny_gguf: Path) -> None:
    with pytest.raises(Failed, match="is pinned"):
        await here.models.pull("smollm2-135m", str(tiny_gguf))
    with pytest.raises(UserError, match="another name"):
        await here.models.pull("smollm2-135m", "evil/repo")


@pytest.mark.parametrize("name", ["../up", "a/b/c", ".hidden", "x y", "", "a" * 200, "con/..", "c:\\x"])
async def test_a_name_that_cannot_be_one_is_refused(here: Setting, name: str, tiny_gguf: Path) -> None:
    with pytest.raises(UserError, match="cannot be a model's name"):
        await here.models.pull(name, str(tiny_gguf))


async def test_models_go_to_the_card_with_the_most_room(here: Setting) -> None:
    orders: list[tuple[str, object]] = []

    class Noted(Scripted):
        async def load(self, spec, progress=None):  # type: ignore[no-untyped-def]
            orders.append((spec.name, spec.settings["cards"]))
            return await super().load(spec, progress)

    gib = 1 << 30
    many = ModelService(
        here.settings, here.store, Noted, here.trash, free=lambda: 64 * gib, cards=[8 * gib, 8 * gib]
    )
    await many.load("tiny")
    await many.load("other")
    assert orders == [("tiny", [0]), ("other", [1])]
    assert {quota.kind for quota in many.listing().budgets} == {"memory", "gpu 0", "gpu 1"}
    assert all(quota.used > 0 for quota in many.listing().budgets)
    await many.close()


async def test_a_card_that_is_too_small_is_named(here: Setting) -> None:
    small = ModelService(
        here.settings, here.store, here.engine, here.trash, free=lambda: 64 << 30, cards=[256 << 20]
    )
    with pytest.raises(Failed, match="of gpu 0 and this machine can give .*'gpu_memory_budget'"):
        await small.load("other")
    await small.load("other", device="cpu")
    await small.close()


async def test_advice_to_quantize_is_given_only_where_it_helps(here: Setting) -> None:
    here.free = 612 << 20
    with pytest.raises(Failed, match="models.quantize --model other --bits 4"):
        await here.models.load("other")
    config = here.settings.models / "other" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "quantization_config": {"bits": 4}}))
    with pytest.raises(Failed, match="needs") as refused:
        await here.models.load("other")
    assert "uantize" not in str(refused.value) and "Raise the setting 'memory_budget'" in str(refused.value)
    here.free = 512 << 20
    with pytest.raises(Failed, match="needs") as refused:
        await here.models.load("openai/gpt-x", "litellm")
    assert "uantize" not in str(refused.value)


async def test_what_is_known_of_use_outlives_a_restart_and_goes_with_the_model(here: Setting) -> None:
    await here.models.generate("other", "hello", 5, here.ctx)  # type: ignore[arg-type]
    await here.models.close()
    again = ModelService(here.settings, here.store, here.engine, here.trash, free=lambda: here.free)
    assert "other" in again.residency.eviction.save()["models"]
    await again.delete("other", "c1", "ann")
    await again.close()
    third = ModelService(here.settings, here.store, here.engine, here.trash, free=lambda: here.free)
    assert "other" not in third.residency.eviction.save()["models"]


async def test_listings_tell_what_each_model_does(here: Setting) -> None:
    await here.models.load("other", keep_alive="2m")
    await here.models.generate("other", "hello there", 50, here.ctx)  # type: ignore[arg-type]
    here.ctx.said.clear()
    answer = asyncio.create_task(here.models.generate("other", "slow", 50, here.ctx))  # type: ignore[arg-type]
    while not here.ctx.said:
        await asyncio.sleep(0.01)
    live = here.models.listing("loaded").models[0].live
    assert live is not None and live.state == "busy" and live.requests == 1 and live.expires_in is None
    await answer
    live = here.models.listing("loaded").models[0].live
    assert live is not None and live.state == "ready" and live.served == 2 and live.tokens == 12
    assert live.memory > 1 << 20 and live.expires_in == 120 and live.replicas == live.healthy == 1 and live.pid
    leaving = asyncio.create_task(here.models.unload("other"))
    while here.models.residency.get("other"):
        await asyncio.sleep(0)
    live = here.models.listing("loaded").models[0].live
    assert live is not None and live.state == "unloading"
    await leaving
    assert here.models.listing("loaded").models == []
