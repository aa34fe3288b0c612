"""Processes: who they are and what they take."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentos.jobs import identity, tree
from agentos.jobs.identity import Claim, read_claim, void

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")

TAKE = "import sys; x = bytearray(40 << 20); print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def family() -> Iterator[list[int]]:
    """A process, its child and its grandchild, which takes 40 MiB."""
    variables = {"PYTHON": sys.executable, "TAKE": TAKE, "CHILD": 'echo $$; "$PYTHON" -I -S -c "$TAKE"; true'}
    process = subprocess.Popen(
        ["sh", "-c", 'echo $$; sh -c "$CHILD"; true'], env=os.environ | variables,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    pids = [int(process.stdout.readline()), int(process.stdout.readline())]
    assert process.stdout.readline() == "ready\n"
    yield pids
    process.stdin.close()
    process.stdout.close()
    process.wait()


def test_all_below_a_process_are_found_by_either_way(family: list[int]) -> None:
    mine = tree.descendants(os.getpid())
    assert set(family) <= set(mine)
    assert mine.index(family[0]) < mine.index(family[1])
    assert set(tree.below({family[0]})) == set(tree.descendants(family[0]))
    assert len(tree.below({family[1]})) == 1


def test_memory_is_that_of_all_of_them(family: list[int]) -> None:
    pids = tree.descendants(family[0])
    use = tree.use(pids)
    exact = tree.proportional(pids)
    assert use.processes == 2
    assert 40 << 20 < use.memory <= use.rss < 80 << 20
    assert exact is None or 40 << 20 < exact <= use.rss


def test_of_processes_that_are_gone_nothing_is_said() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert tree.descendants(process.pid) == []
    assert tree.use([process.pid]).processes == 0
    assert tree.proportional([process.pid]) == 0
    assert identity.starttime(process.pid) is None


def test_a_process_is_known_by_its_mark_and_who_is_below_it_too() -> None:
    inner = "import sys; print('ready', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        ["sh", "-c", f'env -i "{sys.executable}" -I -S -c "{inner}"; true'],
        env={"PATH": os.defpath, tree.MARK: "12-34"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdout.readline()
        found = tree.leftovers({"12-34": None, "12-35": None})
        assert process.pid in found["12-34"] and len(found["12-34"]) == 2
        assert found["12-35"] == set()
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


def test_a_claim_is_read_as_it_was_written(tmp_path: Path) -> None:
    claim = Claim(12, 34, identity.boot(), 5.25)
    (tmp_path / "claim").write_bytes(claim.head() + b"56 78\n")
    read = read_claim(str(tmp_path))
    assert read is not None and read.here
    assert (read.shim, read.shim_start, read.started, read.command, read.command_start) == (12, 34, 5.25, 56, 78)


@pytest.mark.parametrize("text", ["", "void\n", "star", "started 12 34"])
def test_what_is_no_whole_claim_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "claim").write_text(text)
    assert read_claim(str(tmp_path)) is None


def test_only_the_first_decides(tmp_path: Path) -> None:
    assert void(str(tmp_path))
    assert not void(str(tmp_path))
