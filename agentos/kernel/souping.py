"""The mean of adapters that were trained further one from the other: better than each of them on what none has seen.

Weights of runs that begin with one another lie in one valley of the loss, and their mean lies lower in it than they do
(Wortsman et al., Model soups, 2022; Izmailov et al., Averaging weights leads to wider optima, 2018). It costs nothing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentos.errors import Failed, UserError
from agentos.kernel import tuned

_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"


def mean(adapters: tuned.Tuned, names: Sequence[str]) -> str:
    """Keeps the mean of adapters as a new one and gives its name; it is not in force by that.

    Args:
        adapters: Where they lie.
        names: Two or more; one that comes twice counts twice.

    Raises:
        UserError: there is no such adapter, or they are not of one base and one shape.
        Failed: one cannot be read, or the new one cannot be written.
    """
    if len(set(names)) < 2:
        raise UserError("a mean is of two adapters or more: agentos kernel mean a1 a2. Nothing was made")
    folders = []
    for name in names:
        folder = adapters.folder(name)
        if folder is None:
            raise UserError(f"there is no adapter {name!r} here; nothing was made")
        folders.append(folder)
    manifests = [tuned.read(folder) for folder in folders]
    if len({manifest.base_sha256 for manifest in manifests}) > 1:
        raise UserError(f"{' and '.join(names)} were trained over different models; nothing was made")
    recipe = {"mean_of": [_told(name, manifest) for name, manifest in zip(names, manifests, strict=True)]}
    with tempfile.TemporaryDirectory(prefix="agentos-mean-") as scratch:
        try:
            _written(folders, Path(scratch))
        except OSError as error:
            raise Failed(f"the mean could not be written: {error}. The adapter in force stays") from error
        first = manifests[0]
        return adapters.keep(Path(scratch), tuned.Manifest(first.base, first.base_sha256, recipe))


def _told(name: str, manifest: tuned.Manifest) -> dict[str, Any]:
    run = {"run": manifest.run} if manifest.run else {}
    return {"adapter": name, "made": manifest.made, **run, **manifest.recipe}


def _written(folders: Sequence[Path], into: Path) -> None:
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file, save_file

    try:
        several = [load_file(folder / _WEIGHTS) for folder in folders]
        shapes = [{name: (tensor.shape, tensor.dtype) for name, tensor in one.items()} for one in several]
        scales = {_scale(json.loads((folder / _CONFIG).read_text("utf-8"))) for folder in folders}
    except (SafetensorError, ValueError, TypeError) as error:
        raise Failed(f"an adapter cannot be read: {error}; nothing was made") from error
    if any(other != shapes[0] for other in shapes) or len(scales) > 1:
        raise UserError("these adapters differ in rank, layers or scale, and have no mean; nothing was made")
    made = {
        name: np.mean([one[name].astype(np.float32) for one in several], axis=0).astype(tensor.dtype)
        for name, tensor in several[0].items()
    }
    save_file(made, into / _WEIGHTS, metadata={"format": "pt"})
    (into / _CONFIG).write_bytes((folders[0] / _CONFIG).read_bytes())


def _scale(config: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(json.dumps(config.get(key), sort_keys=True) for key in ("r", "lora_alpha", "use_rslora", "peft_type"))
