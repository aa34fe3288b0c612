"""Rows that are held out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from agentos.training import data
from tests.training import runs


def raw(texts: list[str], labels: list[str]) -> data.Raw:
    return data.Raw([(text,) for text in texts], labels)


def test_identical_texts_are_on_the_same_side() -> None:
    made = raw([f"text {at % 40}" for at in range(400)], ["a" if at % 40 < 20 else "b" for at in range(400)])
    train, held = data.hold_out(made, 0.2, seed=3)
    assert sorted(train + held) == list(range(400))
    assert not {made.texts[at] for at in train} & {made.texts[at] for at in held}
    assert 60 <= len(held) <= 100


def test_labels_are_held_out_in_their_shares_and_rare_ones_stay_on_both_sides() -> None:
    texts = [f"text {at}" for at in range(1000)]
    made = raw(texts, ["rare" if at < 4 else "a" if at < 300 else "b" for at in range(1000)])
    train, held = data.hold_out(made, 0.1, seed=0)
    assert made.labels is not None
    shares = Counter(made.labels[at] for at in held)
    assert shares == {"rare": 1, "a": 30, "b": 70}
    assert {made.labels[at] for at in train} == {"rare", "a", "b"}


def test_the_same_seed_holds_out_the_same_rows_and_another_one_others() -> None:
    made = raw([f"text {at}" for at in range(200)], ["a", "b"] * 100)
    assert data.hold_out(made, 0.1, 1) == data.hold_out(made, 0.1, 1) != data.hold_out(made, 0.1, 2)


def test_all_labels_weigh_the_same_together_when_balanced() -> None:
    rows = [data.Row(at, np.zeros(1, dtype=np.int64), label=0 if at < 90 else 1) for at in range(100)]
    light, heavy = data.balance(rows, 2)
    assert abs(90 * light - 10 * heavy) < 1e-9
    assert abs(90 * light + 10 * heavy - 100) < 1e-9


def test_the_hash_of_the_held_rows_tells_texts_and_labels_apart(tmp_path: Path) -> None:
    one = data.parts(runs.spec(None, runs.reviews(tmp_path / "a.parquet", seed=1)))
    same = data.parts(runs.spec(None, runs.reviews(tmp_path / "b.parquet", seed=1)))
    other = data.parts(runs.spec(None, runs.reviews(tmp_path / "c.parquet", seed=2)))
    assert one.held_hash == same.held_hash != other.held_hash
