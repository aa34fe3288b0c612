"""Parts that several tests share: tiny real models, and the one loaded default model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from agentos import config
from agentos.types import Engine, ModelSpec

if TYPE_CHECKING:
    from agentos.engines.vllm import VllmEngine

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of a qwen2-style and a llama-style model with random weights that write printable text without end."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    tokenizer = _tokenizer()
    vocabulary = len(tokenizer)
    size: dict[str, Any] = {
        "vocab_size": vocabulary, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 100_000,
        "initializer_range": 0.3, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None, "pad_token_id": None,
    }
    mute = [token for token in range(vocabulary) if not _printable(tokenizer.decode([token]))]
    folders = {}
    for name, model_class, settings in (
        ("qwen2", Qwen2ForCausalLM, Qwen2Config(**size, tie_word_embeddings=True)),
        ("llama", LlamaForCausalLM, LlamaConfig(**size, tie_word_embeddings=False)),
    ):
        torch.manual_seed(7)
        model: Any = model_class(settings)
        with torch.no_grad():
            model.get_output_embeddings().weight[mute] = 0
        folders[name] = tmp_path_factory.mktemp(name)
        model.bfloat16().save_pretrained(folders[name])
        tokenizer.save_pretrained(folders[name])
    return folders


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    corpus = Path(config.__file__).read_text("utf-8").splitlines()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(corpus, trainer)
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>")
    tokenizer.chat_template = CHAT
    return tokenizer


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable() and text not in SPECIAL


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> config.Settings:
    """Settings of a fresh installation that shares what was downloaded, where AGENTOS_CACHE says that it may."""
    folder = tmp_path_factory.mktemp("home")
    fresh = config.load({"AGENTOS_HOME": str(folder)})
    cache = os.environ.get("AGENTOS_CACHE")
    return replace(fresh, cache=Path(cache).absolute()) if cache else fresh


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kernel_engine(home: config.Settings) -> AsyncIterator[Engine]:
    """The default kernel model, pulled and loaded once; tests that use it run with `loop_scope="session"`."""
    from agentos.engines.make import maker
    from agentos.models.service import ModelService
    from agentos.policy.trash import TrashCan
    from agentos.store import Store

    store, make = Store(home.database), maker(home)
    service = ModelService(home, store, make, TrashCan(store, home))
    try:
        yield await service.acquire(home.kernel_model)
    finally:
        await service.close()
        make.close()
        store.close()


@pytest.fixture(scope="session")
def vllm_settings(home: config.Settings) -> config.Settings:
    """Settings whose cache holds vLLM's environment; it is built where it is not there yet, which takes minutes."""
    from agentos.engines import install

    install.install(home.cache, lambda text: print(text, file=sys.stderr), gpu=install.has_gpu())
    return home


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm_engine(vllm_settings: config.Settings) -> AsyncIterator[VllmEngine]:
    """A small model pulled and served by vLLM, started once; tests of it run with `loop_scope="session"`."""
    from agentos.engines.make import maker
    from agentos.engines.vllm import VllmEngine
    from agentos.models.service import ModelService
    from agentos.policy.trash import TrashCan
    from agentos.store import Store

    store = Store(vllm_settings.database)
    service = ModelService(vllm_settings, store, maker(vllm_settings), TrashCan(store, vllm_settings))
    pulled = await service.pull("smollm2-135m")
    engine = VllmEngine(vllm_settings.cache, log=vllm_settings.logs / "engine-vllm.log")
    try:
        await engine.load(ModelSpec("smollm2-135m", Path(pulled.path), context=2048))
        yield engine
    finally:
        await engine.unload()
        await service.close()


class RayCluster:
    """Real Ray nodes on this machine, in a process of their own."""

    def __init__(self, folder: Path) -> None:
        """Nodes keep what they need in that folder; Ray's own sockets want a short path."""
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("raycluster.py"))], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "TMPDIR": str(folder), "RAY_TMPDIR": "/tmp"},
        )
        self.address = ""
        self.raylets: dict[str, int] = {}

    def add(self, **node: Any) -> str:
        """A node more; its id."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps({"add": node}), file=self._process.stdin, flush=True)
        said = json.loads(self._process.stdout.readline())
        self.address, self.raylets[said["id"]] = said["address"], said["raylet"]
        return str(said["id"])

    def kill(self, node: str) -> None:
        """The node's own process dies at once; what it started is left as it is."""
        os.kill(self.raylets.pop(node), signal.SIGKILL)

    def close(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """A cluster of one node: 2 CPUs, 1 GiB, and two GPUs that Ray is told of."""
    pytest.importorskip("ray")
    cluster = RayCluster(tmp_path_factory.mktemp("nodes"))
    cluster.add(num_cpus=2, num_gpus=2, memory=1 << 30)
    yield cluster
    cluster.close()


@pytest.fixture(params=["qwen2", "llama"])
def tiny(request: pytest.FixtureRequest, tiny_models: dict[str, Path]) -> Iterator[Path]:
    """Each tiny model's folder."""
    yield tiny_models[request.param]
