"""The child process that writes a model in fewer bits: `python -m agentos.engines.quantizing JOB`.

It reads one tensor at a time; what it prints and how it is limited, `agentos.engines.errand` says.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from agentos.engines import errand
from agentos.errors import Failed


def main(arguments: list[str]) -> int:
    """Runs one job: `{"source": PATH, "out": PATH, "bits": 4|8, "memory": BYTES, "threads": N}`."""
    return errand.run(arguments, _do, "quantizing it", "its size")


def _do(job: dict[str, Any]) -> dict[str, Any]:
    return quantize(Path(job["source"]), Path(job["out"]), int(job["bits"]), int(job["threads"]))


def quantize(source: Path, out: Path, bits: int, threads: int) -> dict[str, Any]:
    """Writes the folder of a model in fewer bits.

    Raises:
        Failed: the model is not one of those that can be quantized.
    """
    started = time.monotonic()
    errand.say(progress="starting torch")
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file
    from transformers import AutoConfig

    from agentos.engines import quantized

    torch.set_grad_enabled(False)
    if threads:
        torch.set_num_threads(threads)
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    if getattr(config, "quantization_config", None):
        raise Failed("it is quantized already")
    model = quantized.empty(config)
    wanted = quantized.shape(model, bits)
    known = set(model.state_dict())
    made: dict[str, torch.Tensor] = {}
    done, files = 0, sorted(source.glob("*.safetensors"))
    total = sum(file.stat().st_size for file in files)
    for file in files:
        with safe_open(str(file), "pt") as held:
            for name in held.keys():  # noqa: SIM118
                tensor = held.get_tensor(name)
                done += tensor.nbytes
                if name not in known:
                    raise Failed(f"its files hold a tensor {name!r} that transformers reads by another name")
                if name not in wanted:
                    if name != "lm_head.weight" or not config.tie_word_embeddings:
                        made[name] = tensor.bfloat16().clone()
                elif wanted[name] == 4:
                    made[name], made[name + quantized.PAIRS] = quantized.groups(tensor)
                else:
                    made[name], made[name + quantized.SCALE] = quantized.rows(tensor)
                errand.say(progress=f"to {bits} bits", done=done, total=total, unit="B")
    missing = sorted(set(wanted) - set(made))
    if missing:
        raise Failed(f"its files lack {missing[0]!r}")
    errand.say(progress="writing safetensors")
    save_file(made, out / "model.safetensors", {"format": "pt"})
    for path in source.iterdir():
        if path.is_file() and path.suffix in {".json", ".jinja", ".txt", ".model"} and path.name not in _OWN:
            shutil.copyfile(path, out / path.name)
    said = json.loads((source / "config.json").read_text("utf-8"))
    said["quantization_config"] = {"quant_method": quantized.METHOD, "bits": bits, "group_size": quantized.GROUP}
    (out / "config.json").write_text(json.dumps(said, indent=1), "utf-8")
    scales = f"a scale and an offset for each {quantized.GROUP} weights" if bits == 4 else "one scale a row"
    method = f"{bits} bits, {scales}; embedding and head in 8 bits"
    return {"method": method, "seconds": round(time.monotonic() - started, 2)}


_OWN = {"config.json", "model.json", "model.safetensors.index.json"}
"""Files that the copy has of its own, or needs not."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
