"""What a vLLM server is told, and the memory it takes."""

from __future__ import annotations

import json
import math
import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentos.engines import processor, tools
from agentos.errors import Failed
from agentos.types import Bytes, Generation, Json, Logprob, ModelSpec
from agentos.types.units import show_bytes

OVERHEAD = 2 << 30
"""What a server on a processor takes without weights and key-value space: its three processes, measured."""
_USED = 256 << 20
"""What they may take beside that once they have answered for a while, measured."""
_WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
_STORED = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
_LEAST_KV = 256 << 20
_CHUNK = 256
"""Prompt tokens read at a time on a processor: a step stays short, so that progress shows."""


@dataclass(frozen=True)
class Size:
    """What of a model decides how much memory it takes."""

    parameters: int
    """Numbers in floating point."""
    packed: Bytes
    """Weights in other forms, kept as they are."""
    token: int
    """Numbers kept for each token of a context."""
    longest: int
    """Tokens it was made to read; 0 where it does not say."""


def sized(path: Path) -> Size:
    """A stored model's size, from its config and the headers of its weights. Failed: they cannot be read."""
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
        parameters = packed = 0
        for file in path.glob("*.safetensors"):
            with file.open("rb") as stream:
                header = json.loads(stream.read(struct.unpack("<Q", stream.read(8))[0]))
            for name, tensor in header.items():
                if name != "__metadata__":
                    start, end = tensor["data_offsets"]
                    width = _STORED.get(tensor["dtype"], 0)
                    parameters += (end - start) // width if width else 0
                    packed += 0 if width else end - start
        text = {**config, **config.get("text_config", {})}
        heads = text["num_attention_heads"]
        head = text.get("head_dim") or text["hidden_size"] // heads
        token = 2 * text["num_hidden_layers"] * (text.get("num_key_value_heads") or heads) * head
        return Size(parameters, packed, token, int(text.get("max_position_embeddings") or 0))
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise Failed(f"{path} holds no model that vLLM can serve ({error!r}); nothing was loaded.") from error


def dtype(settings: Mapping[str, Json], gpu: bool) -> str:
    """The form of the weights: what was asked, or what this machine computes in fastest."""
    asked = str(settings.get("dtype", ""))
    if asked:
        return asked
    if gpu:
        return "auto"
    return "bfloat16" if processor.multiplies_bf16() else "float32"


def need(path: Path, context: int, settings: Mapping[str, Json]) -> Bytes:
    """What a server of that model takes on a processor: its processes, the weights and key-value space."""
    size, width = sized(path), _WIDTH.get(dtype(settings, gpu=False), 4)
    return OVERHEAD + _USED + size.parameters * width + size.packed + _space(size, context, width, settings)


def _space(size: Size, context: int, width: int, settings: Mapping[str, Json]) -> Bytes:
    asked = settings.get("kv")
    if isinstance(asked, int | float):
        return int(asked)
    return max(_LEAST_KV, 4 * context * size.token * width)


def length(spec: ModelSpec, size: Size) -> int:
    """Tokens of the longest prompt and answer that the server takes."""
    return min(spec.context, size.longest) if size.longest else spec.context


def arguments(spec: ModelSpec, size: Size, *, gpu: bool) -> tuple[str, ...]:
    """The server's arguments, without its address.

    Raises:
        Failed: the memory it may take is too little for one request.
    """
    form, context = dtype(spec.settings, gpu), length(spec, size)
    told = [
        "--model", str(spec.path), "--served-model-name", spec.name, "--max-model-len", str(context), "--dtype", form,
        "--generation-config", "vllm", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log",
        "--structured-outputs-config.backend", "guidance",
    ]
    parallel = int(float(str(spec.settings.get("tensor_parallel", 1))))
    if parallel > 1:
        told += ["--tensor-parallel-size", str(parallel)]
    if spec.adapter is not None:
        told += ["--enable-lora", "--lora-modules", f"{adapted(spec)}={spec.adapter}"]
        told += ["--max-lora-rank", str(_rank(spec.adapter))]
    if gpu:
        told += ["--enable-sleep-mode"]
        if spec.limit is not None:
            told += ["--gpu-memory-utilization", f"{min(0.98, spec.limit / gpu_total()):.3f}"]
    else:
        told += ["--kv-cache-memory-bytes", str(_room(spec, size, context, _WIDTH.get(form, 4)))]
        told += ["--max-num-batched-tokens", str(_CHUNK), "--max-num-seqs", "64"]
        if not spec.settings.get("compile"):
            told += ["--enforce-eager"]
    more = spec.settings.get("vllm_args", ())
    if not isinstance(more, list | tuple):
        raise Failed(f"the setting 'vllm_args' of {spec.name!r} must be a list of texts; nothing was loaded.")
    return (*told, *map(str, more))


