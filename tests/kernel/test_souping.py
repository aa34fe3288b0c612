"""The mean of adapters: of their weights, over one base, of one shape, and with a recipe that says of which."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from agentos.errors import Failed, UserError
from agentos.kernel import souping, tuned


def made(adapters: tuned.Tuned, folder: Path, value: float, *, base: str = "abc", rank: int = 2, alpha: int = 4) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        "base_model.model.layers.8.q_proj.lora_A.weight": np.full((rank, 3), value, dtype=np.float16),
        "base_model.model.layers.8.q_proj.lora_B.weight": np.full((5, rank), -value, dtype=np.float16),
    }
    save_file(weights, folder / "adapter_model.safetensors")
    config = {"r": rank, "lora_alpha": alpha, "use_rslora": False, "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return adapters.keep(folder, tuned.Manifest("base", base, {"rows": int(value)}, run=f"t{int(value)}"))


def test_a_mean_is_kept_with_what_it_is_of_and_not_in_force(tmp_path: Path) -> None:
    adapters = tuned.Tuned(tmp_path / "kernel")
    one, two = made(adapters, tmp_path / "x", 1.0), made(adapters, tmp_path / "x", 4.0)
    name = souping.mean(adapters, [one, two])
    folder = adapters.folder(name)
    assert folder is not None and name not in (one, two)
    weights = load_file(folder / "adapter_model.safetensors")
    assert all(tensor.dtype == np.float16 for tensor in weights.values())
    assert {float(np.unique(tensor)[0]) for tensor in weights.values()} == {2.5, -2.5}
    recipe = tuned.read(folder).recipe["mean_of"]
    assert [(part["adapter"], part["run"], part["rows"]) for part in recipe] == [(one, "t1", 1), (two, "t4", 4)]
    assert adapters.history() == [tuned.SHIPPED]
    twice = adapters.folder(souping.mean(adapters, [one, one, two]))
    assert twice is not None
    assert float(load_file(twice / "adapter_model.safetensors").popitem()[1].flat[0]) in (2.0, -2.0)


def test_what_has_no_mean_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    adapters = tuned.Tuned(tmp_path / "kernel")
    one = made(adapters, tmp_path / "x", 1.0)
    others = [
        made(adapters, tmp_path / "x", 1.0, base="other"), made(adapters, tmp_path / "x", 1.0, rank=4),
        made(adapters, tmp_path / "x", 1.0, alpha=8),
    ]
    before = sorted(path.name for path in (tmp_path / "kernel").iterdir())
    for other, told in zip(others, ("different models", "no mean", "no mean"), strict=True):
        with pytest.raises(UserError, match=told):
            souping.mean(adapters, [one, other])
    for names in ([], [one], [one, one]):
        with pytest.raises(UserError, match="two adapters or more"):
            souping.mean(adapters, names)
    for name in ("a99", "../x", "none"):
        with pytest.raises(UserError, match="there is no adapter"):
            souping.mean(adapters, [one, name])
    weights = adapters.folder(others[0])
    assert weights is not None
    (weights / "adapter_model.safetensors").write_bytes(b"broken")
    (weights / tuned.MANIFEST).write_text(((adapters.folder(one) or Path()) / tuned.MANIFEST).read_text())
    with pytest.raises(Failed, match="cannot be read"):
        souping.mean(adapters, [one, others[0]])
    assert sorted(path.name for path in (tmp_path / "kernel").iterdir()) == before


def test_the_shipped_adapter_has_a_mean_with_itself_trained_further(tmp_path: Path) -> None:
    adapters = tuned.Tuned(tmp_path / "kernel")
    shipped = adapters.folder(tuned.SHIPPED)
    assert shipped is not None
    copy = adapters.keep(shipped, tuned.read(shipped))
    folder = adapters.folder(souping.mean(adapters, [tuned.SHIPPED, copy]))
    assert folder is not None
    ours, theirs = (load_file(one / "adapter_model.safetensors") for one in (folder, shipped))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert (folder / "adapter_model.safetensors").stat().st_size <= 20_000_000
