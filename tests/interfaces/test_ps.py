"""Models as `agentos ps` shows them."""

from __future__ import annotations

import pytest

from agentos.dispatch.dispatcher import as_json
from agentos.interfaces.columns import Column, laid
from agentos.interfaces.commands_ps import lines
from agentos.interfaces.show import width
from agentos.interfaces.words import speaker
from agentos.types import Live, ModelList, ModelRow, Quota

from .conftest import Agentos, Terminal

GIB = 1 << 30


def live(**given: object) -> Live:
    plain: dict[str, object] = {
        "state": "ready", "device": "cpu", "memory": GIB, "gpu_memory": 0, "requests": 0, "waiting": 0, "served": 12,
        "tokens": 900, "tokens_per_second": 0.0, "keep_alive": "10m", "expires_in": 95.0,
    }
    return Live(**{**plain, **given})  # type: ignore[arg-type]


def listed(*rows: ModelRow) -> dict[str, object]:
    said = as_json(ModelList(list(rows), [Quota("memory", 8 * GIB, 3 * GIB)]))
    assert isinstance(said, dict)
    return said  # type: ignore[return-value]


BUSY = ModelRow("qwen2.5-coder-0.5b", "loaded", 1, GIB, "", "transformers", True,
                live(state="busy", requests=3, waiting=2, tokens_per_second=31.25, keep_alive="forever",
                     expires_in=None))
COMING = ModelRow(
    "模型-甲", "loaded", 1, GIB, "", "vllm", False,
    live(state="loading", done=0.42, replicas=3, healthy=2, restarts=4, cost=0.5),
)


def test_a_row_tells_state_requests_speed_and_when_it_leaves() -> None:
    head, busy, coming, budget = lines(listed(BUSY, COMING), speaker("en"), 200)
    assert busy.split() == [
        "qwen2.5-coder-0.5b*", "transformers", "busy", "cpu", "1.0", "GiB", "3+2", "31.2", "12", "stays",
    ]
    assert "loading 42%" in coming and "1m 35s" in coming and "2/3" in coming and "$0.5000" in coming
    assert head.split()[-1] == "COST" and "GPU" not in head
    assert budget == "memory: 3.0 GiB of 8.0 GiB taken by models"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("room", [40, 79, 100])
def test_a_table_fits_and_keeps_what_matters(language: str, room: int) -> None:
    made = lines(listed(BUSY, COMING), speaker(language), room)
    assert all(width(line) <= room for line in made)
    assert any("qwen2.5-coder-0.5b*" in line for line in made) and any("模型-甲" in line for line in made)


def test_columns_stand_under_one_another_in_chinese_too() -> None:
    columns = [Column("名称"), Column("内存", right=True), Column("other", rank=1)]
    made = laid(columns, [["模型", "1 GiB", ""], ["m", "10 GiB", ""]], 40)
    assert made == ["名称    内存", "模型   1 GiB", "m     10 GiB"]


def test_no_model_in_memory_is_said_so() -> None:
    assert lines({"models": [], "budgets": []}, speaker("zh"), 80) == ["内存中没有模型"]


def test_a_pipe_gets_the_table_once_and_a_script_json(agentos: Agentos) -> None:
    done = agentos.run("ps")
    assert done.returncode == 0 and "\x1b" not in done.stdout and done.stdout.strip()
    assert isinstance(agentos.json("ps", "--json")["models"], list)


def test_a_terminal_is_drawn_over_until_the_system_has_ended_and_does_not_start_it_again(fresh: Agentos) -> None:
    assert fresh.run("ask", "how much memory is free?").returncode == 0
    with Terminal(fresh, "ps", term="xterm") as terminal:
        terminal.expect(r"\x1b\[\d+F")
        assert fresh.run("stop").returncode == 0
        assert terminal.ended() == 1
    assert fresh.run("status").returncode == 1
