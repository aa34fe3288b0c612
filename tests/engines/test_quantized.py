"""Weights in fewer bits: what is kept, what is lost, and that layers multiply what was stored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from agentos.engines import quantized
from agentos.engines.perplexity import STRIDE, WINDOW, perplexity
from agentos.engines.weights import Head
from agentos.errors import Failed, UserError

CPU = torch.device("cpu")
ENGINES = torch.backends.quantized.supported_engines
fast = pytest.mark.skipif(
    quantized.kernels() is not quantized.Linear8,
    reason="rows of 8 bits are multiplied by torch's quantized engine 'fbgemm', and this torch on this processor has "
    + (", ".join(engine for engine in ENGINES if engine != "none") or "none"),
)


@pytest.fixture(autouse=True)
def fbgemm(monkeypatch: pytest.MonkeyPatch) -> None:
    if "fbgemm" in ENGINES:
        monkeypatch.setattr(torch.backends.quantized, "engine", "fbgemm")


def _weight(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(3)) * 0.05


def _error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


def test_a_row_in_8_bits_is_off_by_no_more_than_half_a_step() -> None:
    weight = _weight(48, 64)
    codes, scale = quantized.rows(weight)
    back = quantized.whole({"w": codes, "w_scale": scale}, "w")
    # the scale is rounded to bf16, and the largest code is held to 127: one step more at the very end of a row
    assert ((back - weight).abs() <= (0.5 + 127 / 256) * scale.float()[:, None]).all()
    assert _error(back, weight) < 0.01


def test_a_group_in_4_bits_keeps_its_ends_and_rounds_what_lies_between() -> None:
    weight = _weight(48, 64)
    packed, pairs = quantized.groups(weight)
    back = quantized.whole({"w": packed, "w_scale_and_offset": pairs}, "w")
    assert packed.shape == (48, 32) and pairs.shape == (2, 48, 2)
    assert _error(back, weight) < 0.1
    groups = weight.view(48, 2, 32)
    step = (groups.amax(-1) - groups.amin(-1))[..., None] / 15
    assert ((back.view(48, 2, 32) - groups).abs() <= 0.6 * step).all()


def test_a_matrix_that_was_of_4_bits_before_comes_back_as_it_was() -> None:
    generator = torch.Generator().manual_seed(5)
    codes = torch.randint(0, 16, (32, 3, 32), generator=generator).float()
    codes[..., 0], codes[..., 1] = 0, 15
    weight = ((codes - 8) * 0.0078125 + 0.0625).flatten(1)
    packed, pairs = quantized.groups(weight)
    assert torch.equal(quantized.whole({"w": packed, "w_scale_and_offset": pairs}, "w"), weight)


@pytest.mark.parametrize("lead", [(), (1, 1), (1, 7), (2, 3)])
@pytest.mark.parametrize("bias", [False, True])
def test_layers_multiply_what_was_stored(lead: tuple[int, ...], bias: bool) -> None:
    weight, added = _weight(48, 64), _weight(48) if bias else None
    hidden = torch.randn(*lead, 64, generator=torch.Generator().manual_seed(4)) if lead else torch.ones(1, 64)
    codes, scale = quantized.rows(weight)
    packed, pairs = quantized.groups(weight)
    eight = nn.functional.linear(hidden, quantized.whole({"w": codes, "w_scale": scale}, "w"), added)
    four = nn.functional.linear(hidden, quantized.whole({"w": packed, "w_scale_and_offset": pairs}, "w"), added)
    assert _error(quantized.Linear8Slow(codes, scale, added)(hidden), eight) < 0.01
    assert _error(quantized.Linear4(packed, pairs, added)(hidden), four) < 0.01
    if quantized.kernels() is quantized.Linear8:
        assert _error(quantized.Linear8(codes, scale, added)(hidden), eight) < 0.02


@fast
def test_the_largest_products_there_are_do_not_overflow() -> None:
    weight = torch.full((32, 64), 0.5)
    weight[::2] *= -1
    layer = quantized.Linear8(*quantized.rows(weight), None)
    for hidden in (torch.ones(1, 64), -torch.ones(1, 64), torch.full((3, 64), 1000.0)):
        assert _error(layer(hidden), nn.functional.linear(hidden, weight)) < 0.01


@fast
def test_a_large_activation_does_not_wipe_out_the_others() -> None:
    weight = _weight(48, 64)
    codes, scale = quantized.rows(weight)
    weight = quantized.whole({"w": codes, "w_scale": scale}, "w")
    hidden = torch.randn(1, 64, generator=torch.Generator().manual_seed(6))
    hidden[0, 5] = 500.0
    without = hidden.clone()
    without[0, 5] = 0
    layer = quantized.Linear8(codes, scale, None)
    rest = layer(hidden) - 500.0 * layer(nn.functional.one_hot(torch.tensor([5]), 64).float())
    assert _error(rest, without @ weight.T) < 0.1


@fast
def test_what_a_token_becomes_does_not_hang_on_its_neighbours() -> None:
    layer = quantized.Linear8(*quantized.rows(_weight(48, 64)), None)
    one = torch.randn(1, 64, generator=torch.Generator().manual_seed(8))
    beside = torch.cat([one, 1000 * torch.ones(1, 64)])
    assert torch.allclose(layer(beside)[0], layer(one)[0], atol=1e-6)


def test_a_head_in_codes_says_the_same_of_some_tokens_as_of_all() -> None:
    codes, scale = quantized.rows(_weight(512, 64))
    head, hidden, some = Head(codes, scale), torch.randn(64), torch.tensor([3, 77, 500])
    whole = quantized.whole({"w": codes, "w_scale": scale}, "w") @ hidden
    assert head.size == 512
    assert _error(head.logits(hidden), whole) < 0.01
    assert _error(head.logits(hidden, some), whole[some]) < 0.01
    assert torch.equal(head.logits(torch.stack([hidden, hidden]))[1], head.logits(torch.stack([hidden]))[0])


def _quantize(folder: Path, out: Path, bits: int, memory: int = 4 << 30) -> dict[str, object]:
    out.mkdir(exist_ok=True)
    job = {"source": str(folder), "out": str(out), "bits": bits, "memory": memory, "threads": 1}
    done = subprocess.run(
        [sys.executable, "-m", "agentos.engines.quantizing", json.dumps(job)],
        check=False, capture_output=True, text=True,
    )
    last: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return last


@pytest.mark.parametrize("bits", [8, 4])
def test_a_quantized_folder_loads_to_nearly_the_model_it_came_from(tiny: Path, tmp_path: Path, bits: int) -> None:
    assert "result" in _quantize(tiny, tmp_path / "out", bits)
    out = tmp_path / "out"
    config = AutoConfig.from_pretrained(out)
    assert quantized.described(config) is not None and quantized.described(AutoConfig.from_pretrained(tiny)) is None
    loader = AutoModelForCausalLM
    plain = loader.from_pretrained(tiny, dtype=torch.float32).eval()
    heard: list[tuple[int, int]] = []
    with torch.no_grad():
        model, form = quantized.load(out, config, CPU, lambda done, total: heard.append((done, total)))
        ids = torch.tensor([[5, 9, 300, 41, 77]])
        got, wanted = model.model(ids).last_hidden_state, plain.model(ids).last_hidden_state
    assert form == f"int{bits}"
    assert _error(got, wanted) < (0.2 if bits == 8 else 0.6)
    assert heard and heard == sorted(heard) and heard[-1][0] <= heard[-1][1]


def test_the_file_holds_codes_alone_and_no_whole_matrix_of_a_layer(tiny: Path, tmp_path: Path) -> None:
    _quantize(tiny, tmp_path / "out", 4)
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir() if path.suffix in {".bin", ".pt", ".pkl"}) == []
    for name, tensor in tensors.items():
        if name.endswith("_proj.weight"):
            assert tensor.dtype == torch.uint8 and name + "_scale_and_offset" in tensors
        if "embed_tokens" in name or "lm_head" in name:
            assert tensor.dtype in {torch.int8, torch.bfloat16}
    with safe_open(str(tiny / "model.safetensors"), "pt") as held:
        assert set(held.keys()) <= set(tensors)


def test_what_is_quantized_is_not_quantized_again(tiny: Path, tmp_path: Path) -> None:
    _quantize(tiny, tmp_path / "one", 8)
    assert "already" in str(_quantize(tmp_path / "one", tmp_path / "two", 4)["error"])


def test_a_file_that_lacks_a_tensor_is_refused(tiny: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    _quantize(tiny, tmp_path / "out", 8)
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "out" / "model.safetensors")
    with pytest.raises(Failed, match=r"up_proj|does not hold"):
        quantized.load(tmp_path / "out", AutoConfig.from_pretrained(tmp_path / "out"), CPU, lambda _done, _total: None)


def test_a_torn_file_is_said_to_be_one(tiny_models: dict[str, Path], tmp_path: Path) -> None:
    _quantize(tiny_models["qwen2"], tmp_path / "out", 8)
    file = tmp_path / "out" / "model.safetensors"
    written = file.read_bytes()
    for kept in (0, 4, 100, -1):
        file.write_bytes(written[:kept])
        config = AutoConfig.from_pretrained(tmp_path / "out")
        with pytest.raises(Failed, match=r"model\.safetensors does not hold .* Quantize the model again"):
            quantized.load(tmp_path / "out", config, CPU, lambda _done, _total: None)


def test_perplexity_is_that_of_a_coin_for_a_coin_and_counts_every_token_once() -> None:
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(0, 2, (2 * WINDOW + 100,), generator=generator).tolist()
    read_at: list[int] = []

    def read(window: list[int]) -> torch.Tensor:
        read_at.append(len(window))
        return torch.zeros(len(window), 4)

    assert perplexity(tokens, read, lambda hidden: torch.zeros(len(hidden), 2)) == pytest.approx(2.0)
    assert read_at[0] == WINDOW and max(read_at) <= WINDOW and len(read_at) == 1 + -(-(len(tokens) - WINDOW) // STRIDE)


def test_perplexity_is_what_one_pass_over_a_short_text_gives(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).eval()
    tokens = torch.randint(10, 500, (60,), generator=torch.Generator().manual_seed(1)).tolist()
    with torch.no_grad():
        wanted = torch.exp(model(torch.tensor([tokens]), labels=torch.tensor([tokens])).loss).item()
        got = perplexity(
            tokens, lambda window: model.model(torch.tensor([window])).last_hidden_state[0],
            model.lm_head,
        )
    assert got == pytest.approx(wanted, rel=1e-4)


def test_a_text_of_one_token_has_no_perplexity() -> None:
    with pytest.raises(UserError, match="fewer than two"):
        perplexity([4], lambda window: torch.zeros(len(window), 2), lambda hidden: hidden)
