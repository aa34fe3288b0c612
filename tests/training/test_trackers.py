"""Weights & Biases and MLflow: what they are told, by whose key, and that what fails there stays there."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agentos.errors import UserError
from agentos.training.trackers import Trackers, check
from tests.training import runs


def test_a_run_is_given_addresses_of_the_system_and_keys_of_its_own_user() -> None:
    environ = {
        "MLFLOW_TRACKING_URI": "http://here:5000", "WANDB_API_KEY": "the owner's", "WANDB_MODE": "offline",
        "PATH": "/bin", "MLFLOW_TRACKING_TOKEN": "the owner's",
    }
    kept = {"ann": ["HF_TOKEN", "WANDB_API_KEY"], "bob": ["MLFLOW_TRACKING_TOKEN"]}
    both = Trackers("wandb, mlflow", lambda user: kept[user], environ)
    assert both.names == ("wandb", "mlflow")
    assert both.variables("ann") == (["MLFLOW_TRACKING_URI=http://here:5000", "WANDB_MODE=offline"], ["WANDB_API_KEY"])
    assert both.variables("bob")[1] == ["MLFLOW_TRACKING_TOKEN"]
    one = Trackers("mlflow", lambda user: kept[user], environ)
    assert one.variables("ann") == (["MLFLOW_TRACKING_URI=http://here:5000"], [])
    assert Trackers("", lambda user: kept[user], environ).variables("ann") == ([], [])


def test_no_secret_of_the_system_goes_with_an_address() -> None:
    environ = {
        "MLFLOW_TRACKING_URI": "https://root:hunter2@here:5000/x", "MLFLOW_FLASK_SERVER_SECRET_KEY": "x",
        "WANDB_IDENTITY_TOKEN_FILE": "/x", "MLFLOW_TRACKING_USERNAME": "root", "WANDB_PROJECT": "a@b",
    }
    given = Trackers("wandb, mlflow", lambda user: [], environ).variables("ann")
    assert given == (["MLFLOW_TRACKING_URI=https://here:5000/x", "WANDB_PROJECT=a@b"], [])


def test_what_is_no_tracker_or_is_not_there_is_said() -> None:
    with pytest.raises(UserError, match="no tracker 'tensorbord': there are 'wandb' and 'mlflow'"):
        Trackers("tensorbord")
    with pytest.raises(UserError, match="no tracker 'comet'"):
        check(["comet"])


def _fake(folder: Path, text: str) -> dict[str, str]:
    folder.mkdir()
    (folder / "mlflow.py").write_text(text, "utf-8")
    return {"PYTHONPATH": str(folder)}


def _ran(path: Path, **environ: str) -> int:
    command = [sys.executable, "-m", "agentos.training.worker", str(path)]
    paths = os.pathsep.join(filter(None, (environ.pop("PYTHONPATH", ""), *sys.path)))
    given = {**os.environ, **environ, "PYTHONPATH": paths}
    return subprocess.run(command, check=False, env=given, capture_output=True).returncode


def test_a_tracker_that_fails_is_noted_and_the_run_goes_on(bert: Path, reviews: Path, tmp_path: Path) -> None:
    path = runs.folder(tmp_path, runs.spec(bert, reviews, trackers=("mlflow",), epochs=1))
    environ = _fake(tmp_path / "there", "def set_experiment(name): raise OSError('no route to host')\n")
    assert _ran(path, **environ) == 0
    notes = [event["text"] for event in runs.events(path, "note")]
    assert any("mlflow is told no more: no route to host. The run goes on" in text for text in notes)
    assert (path / "model").is_dir() and any((path / "tensorboard").iterdir())


def test_mlflow_has_a_run_that_is_gone_on_with_after_a_kill(bert: Path, reviews: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed: pip install mlflow-skinny")
    store = (tmp_path / "store").as_uri()
    path = runs.folder(tmp_path, runs.spec(bert, reviews, trackers=("mlflow",), limit={"stop_after": 4}))
    environ = {"MLFLOW_TRACKING_URI": store, "MLFLOW_ALLOW_FILE_STORE": "true"}
    _ran(path, **environ)
    first = (path / "mlflow.id").read_text("utf-8")
    spec = json.loads((path / "run.json").read_text("utf-8"))
    (path / "run.json").write_text(json.dumps({**spec, "limit": {}}), "utf-8")
    assert _ran(path, **environ) == 0
    assert (path / "mlflow.id").read_text("utf-8") == first
    (there,) = [one for one in (tmp_path / "store").rglob(first) if one.is_dir()]
    params = {one.name: one.read_text("utf-8") for one in (there / "params").iterdir()}
    assert params["base"] == "tiny" and params["method"] == "full" and params["seed"] == "0"
    told = " ".join(one.read_text("utf-8") for part in ("params", "tags") for one in (there / part).iterdir())
    own = (str(tmp_path), sys.prefix, str(Path.home()), socket.gethostname())
    assert not [name for name in own if name in told]  # no path, account or name of the machine
    steps = [int(line.split()[2]) for line in (there / "metrics" / "loss").read_text("utf-8").splitlines()]
    assert min(steps) <= 4 < max(steps)
    assert "status: 3" in (there / "meta.yaml").read_text("utf-8")  # finished


def test_weights_and_biases_keeps_a_run_offline(bert: Path, reviews: Path, tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: pip install wandb")
    path = runs.folder(tmp_path, runs.spec(bert, reviews, trackers=("wandb",), epochs=1))
    assert _ran(path, WANDB_MODE="offline") == 0
    assert not any("told no more" in event["text"] for event in runs.events(path, "note"))
    (kept,) = (path / "wandb").glob("offline-run-*/run-*.wandb")
    ident = (path / "wandb.id").read_text("utf-8")
    assert ident.startswith("r1-") and ident in kept.name and kept.stat().st_size > 500
    said = kept.read_bytes()
    own = (str(reviews.parent), socket.gethostname(), "agentos.training.worker", "requirements.txt")
    assert not [name for name in own if name.encode() in said]
