"""A run that is killed and started again ends as if it had not been."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from agentos.training.checkpoint import Checkpoints
from tests.training import runs

EPOCHS = 16


def wait(path: Path, seconds: float, sign: str) -> None:
    """Until a file that fits a pattern is there and some time has gone by, or the run has ended."""
    ends = time.monotonic() + 60
    while not list(path.glob(sign)) and not (path / "result.json").exists() and time.monotonic() < ends:
        time.sleep(0.001)
    time.sleep(seconds)


def test_a_run_killed_again_and_again_ends_with_the_same_loss_and_weights(
    bert: Path, reviews: Path, tmp_path: Path,
) -> None:
    made = runs.spec(
        bert, reviews, method="full", epochs=EPOCHS, limit={"checkpoint_seconds": 0.05}, learning_rate=5e-3,
    )
    whole = runs.folder(tmp_path, made, "whole")
    assert runs.start(whole).wait(120) == 0
    cut = runs.folder(tmp_path, made, "cut")
    draw = random.Random()
    seen = []
    for sign in ("checkpoints/step*", "checkpoints/*.part", "checkpoints/eval*", "model.part"):
        process = runs.start(cut)
        wait(cut, draw.uniform(0, 0.4) if sign.endswith("*") and "part" not in sign else 0, sign)
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.append(sorted(path.name for path in (cut / "checkpoints").glob("*")))
    assert runs.start(cut).wait(120) == 0
    one, two = runs.result(whole), runs.result(cut)
    assert one["loss"] == two["loss"], seen
    assert one["metrics"] == two["metrics"]
    assert (one["steps"], one["tokens"], one["best_step"]) == (two["steps"], two["tokens"], two["best_step"])
    weights = [(path / "model" / "model.safetensors").read_bytes() for path in (whole, cut)]
    assert weights[0] == weights[1]
    resumed = [event["step"] for event in runs.events(cut, "resume")]
    assert resumed
    assert any(step > 0 for step in resumed)


def test_told_to_stop_it_keeps_its_state_and_goes_on_later(bert: Path, reviews: Path, tmp_path: Path) -> None:
    made = runs.spec(bert, reviews, epochs=40, method="lora", rank=4)
    path = runs.folder(tmp_path, made)
    process = runs.start(path)
    wait(path, 0, "checkpoints/eval*")
    process.terminate()
    assert process.wait(60) == 143
    assert not (path / "result.json").exists()
    kept = Checkpoints(path).newest()
    assert kept is not None
    assert runs.start(path).wait(120) == 0
    assert runs.events(path, "resume")[0]["step"] == kept.update
    whole = runs.folder(tmp_path, made, "whole")
    assert runs.here(whole) == 0
    assert runs.result(whole)["loss"] == runs.result(path)["loss"]


@pytest.mark.parametrize("method", ["adalora", "prefix"])
def test_every_method_goes_on_from_its_own_state(method: str, bert: Path, reviews: Path, tmp_path: Path) -> None:
    from agentos.training.loop import Loop

    made = runs.spec(bert, reviews, epochs=4, method=method, rank=4, learning_rate=1e-2,
                     limit={"checkpoint_seconds": 1e-9})
    whole = runs.folder(tmp_path, made, "whole")
    assert runs.here(whole) == 0
    cut = runs.folder(tmp_path, made, "cut")
    stock = Loop._update

    def breaks(self: Loop) -> bool:
        if self.progress.update == 31:
            raise KeyboardInterrupt
        return stock(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loop, "_update", breaks)
        with pytest.raises(KeyboardInterrupt):
            runs.here(cut)
    assert runs.here(cut) == 0
    assert runs.events(cut, "resume")[0]["step"] > 14
    assert runs.result(whole)["loss"] == runs.result(cut)["loss"]


def test_a_checkpoint_that_is_cut_off_is_passed_over(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    for update in (1, 2, 3):
        kept.save(update, {"update": update}, measured=update == 1)
    files = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert files == ["eval-000000001.pt", "step-000000002.pt", "step-000000003.pt"]
    newest = tmp_path / "checkpoints" / "step-000000003.pt"
    newest.write_bytes(newest.read_bytes()[:-40])
    found = kept.newest()
    assert found is not None
    assert found.update == 2
    anchor = kept.newest(measured=True)
    assert anchor is not None
    assert anchor.update == 1
