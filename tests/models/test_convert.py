"""Converting a GGUF file, for real, in the child process."""

import json
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_torch

from agentos.errors import Failed
from agentos.models import child
from tests.models.conftest import Told, write_gguf


async def test_a_gguf_file_becomes_bf16_safetensors_with_one_matrix_for_both_ends(
    tiny_gguf: Path, tmp_path: Path, told: Told
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    facts = await child.inspect(tiny_gguf)
    made = await child.convert(tiny_gguf, out, facts, told, "tiny", threads=1)
    tensors = load_torch(out / "model.safetensors")
    config = json.loads((out / "config.json").read_text())
    assert made["kind"] == "causal" and made["context"] == 128
    assert "lm_head.weight" not in tensors and config["tie_word_embeddings"] is True
    assert "quantization_config" not in config
    assert {str(t.dtype) for t in tensors.values()} == {"torch.bfloat16"}
    assert made["parameters"] == sum(t.numel() for t in tensors.values())
    assert (out / "tokenizer.json").is_file()
    assert "converting tiny" in told.text


async def test_the_finer_rounding_of_the_two_is_kept(tiny_gguf: Path, tmp_path: Path, told: Told) -> None:
    out = tmp_path / "out"
    out.mkdir()
    await child.convert(tiny_gguf, out, await child.inspect(tiny_gguf), told, "tiny", threads=1)
    kept = load_torch(out / "model.safetensors")["model.embed_tokens.weight"].float().numpy()
    truth = numpy.random.default_rng(7).normal(0, 0.05, kept.shape).astype(numpy.float32)
    assert numpy.linalg.norm(kept - truth) / numpy.linalg.norm(truth) < 0.02  # 4 bits would be off by 0.08


async def test_a_head_of_its_own_is_not_tied(tmp_path: Path, told: Told) -> None:
    path, out = tmp_path / "own.gguf", tmp_path / "out"
    out.mkdir()
    write_gguf(path, twin_head=False)
    await child.convert(path, out, await child.inspect(path), told, "own", threads=1)
    assert "lm_head.weight" in load_torch(out / "model.safetensors")


async def test_a_child_that_needs_more_than_its_header_accounts_for_is_stopped(
    tiny_gguf: Path, tmp_path: Path, told: Told
) -> None:
    facts = await child.inspect(tiny_gguf)
    with pytest.raises(Failed, match="memory|more than"):
        await child.convert(tiny_gguf, tmp_path, {**facts, "memory": -(200 << 20)}, told, "tiny", threads=1)


async def test_a_child_that_takes_too_long_is_stopped(tiny_gguf: Path, tmp_path: Path, told: Told) -> None:
    facts = await child.inspect(tiny_gguf)
    with pytest.raises(Failed, match="longer than"):
        await child.convert(tiny_gguf, tmp_path, {**facts, "seconds": 0.01}, told, "tiny", threads=1)


def test_the_tiny_model_is_what_it_claims(tiny_gguf: Path) -> None:
    assert load_file is not None and tiny_gguf.stat().st_size > 50_000
