"""A search through the whole system: its trials are real jobs, some are let go, it survives being killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from agentos.config import Settings
from agentos.errors import UserError
from agentos.system import System
from agentos.training import trials
from agentos.training.mailbox import Mailbox
from agentos.training.records import Records
from agentos.training.spec import RunSpec
from tests.training import runs
from tests.training.test_service import done, lines, refused, running, said, settings, table

__all__ = ["settings"]


def found(system: System, kind: str) -> list[Any]:
    return [record for record in system.training._records.all(None, 500)[0] if record.kind == kind]


async def until(what: Any, seconds: float = 120) -> None:
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.05)


async def test_the_best_of_several_trials_is_made_once_more_and_stored(
    settings: Settings, bert: Path, tmp_path: Path
) -> None:
    file = table(tmp_path / "reviews.csv", 160)
    async with running(settings, base=(bert, "embedding")) as system:
        events = await said(system, "training.search", model="base", dataset=str(file), trials=7, epochs=6,
                            output="best")
        made = next(event.data["result"] for event in events if event.kind == "result")
        assert made["model"] == "best" and made["state"] == "succeeded"
        assert made["metrics"]["rows"] >= 14, "rows that no trial has seen"
        told = lines(events)
        assert any(line.startswith("7 trials, 2 at a time") for line in told), told[:3]
        assert sum("rows an update" in line for line in told) >= 7
        tried = found(system, "trial")
        assert len(tried) == 7 and {record.state for record in tried} <= {"succeeded", "cancelled"}
        assert any("7 trials: " in note for note in made["notes"]) and any("was best" in note for note in made["notes"])
        values = {r.run: r.summary["metrics"]["accuracy"] for r in tried if r.state == "succeeded"}
        said_best = json.loads((system.training.folder(made["run"]) / "result.json").read_text())
        assert said_best["value"] == max(values.values())
        assert not any((system.training.folder(record.run) / "model").exists() for record in tried)
        card = await done(system, "models.show", model="best")
        assert card["trained"]["method"] == said_best["best"]["method"]
        cards = [await system.jobs.card(record.job) for record in tried]
        overlap = sum(
            a.started < b.ended and b.started < a.ended
            for at, a in enumerate(cards) for b in cards[:at] if a.started and b.started and a.ended and b.ended
        )
        assert overlap or (os.cpu_count() or 1) == 1, "trials run side by side"
        listed = await done(system, "training.runs")
        assert {row["kind"] for row in listed["runs"]} == {"search", "trial", "finetune"}


async def test_a_search_goes_on_when_its_process_and_then_the_system_are_killed(
    settings: Settings, bert: Path, tmp_path: Path
) -> None:
    file = table(tmp_path / "reviews.csv", 160)
    async with running(settings, base=(bert, "embedding")) as system:
        await done(system, "training.search", model="base", dataset=str(file), trials=4, epochs=4, background=True)
        (search,) = found(system, "search")
        await until(lambda: any(r.state == "succeeded" for r in found(system, "trial")))
        before = len(found(system, "trial"))
        (attempt,) = [s for j, s in system.jobs.keeper.ledger.started.items() if j == search.job]
        os.killpg(os.getpgid(attempt.pid), signal.SIGKILL)
        await asyncio.sleep(1)
    assert before < 5
    async with running(settings, base=(bert, "embedding")) as system:
        await until(lambda: found(system, "search")[0].state not in ("queued", "running"))
        (search,) = found(system, "search")
        assert search.state == "succeeded", search.summary
        assert len(found(system, "trial")) == 4, "no trial is made twice"
        assert len(found(system, "finetune")) == 1
        assert (await done(system, "models.show", model="base-reviews"))["trained"]["data"] == "reviews"


async def test_a_cancelled_search_takes_its_trials_with_it(settings: Settings, bert: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "reviews.csv", 400)
    async with running(settings, base=(bert, "embedding")) as system:
        made = await done(system, "training.search", model="base", dataset=str(file), trials=30, epochs=40,
                          background=True)
        await until(lambda: any(r.state == "running" for r in found(system, "trial")))
        await done(system, "jobs.cancel", job=made["job"])
        await until(lambda: not system.training._records.open())
        (search,) = found(system, "search")
        assert search.state == "cancelled" and "best" not in str(search.summary.get("best_run"))
        assert {record.state for record in found(system, "trial")} <= {"cancelled", "succeeded"}
        assert len(found(system, "trial")) < 30


async def test_what_cannot_be_searched_is_refused_before_a_trial(
    settings: Settings, bert: Path, tmp_path: Path
) -> None:
    file = table(tmp_path / "reviews.csv", 40)
    lone = tmp_path / "lone.csv"
    rows = [f"row {at} is here,{'ab'[at % 2]}" for at in range(20)]
    lone.write_text("\n".join(["text,label", *rows, "x y,c", "z w,c"]))
    async with running(settings, base=(bert, "embedding")) as system:
        none = await refused(system, "training.search", model="base", dataset=str(file), trials=0)
        assert "0 trials" in none["message"]
        said_no = await refused(system, "training.search", model="base", dataset=str(lone))
        assert "rows that trials may see" in said_no["message"] and "'c'" in said_no["message"]
        assert not found(system, "trial")
        with contextlib.suppress(UserError):
            await system.jobs.card("1")
            pytest.fail("a job was made")


async def test_a_trial_that_cannot_begin_is_told_and_the_others_go_on(tmp_path: Path, reviews: Path) -> None:
    from agentos.store import Store

    records = Records(Store(tmp_path / "a.db"))
    search = records.begin("call", "search", "ada", model="best")
    folder = tmp_path / search.run
    folder.mkdir()
    limit = {"trials": 2, "side": 1}
    runs.spec(tmp_path, reviews, limit=limit, kind="search", run=search.run, model="best").save(folder)
    box = Mailbox(folder)
    box.ask("0", {"method": "lora"})
    box.ask("1", {"method": "full"})
    asked: list[RunSpec] = []

    async def begin(spec: RunSpec, call: str, user: str, kind: str) -> Any:
        asked.append(spec)
        if spec.method == "lora":
            raise UserError("no place for it")
        return records.begin(call, kind, user, model=spec.model)

    keeper = trials.Trials(tmp_path, records, None, begin)  # type: ignore[arg-type]
    for _ in range(2):
        await keeper.attend(search)
    assert box.end("0") == ("failed", "no place for it") and box.end("1") is None and box.run("1")
    assert [spec.model for spec in asked] == ["best-trial1", "best-trial2"], "each is begun once"
