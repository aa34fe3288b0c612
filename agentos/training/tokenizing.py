"""Tokenizers trained on the user's own text: WordPiece for what reads, byte-level BPE for what writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""BERT's, in its order."""
MARKS = ("<pad>", "<s>", "</s>", "<mask>")
"""Those of what writes: padding, beginning, end, and a gap."""


def wordpiece(texts: Iterable[str], size: int, longest: int) -> Any:
    """BERT's kind of tokenizer: lower case, a Chinese character a token of its own.

    Args:
        texts: What it is trained on.
        size: Tokens of its vocabulary, at most.
        longest: Tokens that its model reads.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), min_frequency=2, limit_alphabet=size // 2, show_progress=False
    )
    inner.train_from_iterator(texts, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(mark, inner.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")],
    )
    make: Any = PreTrainedTokenizerFast
    return make(
        tokenizer_object=inner, model_max_length=longest, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def bytes_pairs(texts: Iterable[str], size: int, longest: int) -> Any:
    """GPT's kind of tokenizer: every text can be written with it, byte by byte where need be.

    Args:
        texts: What it is trained on.
        size: Tokens of its vocabulary, at most.
        longest: Tokens that its model reads.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(MARKS), min_frequency=2, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    inner.train_from_iterator(texts, trainer)
    make: Any = PreTrainedTokenizerFast
    return make(
        tokenizer_object=inner, model_max_length=longest, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        mask_token="<mask>", model_input_names=["input_ids", "attention_mask"],
    )
