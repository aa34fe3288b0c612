"""Control groups: found where they can be made, and read as the kernel writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agentos.jobs import cgroup
from agentos.jobs.cgroup import Group


def make(folder: Path, controllers: str, handed_on: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "cgroup.controllers").write_text(controllers)
    (folder / "cgroup.subtree_control").write_text(handed_on)
    (folder / "cgroup.procs").write_text("")


def test_where_no_group_hands_memory_on_there_is_none(tmp_path: Path) -> None:
    make(tmp_path, "cpu io", "cpu")
    make(tmp_path / "a", "cpu", "")
    assert cgroup.parent(str(tmp_path), "/a") is None
    assert cgroup.parent(str(tmp_path / "missing"), "/a") is None


def test_a_folder_that_does_not_make_groups_is_not_taken_for_one_and_is_left_as_it_was(tmp_path: Path) -> None:
    make(tmp_path, "memory", "memory")
    assert cgroup.parent(str(tmp_path), "/") is None
    assert sorted(os.listdir(tmp_path)) == ["cgroup.controllers", "cgroup.procs", "cgroup.subtree_control"]


def test_memory_is_asked_for_where_it_is_to_be_had(tmp_path: Path) -> None:
    make(tmp_path, "cpu memory", "")
    cgroup.parent(str(tmp_path), "/")
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"


@pytest.mark.parametrize(("events", "starved"), [("oom 0\noom_kill 0\n", False), ("oom 3\noom_kill 2\n", True)])
def test_a_kill_for_want_of_memory_is_seen(tmp_path: Path, events: str, starved: bool) -> None:
    (tmp_path / "memory.events").write_text(events)
    assert Group(str(tmp_path)).starved() is starved


def test_the_peak_is_read_where_the_kernel_keeps_it(tmp_path: Path) -> None:
    assert Group(str(tmp_path)).peak() is None
    (tmp_path / "memory.peak").write_text("123456\n")
    assert Group(str(tmp_path)).peak() == 123456


def test_a_group_that_the_kernel_does_not_fill_is_not_used_and_not_left(tmp_path: Path) -> None:
    group = tmp_path / "agentos-1"
    assert not Group(str(group)).make(1 << 20)
    assert not group.exists()


@pytest.mark.skipif(cgroup.parent() is None, reason="no version 2 control group of this process hands memory on")
def test_a_real_group_can_be_made_and_removed() -> None:
    parent = cgroup.parent()
    assert parent is not None
    group = Group(f"{parent}/agentos-test-{os.getpid()}")
    assert group.make(64 << 20)
    assert not group.starved()
    group.remove()
    assert not os.path.exists(group.folder)
