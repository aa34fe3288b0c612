"""What came from outside stays marked as such, however often it is asked for the rest of a plan."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentos.config import Settings
from agentos.registry import installed
from agentos.syscall import describe, syscall
from agentos.system import System
from agentos.types import Caller, Event, Name

SCRIPT = r"""
- {when: "hear of one", say: "test.hear()"}
- {when: "weld one", say: "test.weld(model=?, dataset=?, job=?)"}
- {when: ".", say: "none()"}
"""
ADA = Caller("ada", "admin", "talk", "repl")


@dataclass(frozen=True)
class Gave:
    """What the test syscalls give."""

    model: str = ""


async def test_a_question_that_is_asked_again_takes_no_mark_away(tmp_path: Path) -> None:
    done: list[str] = []

    @syscall(effect="write")
    async def weld(ctx: Any, model: Name, dataset: Name, job: Name) -> Gave:
        """Welds one.

        Args:
            model: Which.
            dataset: To what.
            job: For what.
        """
        done.append(model)
        return Gave(model)

    @syscall(effect="read", untrusted=True)
    async def hear(ctx: Any) -> Gave:
        """Gives what somebody outside calls one."""
        return Gave("stranger")

    table = installed()
    for function in (weld, hear):
        table.add(describe(function, "test"))
    (tmp_path / "script.yaml").write_text(SCRIPT, "utf-8")
    system = System(Settings(
        home=tmp_path, cache=tmp_path / "cache", kernel_engine="scripted",
        kernel_script=str(tmp_path / "script.yaml"), offline=True, lang="en",
    ), table)

    async def say(text: str) -> list[Event]:
        async with asyncio.timeout(60):
            return [event async for event in system.run_sentence(text, ADA)]

    try:
        await system.start()
        system.people.add("ada", "admin")
        for text in ("hear of one", "weld one", "it"):
            await say(text)
        (again,) = [str(event.data["text"]) for event in await say("reviews") if event.kind == "reply"]
        assert "'dataset'" in again and "'job'" in again, "which of the two it is"
        (held,) = [event.data for event in await say("dataset reviews, job j7") if event.kind == "held"]
        assert held["args"] == {"model": "stranger", "dataset": "reviews", "job": "j7"}
        assert held["outside"] == {"model": "model of test.hear, earlier in the conversation"} and done == []
    finally:
        await system.stop()
