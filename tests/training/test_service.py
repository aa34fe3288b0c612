"""From a raw file to a measured model through the whole system: real jobs, tiny real models, real kills."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agentos.config import Settings
from agentos.system import System
from agentos.types import Caller, Event
from tests.training import runs


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    return Settings(
        home=home, cache=home / "cache", kernel_engine="scripted", kernel_script="[]", offline=True, lang="en",
    )


@contextlib.asynccontextmanager
async def running(settings: Settings, **bases: tuple[Path, str]) -> AsyncIterator[System]:
    system = System(settings)
    await system.start()
    shelf = system.models._shelf
    for name, (folder, kind) in bases.items():
        if shelf.get(name) is None:
            work = shelf.begin(name)
            shutil.copytree(folder, work, dirs_exist_ok=True)
            shelf.finish(work, {
                "name": name, "description": "", "licence": "MIT", "kind": kind, "parameters": 1000, "context": 64,
                "source": "a test", "download": 0, "sha256": "", "pinned": False, "seconds": 0.0,
            })
    try:
        yield system
    finally:
        await system.stop()


def table(path: Path, count: int = 240, seed: int = 1, labels: tuple[str, str] = ("good", "bad")) -> Path:
    """Rows that say good or bad, as a person would keep them: a CSV with a header."""
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["review", "sentiment"])
        for at in range(count):
            words = draw.choices(runs.REST, k=draw.randint(3, 12))
            words.insert(draw.randint(0, len(words)), draw.choice(runs.BAD if at % 2 else runs.GOOD))
            out.writerow([" ".join(words), labels[at % 2]])
    return path


async def said(system: System, name: str, **args: Any) -> list[Event]:
    async with asyncio.timeout(240):
        return [event async for event in system.run_call(name, args, _admin(system), yes=True)]


def _admin(system: System) -> Caller:
    owner = system.people.owner()
    return Caller(owner.user, owner.role, "s", "cli")


async def done(system: System, name: str, **args: Any) -> dict[str, Any]:
    events = await said(system, name, **args)
    errors = [event.data for event in events if event.kind == "error"]
    assert not errors, errors
    return next(event.data["result"] for event in events if event.kind == "result")


async def refused(system: System, name: str, **args: Any) -> dict[str, Any]:
    events = await said(system, name, **args)
    assert not [event for event in events if event.kind == "result"]
    return next(event.data for event in events if event.kind == "error")


def lines(events: list[Event]) -> list[str]:
    return [str(event.data["message"]) for event in events if event.kind == "progress"]


async def test_a_file_becomes_a_model_that_is_measured_loaded_and_asked(
    settings: Settings, bert: Path, tmp_path: Path
) -> None:
    file = table(tmp_path / "reviews.csv")
    async with running(settings, base=(bert, "embedding")) as system:
        events = await said(system, "training.finetune", model="base", dataset=str(file), method="full", epochs=12,
                            learning_rate=5e-3, rows=16, patience=0)
        told = lines(events)
        made = next(event.data["result"] for event in events if event.kind == "result")
        assert made["model"] == "base-reviews" and made["state"] == "succeeded"
        assert any("updates over" in line for line in told) and any("loss" in line for line in told)
        assert made["metrics"]["accuracy"]["value"] >= 0.9 and made["estimate"]["steps"] > 0
        owner = system.people.owner().user
        assert system.datasets.owner("reviews") == system.training.maker("base-reviews") == owner
        card = await done(system, "models.show", model="base-reviews")
        assert card["trained"]["run"] == made["run"] and card["trained"]["labels"] == ["bad", "good"]
        asked = await done(system, "models.predict", model="base-reviews", text=["the film was lovely", "a dull film"])
        assert [item["label"] for item in asked["predictions"]] == ["good", "bad"]
        again = await done(system, "training.evaluate", model="base-reviews", dataset="reviews")
        assert again["metrics"]["rows"] == made["metrics"]["rows"] < 240, "only rows it has not learned from are asked"
        fresh = table(tmp_path / "fresh.csv", 60, seed=9)
        other = await done(system, "training.evaluate", model="base-reviews", dataset=str(fresh))
        assert other["metrics"]["rows"] == 60 and other["metrics"]["accuracy"]["value"] >= 0.9
        await done(system, "training.finetune", model="base", dataset=str(file), epochs=1, learning_rate=1e-6,
                   output="no")
        barely = await done(system, "training.evaluate", model="no", dataset="fresh")
        (versus,) = barely["compared"]
        assert "base-reviews" in versus["other"] and versus["verdict"].startswith("worse") and versus["p"] < 0.01
        listed = await done(system, "training.runs")
        assert [(row["kind"], row["method"], row["state"]) for row in listed["runs"]] == [
            ("evaluate", "", "succeeded"), ("finetune", "lora", "succeeded"), ("evaluate", "", "succeeded"),
            ("evaluate", "", "succeeded"), ("finetune", "full", "succeeded"),
        ]


async def test_a_killed_run_goes_on_and_a_system_that_ended_takes_it_up(
    settings: Settings, bert: Path, tmp_path: Path
) -> None:
    file = table(tmp_path / "reviews.csv")
    async with running(settings, base=(bert, "embedding")) as system:
        made = await done(system, "training.finetune", model="base", dataset=str(file), method="full", epochs=10,
                          patience=0, rows=8, output="long", background=True)
        assert made["state"] in ("queued", "running")
        folder = settings.home / "runs" / made["run"]
        async with asyncio.timeout(120):
            while not list(folder.glob("checkpoints/*")) and not (folder / "result.json").exists():
                await asyncio.sleep(0.05)
        card = await done(system, "jobs.show", job=made["job"])
        if card["pid"]:
            os.kill(card["pid"], signal.SIGKILL)
    async with running(settings) as system:
        ended = await done(system, "jobs.wait", job=made["job"])
        assert ended["state"] == "succeeded" and len(ended["attempts"]) >= 2
        async with asyncio.timeout(60):
            while system.training.runs("long").runs[0].state != "succeeded":
                await asyncio.sleep(0.05)
        assert (await done(system, "models.show", model="long"))["state"] == "stored"


@pytest.mark.parametrize(
    ("method", "kind"), [("prefix", "adapter"), ("adapter", "adapter")]
)
async def test_what_each_method_makes_is_loaded_and_answers_as_it_was_measured(
    settings: Settings, bert: Path, tmp_path: Path, method: str, kind: str
) -> None:
    file = table(tmp_path / "reviews.csv")
    async with running(settings, base=(bert, "embedding")) as system:
        made = await done(system, "training.finetune", model="base", dataset=str(file), method=method, epochs=12,
                          learning_rate=1e-2, rows=16, patience=0, output="m")
        card = await done(system, "models.show", model="m")
        assert card["kind"] == kind
        again = await done(system, "training.evaluate", model="m", dataset="reviews")
        assert again["metrics"]["confusion"] == made["metrics"]["confusion"]
        asked = await done(system, "models.predict", model="m", text=["the film was lovely"])
        assert set(asked["predictions"][0]["scores"]) == {"good", "bad"}


async def test_bad_input_is_refused_before_a_job_is_made(
    settings: Settings, bert: Path, llama: Path, tmp_path: Path
) -> None:
    async with running(settings, base=(bert, "embedding"), writer=(llama, "causal")) as system:
        one = table(tmp_path / "one.csv", labels=("same", "same"))
        error = await refused(system, "training.finetune", model="base", dataset=str(one))
        assert "same" in error["message"] and "nothing was trained" in error["message"]
        (tmp_path / "plain.txt").write_text("a line\nanother line\na third\n", "utf-8")
        error = await refused(system, "training.finetune", model="base", dataset=str(tmp_path / "plain.txt"))
        assert "writes no text" in error["message"]
        (tmp_path / "empty.csv").write_text("", "utf-8")
        error = await refused(system, "training.finetune", model="base", dataset=str(tmp_path / "empty.csv"))
        assert "empty" in error["message"]
        error = await refused(system, "training.finetune", model="nobody", dataset=str(one))
        assert "nobody" in error["message"]
        error = await refused(system, "training.finetune", model="base", dataset="nowhere")
        assert "nowhere" in error["message"]
        error = await refused(system, "training.finetune", model="base", dataset="one", output="base")
        assert error["kind"] == "user"
        assert (await done(system, "jobs.list"))["jobs"] == []


async def test_a_writer_learns_answers_and_a_reader_is_made_from_nothing(
    settings: Settings, llama: Path, tmp_path: Path
) -> None:
    draw = random.Random(3)
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(
        f'{{"prompt": "{draw.choice(runs.REST)} {word}", "completion": "{"good" if word in runs.GOOD else "bad"}"}}\n'
        for word in (runs.GOOD + runs.BAD) * 8
    ), "utf-8")
    async with running(settings, writer=(llama, "causal")) as system:
        made = await done(system, "training.finetune", model="writer", dataset=str(pairs), epochs=2, rows=8,
                          output="w2")
        assert made["metrics"]["perplexity"]["low"] > 0
        told = await done(system, "models.generate", model="w2", prompt="the good", max_tokens=3)
        assert told["model"] == "w2"
        text = tmp_path / "corpus.txt"
        text.write_text("\n".join(" ".join(draw.choices(runs.REST, k=12)) for _ in range(200)), "utf-8")
        reader = await done(system, "training.pretrain", dataset=str(text), size="tiny", output="reader")
        assert reader["metrics"]["loss"] > 0
        sums = await done(system, "models.predict", model="reader", text=["the film"])
        assert len(sums["predictions"][0]["vector"]) > 8
        again = await done(system, "training.again", run=reader["run"])
        assert again["model"] == "reader-2" and again["metrics"]["loss"] == reader["metrics"]["loss"]