def adapted(spec: ModelSpec) -> str:
    """The name a request asks for: the adapter's where there is one."""
    return spec.name if spec.adapter is None else f"{spec.name}+adapter"


def _room(spec: ModelSpec, size: Size, context: int, width: int) -> Bytes:
    wanted = _space(size, context, width, spec.settings)
    if spec.limit is None:
        return wanted
    weights = size.parameters * width + size.packed
    left, least = spec.limit - OVERHEAD - weights, context * size.token * width
    if left < least:
        raise Failed(
            f"vLLM needs {show_bytes(OVERHEAD + weights + least)} to serve {spec.name!r} and may take "
            f"{show_bytes(spec.limit)}; nothing was loaded. Give it more, a shorter context, or engine=transformers."
        )
    return min(wanted, left)


def _rank(adapter: Path) -> int:
    """The least rank vLLM makes room for that holds the adapter's."""
    try:
        rank = int(json.loads((adapter / "adapter_config.json").read_text("utf-8"))["r"])
    except (OSError, ValueError, KeyError) as error:
        raise Failed(f"{adapter} holds no LoRA adapter ({error!r}); nothing was loaded.") from error
    return max(8, 1 << math.ceil(math.log2(max(rank, 1))))


def gpu_total() -> Bytes:
    """Memory of the first GPU. Failed: the driver does not say."""
    tool = shutil.which("nvidia-smi") or "nvidia-smi"
    try:
        said = subprocess.run(
            [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=10, check=True,
        )
        return int(said.stdout.split()[0]) << 20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise Failed(f"the NVIDIA driver does not say how much memory it has ({error}); nothing was loaded.") from error


def body(request: Generation, spec: ModelSpec) -> tuple[str, dict[str, Any]]:
    """The path and the JSON of a request."""
    request = tools.held(request)
    prompt = request.prompt
    asked: dict[str, Any] = {
        "model": adapted(spec), "temperature": request.temperature, "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.max_tokens < spec.context:  # else as many as there is room for
        asked["max_tokens"] = max(1, request.max_tokens)
    if request.top_p < 1:
        asked["top_p"] = request.top_p
    if request.stop:
        asked["stop"] = list(request.stop)
    if request.seed is not None:
        asked["seed"] = request.seed
    if request.grammar is not None:
        asked["structured_outputs"] = {"grammar": request.grammar}
    if isinstance(prompt, tuple):
        asked["messages"] = tools.told(prompt, () if request.tool_choice == "none" else request.tools)
    elif prompt.chat:
        asked["messages"] = [
            {"role": "system", "content": prompt.prefix + "".join(prompt.blocks)},
            {"role": "user", "content": prompt.tail},
        ]
    else:
        asked["prompt"], asked["add_special_tokens"] = prompt.text, False
    if request.logprobs is not None:
        chat = "messages" in asked
        asked |= {"logprobs": True, "top_logprobs": request.logprobs} if chat else {"logprobs": request.logprobs}
    return ("/v1/chat/completions" if "messages" in asked else "/v1/completions"), asked


def likely(choice: Mapping[str, Any]) -> list[Logprob]:
    """What a choice of a stream says of its tokens' probabilities, in either form that vLLM has for them."""
    said = choice.get("logprobs") or {}
    if "tokens" in said:
        tops = said.get("top_logprobs") or [None] * len(said["tokens"])
        rows = zip(said["tokens"], said["token_logprobs"], tops, strict=False)
        return [Logprob(text, value or 0.0, tuple((top or {}).items())) for text, value, top in rows]
    return [
        Logprob(one["token"], one["logprob"], tuple((top["token"], top["logprob"]) for top in one["top_logprobs"]))
        for one in said.get("content") or ()
    ]
