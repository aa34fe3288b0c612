"""One answer, token by token: grammar, forced tokens, drafts, sampling.

Forced tokens cost no pass of their own: they ride along with the next one. A draft is verified in one
pass and cannot change the answer, only save passes (Leviathan et al. 2023; Saxena, prompt lookup
decoding, 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor

from agentos.errors import UserError

Forward = Callable[[list[int], int], Tensor]
"""Feeds tokens and gives the hidden states [n, hidden] of the last n of them."""

Choose = Callable[[Tensor, Tensor | None, Tensor | None], int]
"""Picks a token from a hidden state, among the allowed ones or all, with a leaning towards some."""

DRAFT = 16
"""Most tokens proposed at once."""


class Grammar:
    """The tokens that may come next."""

    def __init__(self, tokenizer: LLTokenizer, grammar: str) -> None:
        """Compiles a Lark grammar.

        Raises:
            UserError: it does not compile.
        """
        self._matcher = LLMatcher(tokenizer, grammar, log_level=0)
        if self._matcher.is_error():
            raise UserError(f"the grammar does not compile: {self._matcher.get_error()}")
        # not through llguidance.torch: importing it compiles a kernel we don't use, 3 seconds of every start
        self._mask = torch.full(((tokenizer.vocab_size + 31) // 32,), -1, dtype=torch.int32)
        self._bits = torch.arange(32, dtype=torch.int32)

    @property
    def finished(self) -> bool:
        """Whether nothing more may come."""
        return bool(self._matcher.is_stopped())

    def forced(self, most: int) -> list[int]:
        """Takes in and gives the tokens that must come next, so many at most."""
        tokens: list[int] = [] if self.finished else self._matcher.compute_ff_tokens()[:most]
        if tokens:
            self._matcher.consume_tokens(tokens)
        return tokens

    def allowed(self) -> Tensor:
        """Ids of the tokens that may come next."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.data_ptr(), self._mask.nbytes)
        words = self._mask.nonzero()[:, 0]
        bits = (self._mask[words].unsqueeze(1) >> self._bits) & 1
        rows, columns = bits.nonzero(as_tuple=True)
        return words[rows] * 32 + columns

    def take(self, token: int) -> None:
        """Takes a token in."""
        if not self._matcher.consume_token(token):
            raise UserError(f"the grammar lost its way: {self._matcher.get_error()}")

    def acceptable(self, tokens: Sequence[int]) -> int:
        """How many of the tokens may come next, one after the other."""
        return int(self._matcher.validate_tokens(list(tokens)))


class Prior:
    """Weights from elsewhere on how the answer begins: a product of experts with the model's own."""

    def __init__(self, weights: Mapping[str, float], piece: Callable[[int], str]) -> None:
        """`weights` are logarithms; `piece` gives a token's text."""
        self._weights = dict(weights)
        self._piece = piece

    def text(self, answer: list[int]) -> str:
        """The answer so far."""
        return "".join(map(self._piece, answer))

    def over(self, text: str, tokens: Tensor) -> Tensor | None:
        """Log-weights of the tokens that may follow `text`; None once the beginning is written."""
        open_ = {start: weight for start, weight in self._weights.items() if start.startswith(text) and start != text}
        if not open_ or len(tokens) > 512:
            return None
        floor = min(open_.values())
        found = []
        for token in tokens.tolist():
            said = text + self._piece(token)
            fitting = [w for start, w in open_.items() if start.startswith(said) or said.startswith(start)]
            found.append(max(fitting, default=floor))
        return torch.tensor(found)


@dataclass
class Draft:
    """Where an answer's next tokens may be copied from."""

    sources: list[list[int]] = field(default_factory=list)
    """Texts as tokens; the first one is a guess at the answer from its beginning."""
    plain: frozenset[int] = frozenset()
    """Tokens too common to find a place by on their own."""

    def propose(self, answer: list[int], most: int) -> list[int]:
        """What may follow: the continuation of the longest recent run that a source holds too."""
        if not answer:
            return self.sources[0][:most] if self.sources else []
        for length in range(min(4, len(answer)), 0, -1):
            run = answer[-length:]
            if length == 1 and run[0] in self.plain:
                return []
            for source in self.sources:
                for start in range(len(source) - length):
                    if source[start : start + length] == run:
                        return source[start + length : start + length + most]
        return []


