"""What remote calls cost adds up, whoever writes at the same time."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from agentos.models.costs import Costs
from agentos.store import Store
from agentos.types import Completed, Predicted


def made(cost: float | None = 0.25, **rest) -> Completed:
    return Completed("stop", "text", prompt_tokens=10, tokens=2, cost=cost, **rest)


@pytest.fixture
def costs(tmp_path: Path) -> Costs:
    now = iter(range(100, 1000))
    return Costs(Store(tmp_path / "db"), lambda: float(next(now)))


def test_totals_are_by_model_person_and_time(costs):
    costs.record("ann", "litellm:openai/a", made(0.5))
    costs.record("bob", "litellm:openai/a", made(0.25, served_by="litellm:openai/b"))
    costs.record("ann", "litellm:openai/c", Predicted((), ((1.0,),), tokens=7, cost=1.0))
    assert costs.total().cost == 1.75 and costs.total().calls == 3
    assert costs.total(model="litellm:openai/a").cost == 0.75, "who asked for a, whoever answered"
    assert costs.total(user="ann").cost == 1.5
    assert costs.total(since=101).cost == 1.25
    assert costs.total(user="ann", since=101).prompt_tokens == 7
    assert costs.total(user="eve").cost == 0.0


@pytest.mark.parametrize("cost", [None, math.nan, math.inf, -1.0])
def test_what_is_no_price_is_counted_apart_and_spoils_no_sum(costs, cost):
    costs.record("ann", "litellm:openai/a", made(cost))
    costs.record("ann", "litellm:openai/a", made(0.5))
    assert (costs.total().cost, costs.total().unpriced, costs.total().tokens) == (0.5, 1, 4)


def test_writers_on_several_connections_lose_nothing(tmp_path):
    def write() -> None:
        mine = Costs(Store(tmp_path / "db"))
        for _ in range(20):
            mine.record("ann", "litellm:openai/a", made(0.5))

    Costs(Store(tmp_path / "db"))
    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert Costs(Store(tmp_path / "db")).total().cost == 40.0
