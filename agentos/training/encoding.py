"""Texts as tokens, once, before the first update: for classifiers, for answers, and in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from agentos.errors import UserError
from agentos.training.data import Corpus, Parts, Raw, Row

_SLICE = 4096
_MOST = {"text-classification": 512, "causal-lm": 1024}
"""Tokens of a row that are read where nobody said how many."""


def longest(model: Any, tokenizer: Any, asked: int, task: str) -> int:
    """Tokens that are read of a row: no more than the model's positions reach."""
    from agentos.engines import encoders

    return min(encoders.longest(model, tokenizer, None), asked or _MOST[task])


def classified(parts: Parts, tokenizer: Any, length: int) -> Corpus:
    """Rows of one text or a pair, each with its label's number."""
    numbers = {label: at for at, label in enumerate(parts.labels)}
    cut = 0

    def encode(raw: Raw, rows: list[int]) -> list[Row]:
        nonlocal cut
        found = []
        assert raw.labels is not None
        for start in range(0, len(rows), _SLICE):
            some = rows[start : start + _SLICE]
            columns = [list(column) for column in zip(*(raw.texts[at] for at in some), strict=True)]
            made = tokenizer(*columns, truncation=True, max_length=length)
            for at, one in zip(some, made.encodings, strict=True):
                cut += bool(one.overflowing)
                kinds = np.array(one.type_ids) if "token_type_ids" in tokenizer.model_input_names else None
                found.append(Row(at, np.array(one.ids, dtype=np.int64), kinds, numbers[raw.labels[at]]))
        return found

    train, held = encode(parts.train, parts.train_at), encode(parts.held, parts.held_at)
    share = cut / max(1, len(train) + len(held))
    return Corpus(train, held, parts.labels, parts.held_hash, share, _said(share, length))


def answered(parts: Parts, tokenizer: Any, length: int) -> Corpus:
    """Rows of a prompt and what is to be answered, or of one text that is learned whole.

    The answer is the second text or the label. A chat model's own template is laid around both.
    """
    cut = 0

    def encode(raw: Raw, rows: list[int]) -> list[Row]:
        nonlocal cut
        before, after = [], []
        for at in rows:
            texts = raw.texts[at]
            answer = texts[1] if len(texts) > 1 else raw.labels[at] if raw.labels is not None else None
            prompt, answer = ("", texts[0]) if answer is None else (texts[0], answer)
            first, second = _laid(tokenizer, prompt, answer)
            before.append(first)
            after.append(second)
        templated = bool(getattr(tokenizer, "chat_template", None)) and any(before)
        begins = [] if templated or tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        ends = [] if templated or tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        found = []
        for at, one, two in zip(rows, _ids(tokenizer, before), _ids(tokenizer, after), strict=True):
            prompt_ids, answer_ids = [*begins, *one], [*two, *ends]
            over = len(prompt_ids) + len(answer_ids) - length
            if over > 0:
                cut += 1
                keep = max(length // 2, len(prompt_ids) - over)  # the end of a prompt, next to its answer
                prompt_ids = prompt_ids[-keep:] if len(prompt_ids) > keep else prompt_ids
                answer_ids = answer_ids[: length - len(prompt_ids)]
            ids = [*prompt_ids, *answer_ids]
            if len(ids) > max(1, len(prompt_ids)):
                found.append(Row(at, np.array(ids, dtype=np.int64), start=max(1, len(prompt_ids))))
        return found

    train, held = encode(parts.train, parts.train_at), encode(parts.held, parts.held_at)
    if not train:
        raise UserError("no row has anything to be answered; nothing was trained")
    share = cut / max(1, len(train) + len(held))
    return Corpus(train, held, (), parts.held_hash, share, _said(share, length))


def behind(parts: Parts, tokenizer: Any, length: int) -> Corpus:
    """Rows of a beginning that many have, what follows it, and what is to be answered; no template is laid around.

    Raises:
        UserError: a row is longer than what is read of it, or has nothing to be answered.
    """
    found: dict[str, int] = {}

    def encode(raw: Raw, rows: list[int]) -> list[Row]:
        some = [raw.texts[at] for at in rows]
        prompts, answers = (_ids(tokenizer, [texts[place] for texts in some]) for place in (1, 2))
        made = []
        for at, texts, prompt, answer in zip(rows, some, prompts, answers, strict=True):
            ids = [*prompt, *answer, tokenizer.eos_token_id]
            if not prompt or not answer or len(ids) > length:
                raise UserError(
                    f"row {at} has {len(ids)} tokens of {len(answer)} to be answered, and {length} are read; "
                    "nothing was trained"
                )
            number = found.setdefault(texts[0], len(found))
            made.append(Row(at, np.array(ids, dtype=np.int64), start=len(prompt), behind=number))
        return made

    train, held = encode(parts.train, parts.train_at), encode(parts.held, parts.held_at)
    shared = tuple(np.array(ids, dtype=np.int64) for ids in _ids(tokenizer, list(found)))
    return Corpus(train, held, (), parts.held_hash, shared=shared)


def _laid(tokenizer: Any, prompt: str, answer: str) -> tuple[str, str]:
    if not prompt or not getattr(tokenizer, "chat_template", None):
        return prompt, answer
    asked = [{"role": "user", "content": prompt}]
    first = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template([*asked, {"role": "assistant", "content": answer}], tokenize=False)
    if whole.startswith(first):
        return first, whole[len(first) :]
    return first, answer + (tokenizer.eos_token or "")


def _ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    found: list[list[int]] = []
    for start in range(0, len(texts), _SLICE):
        found += tokenizer(texts[start : start + _SLICE], add_special_tokens=False)["input_ids"]
    return found


def blocks(parts: Parts, tokenizer: Any, length: int, marked: bool) -> Corpus:
    """All texts one behind the other, cut into blocks of equal length.

    Args:
        parts: The texts.
        tokenizer: Its `eos` or `sep` token stands behind every text.
        length: Tokens of a block.
        marked: Whether every block begins with `cls`, as what BERT reads does.
    """
    first = [tokenizer.cls_token_id if marked else tokenizer.bos_token_id]
    last = tokenizer.sep_token_id if marked else tokenizer.eos_token_id

    def encode(raw: Raw, rows: list[int]) -> list[Row]:
        line: list[int] = []
        for ids in _ids(tokenizer, ["\n".join(raw.texts[at]) for at in rows]):
            line += [*ids, last]
        room = length - 1
        return [
            Row(at, np.array(first + line[start : start + room], dtype=np.int64), start=1)
            for at, start in enumerate(range(0, len(line), room)) if len(line) - start >= min(room, 8)
        ]

    train, held = encode(parts.train, parts.train_at), encode(parts.held, parts.held_at)
    if not train:
        raise UserError("the data hold too little text to learn from; nothing was trained")
    return Corpus(train, held, (), parts.held_hash)


def _said(share: float, length: int) -> list[str]:
    if share == 0:
        return []
    return [f"{share:.1%} of the rows are longer than the {length} tokens that are read of them; the rest is cut off"]
