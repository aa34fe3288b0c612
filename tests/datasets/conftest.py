"""A real service over an empty folder, with a real trash."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from agentos.config import Settings
from agentos.datasets.service import DatasetService
from agentos.policy.trash import TrashCan
from agentos.store import Store
from agentos.types import Caller, Context


@dataclass
class Told:
    """A context of which data sets need the caller and the progress."""

    caller: Caller
    call: str = "c1"
    lines: list[tuple[str, float | None, float | None, str]] = field(default_factory=list)

    async def progress(
        self, message: str, done: float | None = None, total: float | None = None, unit: str = ""
    ) -> None:
        self.lines.append((message, done, total, unit))


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return cast(Context, Told(Caller("lin", "operator", folder=str(tmp_path))))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.fixture
def trash(settings: Settings) -> Iterator[TrashCan]:
    store = Store(settings.database)
    yield TrashCan(store, settings)
    store.close()


@pytest.fixture
def root(settings: Settings) -> Path:
    return settings.home / "datasets"


@pytest.fixture
def service(root: Path, trash: TrashCan) -> DatasetService:
    return DatasetService(root, trash, clock=lambda: 1_000_000.0)


def rows(root: Path, name: str) -> list[dict[str, Any]]:
    return pq.read_table(root / name / "data.parquet").to_pylist()


def left(root: Path) -> list[str]:
    """Everything in the store, and that nothing is half-written."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


WORDS = {
    "en": ["room", "staff", "breakfast", "window", "night", "coffee", "bath", "clean", "noisy", "street", "view"],
    "zh": ["房间", "服务", "早餐", "窗户", "晚上", "咖啡", "浴室", "干净", "吵闹", "街道", "风景", "价格"],
}


def sentence(rng: random.Random, language: str, words: int = 30) -> str:
    """A text that is like no other."""
    numbers = [str(rng.randrange(1000)) if rng.random() < 0.5 else "" for _ in range(words)]
    picked = [rng.choice(WORDS[language]) + number for number in numbers]
    return (" " if language == "en" else "").join(picked)
