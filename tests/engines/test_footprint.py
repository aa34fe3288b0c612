"""Where memory runs out, that is what is said: never that the model is at fault."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from agentos.engines import footprint
from tests.engines import tiny

LITTLE = """
import resource, sys, warnings
from pathlib import Path
import torch
from transformers import AutoConfig, AutoModel
from agentos.engines import adapters, encoders, quantized
from agentos.engines.footprint import exhausted
from agentos.errors import Failed
from agentos.types import ModelSpec

part, folder = sys.argv[1], Path(sys.argv[2])
torch.set_grad_enabled(False)
torch.set_num_threads(1)
warnings.simplefilter("ignore")
cpu = torch.device("cpu")
readings = {
    "quantized": lambda: quantized.load(folder, AutoConfig.from_pretrained(folder), cpu, lambda *_: None),
    "encoders": lambda: encoders.load(ModelSpec("it", folder), AutoConfig.from_pretrained(folder), cpu),
    "adapters": lambda: adapters.apply(bases.pop(), folder / "adapter"),
}
bases = [AutoModel.from_pretrained(folder, dtype="auto") for _ in range(2 * (part == "adapters"))]
first = readings[part]()  # it can be loaded, and now all is imported that has to be
status = Path("/proc/self/status").read_text().splitlines()
held = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (held + (1 << 20), held + (1 << 20)))
try:
    readings[part]()
except Failed as error:
    sys.exit(f"the model is said to be at fault: {error}")
except Exception as error:
    if not exhausted(error):
        raise
else:
    sys.exit("it was loaded")
"""


def _write(part: str, folder: Path) -> None:
    """A model of some megabytes in the form that a part of the engine loads."""
    import peft
    import torch
    from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

    size: dict[str, Any] = {
        "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 1, "num_attention_heads": 4,
    }
    vocabulary = tiny.write_tokenizer(folder)
    if part == "quantized":
        plain = folder / "plain"
        LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **size)).bfloat16().save_pretrained(plain)
        job = {"source": str(plain), "out": str(folder), "bits": 8, "memory": 4 << 30, "threads": 1}
        command = [sys.executable, "-m", "agentos.engines.quantizing", json.dumps(job)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return
    model: Any = BertModel(BertConfig(vocab_size=vocabulary, max_position_embeddings=64, **size)).to(torch.bfloat16)
    model.save_pretrained(folder)
    if part == "adapters":
        config = peft.LoraConfig(r=2, target_modules=["dense"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft calls what transformers has renamed
            peft.get_peft_model(model, config).save_pretrained(folder / "adapter")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to a limit here")
@pytest.mark.parametrize("part", ["quantized", "encoders", "adapters"])
def test_a_load_that_runs_out_of_memory_does_not_blame_the_model(tmp_path: Path, part: str) -> None:
    _write(part, tmp_path)
    command = [sys.executable, "-c", LITTLE, part, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_says_that_memory_ran_out_is_known_whoever_says_it() -> None:
    import torch

    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 60)
    wrapped = OSError("it cannot be read")
    wrapped.__cause__ = refused.value
    assert footprint.exhausted(refused.value) and footprint.exhausted(wrapped)
    assert footprint.exhausted(MemoryError()) and footprint.exhausted(OSError(errno.ENOMEM, "no"))
    assert not footprint.exhausted(OSError(errno.ENOSPC, "no")) and not footprint.exhausted(ValueError("out of memory"))


ERRAND = """
import errno, sys
from agentos.engines import errand
from agentos.errors import Failed

def do(job):
    raise eval(job["error"])

sys.exit(errand.run(sys.argv[1:], do, "reading it", "its header"))
"""
LARGE = "reading it takes more than the 4.0 GiB that its header accounts for"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("Failed('it is no model')", {"error": "it is no model"}),
        ("MemoryError()", {"error": LARGE}),
        ("RuntimeError('can not: not enough memory')", {"error": LARGE}),
        ("OSError(errno.ENOSPC, 'full')", {"error": f"[Errno {errno.ENOSPC}] full", "errno": errno.ENOSPC}),
    ],
)
def test_an_errand_says_in_a_line_what_went_wrong(error: str, said: dict[str, object]) -> None:
    command = [sys.executable, "-c", ERRAND, json.dumps({"memory": 4 << 30, "error": error})]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout) == said


@pytest.mark.skipif(sys.platform == "win32", reason="this platform does not say")
def test_what_is_written_to_a_disk_is_seen_too() -> None:
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    assert footprint.fetched() >= used.ru_majflt + used.ru_inblock + used.ru_oublock
