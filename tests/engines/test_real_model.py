"""The default kernel model on the transformers engine, with its real weights."""

from __future__ import annotations

import re

import psutil
import pytest

from agentos.engines.host import ChildEngine
from agentos.types import Completed, Generation, Message, Prompt

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]

GRAMMAR = 'start: "resources.query(kind=" ("memory" | "disk" | "gpu") ")"\n'


async def answer(engine: ChildEngine, prompt: Prompt | tuple[Message, ...], **rest) -> Completed:
    async for item in engine.generate(Generation("real", prompt, **rest)):
        if isinstance(item, Completed):
            return item
    raise AssertionError("an answer ended without saying so")


@pytest.mark.parametrize(
    ("sentence", "kind"), [("How much memory is free?", "memory"), ("磁盘还剩多少空间", "disk"), ("显卡忙吗", "gpu")]
)
async def test_it_fills_a_form_with_what_was_asked(kernel_engine, sentence, kind):
    shown = Prompt(
        "Write the call that answers the user.\nresources.query(kind): memory (RAM, 内存), disk (磁盘), gpu (显卡)\n",
        ("network speed? -> resources.query(kind=network)\n",), f"{sentence}", chat=True,
    )
    end = await answer(kernel_engine, shown, max_tokens=40, grammar=GRAMMAR)
    assert end.text == f"resources.query(kind={kind})"
    assert end.reason == "stop" and end.passes < end.tokens


async def test_it_answers_chinese_in_chinese(kernel_engine):
    end = await answer(kernel_engine, (Message("user", "你好，请用一句话介绍你自己。"),), max_tokens=40)
    assert len(re.findall(r"[\u4e00-\u9fff]", end.text)) > 5
    assert "\ufffd" not in end.text


async def test_a_second_turn_reuses_the_first_and_answers_as_if_read_anew(kernel_engine):
    first = (Message("user", "Name one planet."),)
    said = await answer(kernel_engine, first, max_tokens=20)
    second = (*first, Message("assistant", said.text), Message("user", "Name another one."))
    reused = await answer(kernel_engine, second, max_tokens=8)
    await answer(kernel_engine, (Message("user", "你好"),), max_tokens=1)
    anew = await answer(kernel_engine, second, max_tokens=8)
    assert reused.text == anew.text
    assert reused.cached_tokens > anew.cached_tokens
    assert reused.cached_tokens >= said.prompt_tokens - 4


def held() -> int:
    """Bytes of memory that this process and all it started hold."""
    here = psutil.Process()
    return sum(process.memory_info().rss for process in (here, *here.children(recursive=True)))


async def test_unloading_gives_the_memory_back(kernel_engine):
    spec = kernel_engine.spec
    before = held()
    engine = ChildEngine("transformers")
    made = await engine.load(spec)
    during = held()
    weights = sum(file.stat().st_size for file in spec.path.glob("*.safetensors"))
    assert during - before > made.memory / 2 > weights / 4
    await engine.unload()
    assert not psutil.pid_exists(made.pid)
    assert during - held() >= 0.98 * (during - before)
