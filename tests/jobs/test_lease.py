"""Attempts under a lease end with it, whoever else still lives."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agentos.errors import Failed
from agentos.jobs import lease, placed, settle
from agentos.jobs.executor import Ended, Order
from agentos.jobs.local import LocalExecutor


def order(folder: Path, command: str, grace: float = 10.0) -> Order:
    return Order("1.1", "1", folder / "jobs" / "1" / "1", command, str(folder), {}, {}, None, None, (), 1, grace)


async def until(file: Path) -> None:
    async with asyncio.timeout(20):
        while not file.exists():
            await asyncio.sleep(0.01)


async def test_a_renewed_lease_lets_an_attempt_run_and_one_that_runs_out_ends_it_without_its_system(
    tmp_path: Path,
) -> None:
    held = tmp_path / "lease"
    lease.extend(str(held), lease.clock() + 0.3)
    executor = LocalExecutor(tmp_path / "jobs", cpus=1, memory=1 << 30, lease=held)
    await executor.open()
    await executor.start(order(tmp_path, "trap '' TERM; sleep 0.6; touch renewed; sleep 60"))
    lease.extend(str(held), lease.clock() + 1.5)
    await executor.close()
    await until(tmp_path / "jobs" / "1" / "1" / "result.json")
    assert (tmp_path / "renewed").exists()
    result = json.loads((tmp_path / "jobs" / "1" / "1" / "result.json").read_text())
    assert (result["reason"], result["signal"]) == ("lost", 9)
    assert "lost touch with the cluster" in result["detail"]


def test_a_lease_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert lease.left(str(tmp_path / "none")) == 0
    (tmp_path / "bad").write_text("soon\n")
    assert lease.left(str(tmp_path / "bad")) == 0


def test_what_was_given_up_is_not_sent_and_what_was_sent_is_not_given_up(tmp_path: Path) -> None:
    settle.fate("1.1", tmp_path / "1")
    with pytest.raises(Failed, match="given up"):
        placed.place(tmp_path / "1", "ab12", "far")
    placed.place(tmp_path / "2", "ab12", "far")
    with pytest.raises(Failed, match="sent to node far"):
        settle.fate("2.1", tmp_path / "2")
    place = placed.where(tmp_path / "2")
    assert place is not None and (place.id, place.name) == ("ab12", "far")


def test_an_end_that_came_home_is_told_as_a_shims_is(tmp_path: Path) -> None:
    ended = Ended("1.1", "signal", None, 9, 5, 1.0, 2.0, "", 3)
    placed.place(tmp_path, "ab12", "far")
    assert placed.record(tmp_path, ended)
    assert settle.fate("1.1", tmp_path) == ended


def test_a_log_takes_its_name_when_it_is_whole_and_a_node_chooses_no_other(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="broke"), placed.Incoming(tmp_path, "log.1") as file:
        file.write(b"half")
        raise OSError("broke")
    assert not list(tmp_path.iterdir())
    with placed.Incoming(tmp_path, "log") as file:
        file.write(b"whole")
    assert [(item.name, item.read_bytes()) for item in tmp_path.iterdir()] == [("log", b"whole")]
    for name in ("../log", "log.0", "claim", "log.1/x"):
        with pytest.raises(OSError, match="no log's name"):
            placed.Incoming(tmp_path, name)
