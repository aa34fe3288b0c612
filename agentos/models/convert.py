"""The child process that reads what came from outside: `python -m agentos.models.convert JOB`.

Headers are checked by our own readers before any library sees a file. What it prints and how it is limited,
`agentos.engines.errand` says.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from agentos.engines import errand
from agentos.engines.footprint import exhausted
from agentos.errors import Failed
from agentos.models.header_gguf import MAGIC, GgufHeader, read_gguf
from agentos.models.header_safetensors import SafetensorsHeader, read_safetensors
from agentos.models.sources import TEXT_FILES

_MIB = 1 << 20
_TEXT_LIMIT = 64 * _MIB
_SAME_HEAD = 0.25
"""Two roundings of one matrix differ by less (0.04 measured between Q5_0 and Q8_0); two matrices by about 1."""
ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".hdf5", ".msgpack", ".keras", ".joblib")


def main(arguments: list[str]) -> int:
    """Runs one job: `{"do": "inspect"|"convert", "source": PATH, "out": PATH, "memory": BYTES, "threads": N}`."""
    return errand.run(arguments, _do, "reading it", "its header")


def _do(job: dict[str, Any]) -> dict[str, Any]:
    source = Path(job["source"])
    return inspect(source) if job["do"] == "inspect" else convert(source, Path(job["out"]), int(job["threads"]))


def inspect(source: Path) -> dict[str, Any]:
    """What a .gguf file or a folder holds, and what converting it takes.

    Raises:
        Failed: it is truncated, hostile, a pickle, or not a model.
    """
    gguf = _gguf(source)
    if gguf is not None:
        header = read_gguf(gguf)
        largest = max(tensor.elements for tensor in header.tensors.values())
        context = header.values.get(f"{header.architecture}.context_length", 0)
        memory = 512 * _MIB + 2 * header.parameters + 10 * largest
        return {"format": "gguf", "parameters": header.parameters, "context": int(context), "memory": memory,
                "disk": 2 * header.parameters + 64 * _MIB, "seconds": 600 + header.parameters // 200_000}
    if adapts(source):
        own = read_safetensors(source / ADAPTER)
        _adapter(source)
        return {"format": "adapter", "parameters": own.parameters, "context": 0, "memory": 256 * _MIB,
                "disk": own.data + 64 * _MIB, "seconds": 600 + own.data // (5 * _MIB)}
    weights = _weights(source)
    headers = [read_safetensors(path) for path in weights]
    config = _config(source)
    context = config.get("max_position_embeddings") or config.get("n_positions") or 0
    size = sum(header.data for header in headers)
    return {"format": "safetensors", "parameters": _parameters(headers), "context": int(context),
            "memory": 1024 * _MIB, "disk": size + 64 * _MIB, "seconds": 600 + size // (5 * _MIB)}


def _gguf(source: Path) -> Path | None:
    """The GGUF file that a source is or holds; None where it holds safetensors."""
    files = [source] if source.is_file() else sorted(path for path in source.iterdir() if path.is_file())
    if not files:
        raise Failed("there are no files in it")
    safe = [path for path in files if path.suffix == ".safetensors"]
    found = [path for path in files if path.suffix == ".gguf"]
    pickles = [path for path in files if path.suffix.lower() in _PICKLES]
    if source.is_file() and not found:
        safe, found = ([], [source]) if _start(source).startswith(MAGIC) else (safe, found)
    for path in [*safe, *found]:
        start = _start(path)
        if start[:2] in {b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"} or start[:4] == b"\x89HDF":
            raise Failed(f"{path.name} is a pickle or an archive by another name, which can run code when it is read")
    if not safe and not found:
        if pickles or _start(files[0])[:1] in {b"\x80", b"P"}:
            raise Failed(f"{(pickles or files)[0].name} is a pickle or an archive, which can run code when it is read; "
                         "only safetensors and GGUF are taken")
        raise Failed("it holds neither a .safetensors nor a .gguf file")
    if safe:
        return None
    if len(found) > 1:
        raise Failed(f"it holds {len(found)} GGUF files; name one of them")
    return found[0]


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(8)


def _weights(folder: Path) -> list[Path]:
    """The safetensors files of a folder: all that its index names, or all that there are."""
    if folder.is_file():
        raise Failed("a .safetensors file alone is no model: it needs config.json and tokenizer.json beside it. "
                     "Give the folder, or the hub id")
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return sorted(folder.glob("*.safetensors"))
    names = sorted(set(_json(index).get("weight_map", {}).values()))
    if not names or not all(isinstance(name, str) and re.fullmatch(r"[\w.-]+\.safetensors", name) for name in names):
        raise Failed("its index names files that cannot be")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise Failed(f"{missing[0]} is missing")
    return [folder / name for name in names]


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _TEXT_LIMIT:
        raise Failed(f"{path.name} is larger than {_TEXT_LIMIT // _MIB} MiB")
    try:
        read = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise Failed(f"{path.name} is not JSON") from None
    if not isinstance(read, dict):
        raise Failed(f"{path.name} is not a JSON object")
    return read


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        raise Failed("config.json is missing")
    config = _json(path)
    if not isinstance(config.get("model_type"), str):
        raise Failed("its config.json names no model_type")
    if "auto_map" in config:
        raise Failed("its config.json asks for code of its own to be run (auto_map), which is never done")
    return config


def adapts(folder: Path) -> bool:
    """Whether a folder holds an adapter alone, and no model."""
    there = sorted(path.name for path in folder.glob("*.safetensors"))
    return (folder / ADAPTER_CONFIG).is_file() and there == [ADAPTER]


def _adapter(folder: Path) -> dict[str, Any]:
    """What an adapter's file says, once it is known to be LoRA for a model that it names."""
    said = _json(folder / ADAPTER_CONFIG)
    if said.get("peft_type") != "LORA":
        raise Failed(f"it is an adapter of the kind {str(said.get('peft_type'))[:40]!r}; LoRA adapters are taken")
    base = said.get("base_model_name_or_path")
    if not isinstance(base, str) or not 0 < len(base) <= 400:
        raise Failed(f"its {ADAPTER_CONFIG} does not name the model that it was made for (base_model_name_or_path)")
    return said


