"""Two processes train one model."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoModel

from tests.training import runs


@pytest.fixture(scope="module")
def still(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model without dropout, whose draws differ between processes."""
    config = AutoConfig.from_pretrained(bert)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0
    made = tmp_path_factory.mktemp("still")
    AutoModel.from_pretrained(bert, config=config).save_pretrained(made)
    runs.tokenizer(made)
    return made


def test_two_processes_come_to_what_one_comes_to_also_when_they_are_killed(
    still: Path, reviews: Path, tmp_path: Path,
) -> None:
    losses = []
    for count in (1, 2):
        made = runs.spec(still, reviews, processes=count, epochs=6, balanced=True,
                         limit={"checkpoint_seconds": 0.1})
        path = runs.folder(tmp_path, made, str(count))
        if count == 2:
            process = runs.start(path)
            ends = time.monotonic() + 60
            while not list(path.glob("checkpoints/eval*")) and time.monotonic() < ends:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert runs.start(path).wait(120) == 0
        losses.append(runs.result(path))
    assert runs.events(path, "resume")
    assert losses[0]["steps"] == losses[1]["steps"]
    assert losses[0]["tokens"] == losses[1]["tokens"]
    assert losses[1]["loss"] == pytest.approx(losses[0]["loss"], rel=1e-2, abs=1e-3)
    assert losses[1]["metrics"]["loss"] == pytest.approx(losses[0]["metrics"]["loss"], rel=1e-2, abs=1e-3)
