"""The child process that writes a model in fewer bits: `python -m agentos.engines.quantizing JOB`.

It runs under a memory limit, reads one tensor at a time, and prints one JSON object a line: `progress`, then
`result` or `error`.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from agentos.errors import AgentosError, Failed

_MIB = 1 << 20


def main(arguments: list[str]) -> int:
    """Runs one job: `{"source": PATH, "out": PATH, "bits": 4|8, "memory": BYTES, "threads": N}`."""
    job = json.loads(arguments[0])
    _limit(int(job["memory"]))
    try:
        _say(result=quantize(Path(job["source"]), Path(job["out"]), int(job["bits"]), int(job["threads"])))
    except AgentosError as error:
        _say(error=str(error))
        return 1
    except MemoryError:
        _say(error=f"quantizing it takes more than the {int(job['memory']) // _MIB} MiB that its size accounts for")
        return 1
    except OSError as error:
        _say(error=str(error), errno=error.errno)
        return 1
    return 0


def _limit(memory: int) -> None:
    """Holds this process to so many bytes of its own data, where the platform can."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def quantize(source: Path, out: Path, bits: int, threads: int) -> dict[str, Any]:
    """Writes the folder of a model in fewer bits.

    Raises:
        Failed: the model is not one of those that can be quantized.
    """
    started = time.monotonic()
    _say(progress="starting torch")
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
                _say(progress=f"to {bits} bits", done=done, total=total, unit="B")
    missing = sorted(set(wanted) - set(made))
    if missing:
        raise Failed(f"its files lack {missing[0]!r}")
    _say(progress="writing safetensors")
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
