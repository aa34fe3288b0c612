"""Models from nothing: a tokenizer and weights of a scale, and what they learn from text without labels."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from agentos.training import encoding, tokenizing
from agentos.training.building import _TOKENS, PLAN, Built, Plan, _half, _plan
from agentos.training.data import Parts
from agentos.training.events import write_atomically
from agentos.training.methods import Method
from agentos.training.objectives import Answers, Masked, Objective
from agentos.training.reader import Reader
from agentos.training.spec import RunSpec

TOKENIZER = "tokenizer"


@dataclass(frozen=True)
class Size:
    """A scale: the miniatures of Turc et al. 2019, with vocabularies that suit less text."""

    layers: int
    hidden: int
    heads: int
    vocabulary: int
    longest: int
    rate: float


SIZES = {
    "tiny": Size(2, 128, 2, 8192, 128, 2e-3),
    "mini": Size(4, 256, 4, 16384, 256, 1e-3),
    "small": Size(4, 512, 8, 30522, 512, 7e-4),
}


def config(task: str, size: Size, vocabulary: int) -> Any:
    """The configuration of a new model."""
    import transformers

    if task == "masked-lm":
        return transformers.BertConfig(
            vocab_size=vocabulary, hidden_size=size.hidden, num_hidden_layers=size.layers,
            num_attention_heads=size.heads, intermediate_size=4 * size.hidden, max_position_embeddings=size.longest,
        )
    if task == "causal-lm":
        return transformers.LlamaConfig(
            vocab_size=vocabulary, hidden_size=size.hidden, num_hidden_layers=size.layers,
            num_attention_heads=size.heads, num_key_value_heads=size.heads, intermediate_size=3 * size.hidden,
            max_position_embeddings=2 * size.longest, tie_word_embeddings=True, pad_token_id=0, bos_token_id=1,
            eos_token_id=2,
        )
    return transformers.BartConfig(
        vocab_size=vocabulary, d_model=size.hidden, encoder_layers=size.layers, decoder_layers=size.layers,
        encoder_attention_heads=size.heads, decoder_attention_heads=size.heads, encoder_ffn_dim=4 * size.hidden,
        decoder_ffn_dim=4 * size.hidden, max_position_embeddings=size.longest, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2,
    )


def tokenizer(spec: RunSpec, folder: Path, read: Parts, size: Size) -> Any:
    """The run's tokenizer, trained on the rows to learn from, once."""
    from transformers import AutoTokenizer

    kept = folder / TOKENIZER
    if not kept.is_dir():
        texts = [text for at in read.train_at for text in read.train.texts[at]]
        # more tokens than a text's length bears out are never learned
        wanted = max(600, min(size.vocabulary, sum(map(len, texts)) // 20))
        longest = spec.length or size.longest
        make = tokenizing.wordpiece if spec.task == "masked-lm" else tokenizing.bytes_pairs
        temp = folder / f"{TOKENIZER}.part"
        make(texts, wanted, longest).save_pretrained(temp)
        temp.rename(kept)
    return AutoTokenizer.from_pretrained(kept)


def fresh(spec: RunSpec, folder: Path, read: Parts, place: torch.device) -> Built:
    """A new model and all that its run is made of."""
    from transformers import BartForConditionalGeneration, BertForMaskedLM, LlamaForCausalLM

    from agentos.training.denoising import Denoised

    size = SIZES[spec.scale]
    if spec.length:
        size = Size(**{**asdict(size), "longest": spec.length})
    words = tokenizer(spec, folder, read, size)
    torch.manual_seed(spec.seed)
    made = config(spec.task, size, len(words))
    kinds: dict[str, Any] = {
        "masked-lm": BertForMaskedLM, "causal-lm": LlamaForCausalLM, "denoising": BartForConditionalGeneration,
    }
    model: Any = kinds[spec.task](made)
    corpus = encoding.blocks(parts=read, tokenizer=words, length=size.longest, marked=spec.task == "masked-lm")
    model.to(place)
    kept = _plan(folder)
    half = kept.half if kept else _half(spec, place, model)
    reader = Reader(model, place, words.pad_token_id, half)
    packed = reader.try_packed(corpus.train) if kept is None or kept.packed else False
    plan = kept or Plan(place.type, half, packed)
    if kept is None:
        write_atomically(folder / PLAN, json.dumps(asdict(plan)))
    objective: Objective
    if spec.task == "masked-lm":
        special = [words.convert_tokens_to_ids(mark) for mark in tokenizing.SPECIAL]
        objective = Masked(reader, spec.seed, words.mask_token_id, special, len(words))
    elif spec.task == "causal-lm":
        objective = Answers(reader)
    else:
        objective = Denoised(reader, spec.seed, words)
    method = Method(model, "full", rank=0, total=0, task=spec.task, base="")
    model.train()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Built(
        model, words, corpus, reader, objective, method, plan, spec.tokens or _TOKENS[place.type], parameters,
        spec.learning_rate or size.rate,
    )