def _parameters(headers: list[SafetensorsHeader]) -> int:
    return sum(header.parameters for header in headers)


def convert(source: Path, out: Path, threads: int) -> dict[str, Any]:
    """Makes the folder an engine loads: config.json, tokenizer.json and safetensors.

    Raises:
        Failed: it cannot be read as a model; the message says why.
    """
    started = time.monotonic()
    gguf = _gguf(source)
    if gguf is None and adapts(source):
        return _take_adapter(source, out)
    made = _take_folder(source, out) if gguf is None else _convert_gguf(gguf, read_gguf(gguf), out, threads)
    files = sorted(out.glob("*.safetensors"))
    headers = [read_safetensors(path) for path in files]
    config = _config(out)
    facts = {"kind": _kind(config, out), "parameters": _parameters(headers)}
    return {**facts, "seconds": round(time.monotonic() - started, 2), **made}


def _kind(config: dict[str, Any], folder: Path) -> str:
    """What a model is for, as `agentos.engines.encoders.role` has it for one that is being loaded."""
    names = [str(name) for name in config.get("architectures") or []]
    if any(name.endswith("ForSequenceClassification") for name in names):
        return "classification"
    writes = any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names)
    return "causal" if writes and not (folder / "modules.json").is_file() else "embedding"


def _take_adapter(folder: Path, out: Path) -> dict[str, Any]:
    header = read_safetensors(folder / ADAPTER)
    base = _adapter(folder)["base_model_name_or_path"]
    errand.say(progress="copying the adapter", done=0, total=1)
    for name in (ADAPTER, ADAPTER_CONFIG):
        shutil.copyfile(folder / name, out / name)
    if (folder / "config.json").is_file():  # the names of a classifier's classes
        labels = _json(folder / "config.json").get("id2label")
        (out / "config.json").write_text(json.dumps({"id2label": labels}), "utf-8")
    return {"kind": "adapter", "parameters": header.parameters, "context": 0, "base": base}


def _take_folder(folder: Path, out: Path) -> dict[str, Any]:
    config = _config(folder)
    weights = _weights(folder)
    for path in weights:
        read_safetensors(path)
    for number, path in enumerate(weights):
        errand.say(progress="copying weights", done=number, total=len(weights))
        shutil.copyfile(path, out / path.name)
    for name in sorted(TEXT_FILES):
        path = folder / name
        if path.is_file() and path.stat().st_size <= _TEXT_LIMIT:
            (out / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, out / name)
    errand.say(progress="reading the tokenizer")
    from transformers import AutoConfig, AutoTokenizer

    try:
        AutoConfig.from_pretrained(out, trust_remote_code=False)
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"transformers does not know the model type {config['model_type']!r}") from error
    if not (out / "tokenizer.json").is_file():
        try:
            AutoTokenizer.from_pretrained(out, trust_remote_code=False).save_pretrained(out)
        except Exception as error:
            if exhausted(error):
                raise
            raise Failed(f"its tokenizer cannot be read ({_short(error)})") from error
    return {"context": int(config.get("max_position_embeddings") or config.get("n_positions") or 0)}


def _convert_gguf(gguf: Path, header: GgufHeader, out: Path, threads: int) -> dict[str, Any]:
    errand.say(progress="starting torch", done=0, total=4)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if threads:
        torch.set_num_threads(threads)
    errand.say(progress=f"unpacking {len(header.tensors)} tensors to bf16", done=1, total=4)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, dtype=torch.bfloat16, trust_remote_code=False,
            quantization_config=GgufConfig(dequantize=True),
        )
        errand.say(progress="reading the tokenizer", done=2, total=4)
        tokenizer: Any = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name, trust_remote_code=False)
    except Exception as error:  # transformers raises whatever a strange file makes it stumble over
        if isinstance(error, OSError) or exhausted(error):
            raise
        raise Failed(f"transformers cannot read it as {header.architecture!r} ({_short(error)})") from error
    _tie(model, header)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    errand.say(progress="writing safetensors", done=3, total=4)
    model.save_pretrained(out, max_shard_size="1TB")
    tokenizer.save_pretrained(out)
    return {"context": int(getattr(model.config, "max_position_embeddings", 0) or 0)}


def _tie(model: Any, header: GgufHeader) -> None:
    """One matrix for input and output where the file holds two roundings of it: the finer one."""
    into, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head is None or head.weight is into.weight or head.weight.shape != into.weight.shape:
        return
    rows = slice(None, None, max(1, len(head.weight) // 4096))
    first, second = into.weight[rows].float(), head.weight[rows].float()
    if ((first - second).norm() / second.norm().clamp_min(1e-12)).item() > _SAME_HEAD:
        return
    written, read = header.tensors.get("output.weight"), header.tensors.get("token_embd.weight")
    if written is not None and read is not None and written.bits > read.bits:
        into.weight = head.weight
    model.config.tie_word_embeddings = True
    model.tie_weights()


def _short(error: Exception) -> str:
    said = str(error).strip() or type(error).__name__
    return said.splitlines()[0][:160]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
