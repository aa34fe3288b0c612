"""What is left of jobs when processes are killed: at every named point, and anywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agentos.interfaces.place import lock
from tests.jobs.chaos import POINTS, ROOT, TARGETS, small

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")


async def test_nothing_is_lost_or_done_twice_when_processes_are_killed_anywhere(tmp_path: Path) -> None:
    chaos = await small(tmp_path, jobs=120, kills=15, seed=7)
    assert {point: chaos.kills[point] for point in POINTS} == dict.fromkeys(POINTS, 1)
    assert sum(chaos.kills[target] for target in TARGETS) == 15
    assert chaos.verdict() == {"lost": [], "recorded twice": [], "run twice": [], "wrong": []}
    assert (tmp_path / "err").read_bytes() == b"" and (tmp_path / "jobs" / "shims.log").read_bytes() == b""


def test_a_second_system_leaves_the_home_of_the_first_alone(tmp_path: Path) -> None:
    held = lock(tmp_path / "agentos.lock")
    assert held is not None
    with held:
        second = subprocess.run(
            [sys.executable, "-m", "tests.jobs.chaos_system", str(tmp_path)], cwd=ROOT, capture_output=True,
            text=True, check=False,
        )
    assert second.returncode == 1 and "already runs" in second.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["agentos.lock"]
