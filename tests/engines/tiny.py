"""Tiny real encoders, classifiers and adapters, made on the spot."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

WORDS = [
    "the", "film", "was", "good", "bad", "fine", "dull", "a", "an", "and", "it", "is", "not", "very", "story", "of",
    "actor", "king", "queen", "river",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_tokenizer(folder: Path, longest: int = 64) -> int:
    """A word tokenizer in BERT's form; gives the size of its vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate([*SPECIAL, *WORDS])}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    inner.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=longest, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    tokenizer.save_pretrained(folder)
    return len(SPECIAL) + len(WORDS)


def bert(folder: Path, kind: str = "BertForSequenceClassification", **config: Any) -> Path:
    """A two-layer BERT with random weights, of the given class."""
    import transformers

    size = write_tokenizer(folder)
    torch.manual_seed(3)
    settings = transformers.BertConfig(
        vocab_size=size, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64, initializer_range=0.3, **config,
    )
    model: Any = getattr(transformers, kind)(settings)
    model.save_pretrained(folder)
    return folder


def sentences(count: int, seed: int = 5, most: int = 40) -> list[str]:
    """Sentences of 1 to `most` words."""
    import random

    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, most))) for _ in range(count)]


def train(model: Any, out: Path, rows: torch.Tensor, labels: torch.Tensor, config: Any) -> Any:
    """Trains a LoRA adapter for a few real steps and saves it; gives the model with it unmerged, as the reference."""
    import peft

    torch.manual_seed(11)
    with torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft calls what transformers has renamed, and speaks of tied layers
        adapted: Any = peft.get_peft_model(model, config)
        optimizer = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=0.02)
        for _ in range(12):
            loss = adapted(input_ids=rows, labels=labels).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        adapted.save_pretrained(out)
    return adapted.eval()