def decode(
    forward: Forward,
    rewind: Callable[[int], None],
    choose: Choose,
    prompt: list[int],
    *,
    grammar: Grammar | None,
    draft: Draft,
    ends: frozenset[int],
    most: int,
    prior: Prior | None = None,
) -> Iterator[int]:
    """The answer's tokens, end tokens left out.

    Args:
        forward: Runs the model over tokens and keeps their state.
        rewind: Drops the last n tokens from the state.
        choose: Picks a token from a hidden state, among the allowed ones or all.
        prompt: Tokens not yet in the state; at least one.
        grammar: Holds the answer to a form.
        draft: Proposals.
        ends: Tokens that end an answer.
        most: Longest answer, in tokens.
        prior: Weights on how the answer begins; needs a grammar.
    """
    answer: list[int] = []
    pending = list(prompt)
    while len(answer) < most:
        forced = grammar.forced(most - len(answer)) if grammar else []
        for token in forced:
            if token in ends:
                return
            answer.append(token)
            pending.append(token)
            yield token
        if len(answer) >= most or (grammar and grammar.finished):
            return
        proposed = draft.propose(answer, DRAFT)
        if grammar:
            proposed = proposed[: grammar.acceptable(proposed)]
        hidden = forward(pending + proposed, 1 + len(proposed))
        pending = []
        for index in range(1 + len(proposed)):
            allowed = grammar.allowed() if grammar else None
            lean = prior.over(prior.text(answer), allowed) if prior and allowed is not None else None
            token = choose(hidden[index], allowed, lean)
            if grammar:
                grammar.take(token)
            matched = index < len(proposed) and token == proposed[index]
            if token in ends:
                return
            answer.append(token)
            yield token
            if not matched:
                rewind(len(proposed) - index)
                pending = [token]
                break
            if len(answer) >= most or (grammar and grammar.finished):
                return


class Chooser:
    """Picks the likeliest token, or draws one at a temperature."""

    def __init__(
        self, head: Any, temperature: float, seed: int | None, *, top_p: float = 1.0, tells: int | None = None,
        sums: bool = False,
    ) -> None:
        """Over a head's logits.

        Args:
            head: The model's output layer.
            temperature: 0 takes the likeliest.
            seed: Of what is drawn; None draws otherwise each time.
            top_p: Draws among the likeliest tokens that together have this probability.
            tells: Of how many tokens beside the chosen one to tell how likely they were; None tells nothing.
            sums: Whether to sum up how much else might have been chosen.
        """
        self._head, self._temperature, self._top_p, self._tells = head, temperature, top_p, tells
        self._told: tuple[float, list[tuple[int, float]]] | None = None
        self._generator = torch.Generator()
        if seed is not None:
            self._generator.manual_seed(seed)
        elif temperature > 0:
            self._generator.seed()
        self.doubt: float | None = 0.0 if sums else None
        """The sum of the chosen tokens' negative log-likelihoods, in nats."""

    def __call__(self, hidden: Tensor, allowed: Tensor | None, lean: Tensor | None = None) -> int:
        """A token of the allowed ones or of all; `lean` is added to the logits."""
        if allowed is not None and len(allowed) == 1:
            return int(allowed[0])
        logits = self._head.logits(hidden, allowed)
        if lean is not None:
            logits = logits + lean.to(logits.device)
        if self._temperature <= 0:
            best = int(logits.argmax())
        else:
            odds = (logits / self._temperature).softmax(0).cpu()
            best = int(torch.multinomial(self._nucleus(odds), 1, generator=self._generator))
        if self.doubt is not None:
            self.doubt += float(logits.logsumexp(0) - logits[best])
        if self._tells is not None:
            sure = logits.log_softmax(0)
            likeliest, places = sure.topk(min(self._tells, len(sure)))
            named = places if allowed is None else allowed[places.to(allowed.device)]
            self._told = float(sure[best]), list(zip(named.tolist(), likeliest.tolist(), strict=True))
        return best if allowed is None else int(allowed[best])

    def take(self) -> tuple[float, list[tuple[int, float]]] | None:
        """How likely the token chosen last was, and the likeliest ones; None where it was not chosen but certain."""
        told, self._told = self._told, None
        return told

    def _nucleus(self, odds: Tensor) -> Tensor:
        if self._top_p >= 1:
            return odds
        ordered, places = odds.sort(descending=True)
        before = ordered.cumsum(0) - ordered
        odds[places[before >= self._top_p]] = 0  # the likeliest one always stays
        return odds
