"""One answer, token by token."""

from __future__ import annotations

import pytest
import torch

from agentos.engines.decoding import Chooser, Draft, Prior, decode
from agentos.engines.stops import Shown
from agentos.engines.weights import Head
from agentos.types import Prompt

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, as transformers loads


def head(seed: int = 1) -> Head:
    return Head(torch.randn(500, 32, generator=torch.Generator().manual_seed(seed)).bfloat16())


def drawn(seed: int | None, temperature: float = 1.0, count: int = 20) -> list[int]:
    choose = Chooser(head(), temperature, seed)
    hidden = torch.randn(count, 32, generator=torch.Generator().manual_seed(2)) / 8
    return [choose(row, None, None) for row in hidden]


def test_a_seed_draws_the_same_again_and_another_seed_something_else():
    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert drawn(None) != drawn(None)


def test_without_temperature_the_likeliest_is_taken_whatever_the_seed():
    assert drawn(7, 0.0) == drawn(8, 0.0) == drawn(None, 0.0)


def test_only_allowed_tokens_are_drawn_and_a_lean_decides_among_them():
    choose, hidden = Chooser(head(), 1.0, 3), torch.randn(32)
    allowed = torch.tensor([3, 50, 499])
    assert {choose(hidden, allowed, None) for _ in range(50)} <= {3, 50, 499}
    assert choose(hidden, allowed, torch.tensor([-1e4, 0.0, -1e4])) == 50
    assert choose(hidden, torch.tensor([9]), None) == 9


class Echo:
    """A model whose next token is the last one plus one; it writes down what it was fed."""

    def __init__(self) -> None:
        self.state: list[int] = []
        self.fed: list[list[int]] = []

    def forward(self, tokens: list[int], wanted: int) -> torch.Tensor:
        self.fed.append(tokens)
        self.state.extend(tokens)
        return torch.tensor([[float(token + 1)] for token in tokens[-wanted:]])

    def rewind(self, count: int) -> None:
        del self.state[len(self.state) - count :]

    def answer(self, most: int = 8, **draft: list[list[int]]) -> list[int]:
        return list(decode(
            self.forward, self.rewind, lambda hidden, _allowed, _lean: int(hidden[0]), [10],
            grammar=None, draft=Draft(**draft), ends=frozenset({17}), most=most,
        ))


def test_a_right_draft_takes_one_pass_and_a_wrong_one_leaves_no_trace():
    plain, right, wrong = Echo(), Echo(), Echo()
    expected = plain.answer()
    assert expected == [11, 12, 13, 14, 15, 16]
    assert right.answer(sources=[[11, 12, 13, 14, 15, 16]]) == expected
    assert len(right.fed) == 1 < len(plain.fed)
    assert wrong.answer(sources=[[11, 12, 99, 98, 97]]) == expected
    assert wrong.state == plain.state
    assert len(wrong.fed) < len(plain.fed)


def test_a_run_that_a_source_holds_is_continued_from_there():
    echo = Echo()
    assert echo.answer(sources=[[50, 12, 13, 14, 15]]) == [11, 12, 13, 14, 15, 16]
    assert [12, 13, 14, 15] in echo.fed
    assert Draft([[1, 2, 3]], frozenset({1})).propose([1], 5) == []
    assert Draft([[1, 2, 3]]).propose([], 2) == [1, 2]
    assert Draft().propose([], 2) == []


@pytest.mark.parametrize("most", [1, 3, 6])
def test_no_answer_is_longer_than_asked_for_drafts_or_none(most):
    assert Echo().answer(most) == Echo().answer(most, sources=[list(range(11, 30))]) == list(range(11, 11 + most))


def test_a_prior_weighs_the_tokens_that_begin_its_texts_until_one_is_written():
    pieces = ["mo", "del", "en", "x", "models"]
    prior = Prior({"model": -1.0, "engine": -2.0}, pieces.__getitem__)
    weights = prior.over("", torch.arange(5))
    assert weights is not None and weights.tolist() == [-1.0, -2.0, -2.0, -2.0, -1.0]
    assert prior.over("model", torch.arange(5)) is None
    assert prior.over("something else", torch.arange(5)) is None


@pytest.mark.parametrize("pieces", [["a b STOP c"], ["a b ", "ST", "OP c"], list("a b STOP c")])
def test_a_stop_string_is_never_seen_whichever_pieces_it_comes_in(pieces):
    seen: list[str] = []
    shown = Shown(("STOP", "never"), seen.append)
    assert any(shown.add(piece) for piece in pieces)
    assert shown.finish() == "a b " == "".join(seen)


def test_what_only_looked_like_a_stop_string_is_shown_in_the_end():
    seen: list[str] = []
    shown = Shown(("STOP",), seen.append)
    assert not shown.add("a STO")
    assert "".join(seen) == "a "
    assert shown.finish() == "a STO" == "".join(seen)


def test_an_answer_that_fills_the_context_says_that_it_was_cut(load):
    end = load(context=40)(Prompt("a text"), max_tokens=500)
    assert end.reason == "length" and end.prompt_tokens + end.tokens == 40


def test_a_models_drawing_is_reproducible_by_its_seed(load):
    asked = load()
    one, again, other = (asked(Prompt("a text"), temperature=1.0, seed=seed).text for seed in (4, 4, 5))
    assert one == again != other
