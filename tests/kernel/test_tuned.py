"""Which adapter is in force: only over its own base, only a better one, and always with a way back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentos.errors import Failed, UserError
from agentos.kernel import gate, tuned
from agentos.kernel.report import Report, Row
from agentos.kernel.scoring import Score
from agentos.types import Plan


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "run" / "model"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def manifest(sha: str = "abc") -> tuned.Manifest:
    return tuned.Manifest("base", sha, {"rows": 3})


def test_an_adapter_is_in_force_over_its_own_base_alone(tmp_path: Path, made: Path) -> None:
    adapters = tuned.Tuned(tmp_path / "kernel")
    name = adapters.keep(made, manifest())
    assert adapters.in_force("abc") is None  # kept is not promoted
    adapters.promote(name)
    found = adapters.in_force("abc")
    assert found is not None and found[1].recipe == {"rows": 3} and (found[0] / "adapter_model.safetensors").is_file()
    assert adapters.in_force("other") is None


def test_going_back_takes_the_one_before_and_ends_at_the_first(tmp_path: Path, made: Path) -> None:
    adapters = tuned.Tuned(tmp_path / "kernel")
    one, two = adapters.keep(made, manifest()), adapters.keep(made, manifest())
    assert one != two
    adapters.promote(one)
    adapters.promote(two)
    assert adapters.rollback() == one
    assert adapters.rollback() == tuned.SHIPPED
    with pytest.raises(UserError, match="none to go back to"):
        adapters.rollback()
    assert tuned.Tuned(tmp_path / "kernel").history() == [tuned.SHIPPED]


def test_none_plans_with_the_base(tmp_path: Path, made: Path) -> None:
    adapters = tuned.Tuned(tmp_path / "kernel")
    adapters.promote(adapters.keep(made, manifest()))
    adapters.promote(tuned.NONE)
    assert adapters.in_force("abc") is None
    adapters.rollback()
    assert adapters.in_force("abc") is not None


def test_what_is_not_there_is_not_promoted(tmp_path: Path) -> None:
    adapters = tuned.Tuned(tmp_path / "kernel")
    with pytest.raises(UserError, match="no adapter 'a9'"):
        adapters.promote("a9")
    assert adapters.history() == [tuned.SHIPPED]


def test_a_damaged_manifest_is_named(tmp_path: Path, made: Path) -> None:
    adapters = tuned.Tuned(tmp_path / "kernel")
    name = adapters.keep(made, manifest())
    adapters.promote(name)
    (tmp_path / "kernel" / name / tuned.MANIFEST).write_text("{")
    with pytest.raises(Failed, match="manifest"):
        adapters.in_force("abc")


def test_figures_are_written_into_the_manifest(tmp_path: Path, made: Path) -> None:
    adapters = tuned.Tuned(tmp_path / "kernel")
    name = adapters.keep(made, manifest())
    adapters.describe(name, {"threshold": 0.4, "slope": 1.5, "scores": {"plans": {"exact": 0.9}}, "base": "evil"})
    folder = adapters.folder(name)
    assert folder is not None
    said = json.loads((folder / tuned.MANIFEST).read_text("utf-8"))
    assert (said["threshold"], said["slope"], said["base"]) == (0.4, 1.5, "base")


def report(right: list[bool], acted: list[bool] | None = None) -> Report:
    acted = acted or [False] * len(right)
    rows = []
    for at, (one, acts) in enumerate(zip(right, acted, strict=True)):
        kind, score = "decline" if acts else "single", Score(one, one, one, acts, False)
        rows.append(Row(str(at), "en", kind, "x", ((),), Plan(""), score, 0.1, 1))
    return Report("suite", "model", tuple(rows))


def test_a_better_one_passes() -> None:
    assert gate.compare([report([True] * 10 + [False] * 30)], [report([True] * 30 + [False] * 10)]).passed


def test_an_equal_or_worse_one_does_not() -> None:
    same = report([True] * 10 + [False] * 10)
    assert "not better" in gate.compare([same], [same]).against[0]
    assert not gate.compare([report([True] * 20)], [report([True] * 5 + [False] * 15)]).passed


def test_one_suite_that_got_worse_is_enough() -> None:
    better = ([report([False] * 20)], [report([True] * 20)])
    worse = ([report([True] * 20)], [report([False] * 20)])
    assert not gate.compare([*better[0], *worse[0]], [*better[1], *worse[1]]).passed


def test_chance_is_mcnemars_exact_one() -> None:
    assert gate.chance(0, 0) == 1.0
    assert gate.chance(0, 6) == pytest.approx(2 * 0.5**6)
    assert gate.chance(5, 5) == 1.0


def test_confidence_is_calibrated_on_what_came_true() -> None:
    over = [(0.9, at % 2 == 0) for at in range(40)] + [(0.2, False)] * 10
    power = gate.slope(over)
    assert power > 1.5
    better = gate.calibration_error([(sure**power, right) for sure, right in over])
    assert better < gate.calibration_error(over)
    assert gate.slope([(0.9, True)] * 5) == 1.0
