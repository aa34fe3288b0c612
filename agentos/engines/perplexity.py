"""How well a model foretells a text: perplexity, the exponential of the mean negative log-likelihood of a token.

Long texts are read in windows that overlap, and only tokens with a good part of a window before them count,
the first window's apart (the strided evaluation of Hugging Face's guide "Perplexity of fixed-length models").
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from agentos.errors import UserError

WINDOW = 512
STRIDE = 256
_AT_ONCE = 32
"""Positions whose logits over the whole vocabulary are in memory together."""


def perplexity(tokens: list[int], read: Callable[[list[int]], Tensor], logits: Callable[[Tensor], Tensor]) -> float:
    """Perplexity of a model on tokens.

    Args:
        tokens: At least two.
        read: Hidden states [tokens, hidden] of a window that is read by itself.
        logits: [positions, hidden] -> fp32 [positions, vocabulary].

    Raises:
        UserError: there are fewer than two tokens.
    """
    if len(tokens) < 2:
        raise UserError("a text of fewer than two tokens has no perplexity")
    total, counted = 0.0, 1  # the first token is given
    start = 0
    while counted < len(tokens):
        window = tokens[start : start + WINDOW]
        hidden = read(window)
        first = counted - start
        for at in range(first, len(window), _AT_ONCE):
            to = min(at + _AT_ONCE, len(window))
            scores = logits(hidden[at - 1 : to - 1]).log_softmax(-1)
            wanted = torch.tensor(window[at:to], device=scores.device)
            total -= float(scores.gather(1, wanted[:, None]).sum())
        counted = start + len(window)
        start += STRIDE
    return math.exp(total / (len(tokens) - 1))
