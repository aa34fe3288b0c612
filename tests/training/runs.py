"""Runs of tiny real models, made on the spot."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agentos.training.spec import RunSpec

GOOD = ["good", "fine", "great", "lovely", "bright"]
BAD = ["bad", "dull", "poor", "sad", "grey"]
REST = ["the", "film", "was", "a", "story", "of", "king", "and", "river", "it", "is", "very", "actor", "with"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    """A Parquet file."""
    pq.write_table(pa.table(columns), path)
    return path


def reviews(path: Path, count: int = 240, seed: int = 1, wrong: float = 0.0) -> Path:
    """Texts of 2 to 30 words that say good or bad once, a share of them with the wrong label."""
    draw = random.Random(seed)
    texts, labels = [], []
    for at in range(count):
        good = at % 2 == 0
        words = draw.choices(REST, k=draw.randint(1, 12))
        words.insert(draw.randint(0, len(words)), draw.choice(GOOD if good else BAD))
        texts.append(" ".join(words))
        labels.append("good" if good != (draw.random() < wrong) else "bad")
    return write(path, {"text": texts, "label": labels})


def tokenizer(folder: Path, longest: int = 64, **marks: str) -> int:
    """A word tokenizer in BERT's form; gives the size of its vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*SPECIAL, *GOOD, *BAD, *REST]
    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    made: Any = PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=longest, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **marks,
    )
    made.save_pretrained(folder)
    return len(words)


def bert(folder: Path) -> Path:
    """A two-layer BERT without a head."""
    import torch
    import transformers

    size = tokenizer(folder)
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, initializer_range=0.2,
    )
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def llama(folder: Path) -> Path:
    """A two-layer Llama that writes, two of its four heads of queries to one of keys."""
    import torch
    import transformers

    size = tokenizer(folder, bos_token="[CLS]", eos_token="[SEP]")
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=size, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.2, pad_token_id=0, bos_token_id=2,
        eos_token_id=3,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def spec(base: Path | None, data: Path, **changed: Any) -> RunSpec:
    """A run's manifest for a tiny model."""
    given: dict[str, Any] = {
        "run": "r1", "kind": "finetune", "model": "mine", "data": "reviews", "data_path": str(data), "data_hash": "0",
        "text": ("text",), "label": "label", "labels": ("bad", "good"), "base": "tiny" if base else "",
        "base_path": str(base or ""),
        "method": "full", "epochs": 2, "rows": 16, "learning_rate": 2e-3, "threads": 1, "patience": 0,
    }
    return RunSpec(**{**given, **changed})


def folder(where: Path, made: RunSpec, name: str = "run") -> Path:
    """A run's folder with its manifest."""
    path = where / name / made.run
    path.mkdir(parents=True)
    made.save(path)
    return path


def here(path: Path) -> int:
    """Runs the run in this process; gives its exit code."""
    import signal
    import warnings

    from agentos.training.worker import main

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return main([str(path)])
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


def start(path: Path) -> subprocess.Popen[bytes]:
    """Runs the run in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "agentos.training.worker", str(path)], stdout=subprocess.DEVNULL)


def result(path: Path) -> dict[str, Any]:
    """What came out."""
    return json.loads((path / "result.json").read_text("utf-8"))


def events(path: Path, kind: str = "") -> list[dict[str, Any]]:
    """What was told on the way."""
    lines = [json.loads(line) for line in (path / "events.jsonl").read_text("utf-8").splitlines()]
    return [line for line in lines if not kind or line["kind"] == kind]
