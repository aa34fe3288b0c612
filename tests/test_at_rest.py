"""Private values that went through every door stand in no byte of the home folder."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from agentos.config import Settings
from agentos.system import System
from agentos.types import Event

EACH = 120
"""Private values at each door."""
SCRIPT = r"""
- {when: "^run '(.*)' now$", say: "jobs.submit(command=\"\\1\")"}
- {when: ".", say: "none()"}
"""
numbers = itertools.count(1)


def private(door: str) -> str:
    """A private value that is like no other."""
    return f"mk{next(numbers):06d}@{door}.private-of-the-test.example.org"


async def heard(events: AsyncIterator[Event]) -> list[Event]:
    async with asyncio.timeout(120):
        return [event async for event in events]


async def test_a_thousand_private_values_through_every_door_leave_no_byte(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = Settings(
        home=home, cache=home / "cache", kernel_engine="scripted", kernel_script=SCRIPT, offline=True, lang="en",
        job_cpus=2,
    )
    marks: dict[str, list[str]] = {}

    def some(door: str) -> list[str]:
        return marks.setdefault(door, [private(door) for _ in range(EACH)])

    def joined(door: str, by: str = " ") -> str:
        return by.join(some(door))

    system = System(settings)
    await system.start()
    try:
        me = system.people.owner("s1", "api")

        async def call(name: str, args: dict[str, Any], yes: bool = True) -> dict[str, Any]:
            return (await heard(system.run_call(name, args, me, yes=yes)))[-1].data

        await heard(system.run_sentence(f"what is wrong with {joined('sentence')}", me))
        held = await heard(system.run_sentence(f"run 'true {joined('held')}' now", me))
        assert [event.kind for event in held if event.kind == "held"], held
        done = await call("jobs.submit", {"command": f"true {joined('command')}"})
        assert done["ok"], done
        await call("jobs.submit", {"command": "true", "env": [f"WHO={joined('env')}"]})
        for value in some("argument"):
            await call("audit.search", {"user": value})
        await call("models.load", {"model": joined("refused", "/")})
        for value in some("correction"):
            system.schooling.correct(f"tell {value} that it is done", "none()", me)
        system.secrets.put("TOKEN", joined("secret"), me.user)
        await call("models.show", {"model": joined("error", "-")})
        rows = tmp_path / "rows.jsonl"
        rows.write_text("".join(json.dumps({"text": f"I am {value}", "label": "a"}) + "\n" for value in some("rows")))
        assert (await call("datasets.add", {"path": str(rows), "name": "people"}))["ok"]
        cleaned = await call("datasets.clean", {"dataset": "people", "steps": ["redact"], "output": "nobody"})
        assert cleaned["ok"], cleaned
        assert (await call("datasets.show", {"dataset": "people"}))["ok"]
        await call("jobs.wait", {"job": "1"})
    finally:
        await system.stop()
    found = {
        (door, str(file.relative_to(home)))
        for file in home.rglob("*") if file.is_file()
        for data in [file.read_bytes()]
        for door, values in marks.items() for value in values if value.encode() in data
    }
    assert not found
    assert sum(map(len, marks.values())) >= 1000
