"""Numbers as people read them."""

from __future__ import annotations

from agentos.kernel.render import render, show
from agentos.types import Live, ModelList, ModelRow, Prediction, Predictions


def test_a_vector_shows_how_it_begins_and_how_long_it_is_and_never_minus_nothing() -> None:
    said = show([-0.001, *[0.25] * 383], None)
    assert said == "0, 0.25, 0.25, 0.25, 0.25, 0.25, … (384)"
    whole = render(Predictions("m", [Prediction(vector=[0.5] * 384)], 3, 0.1))
    assert "… (384)" in whole and len(max(whole.splitlines(), key=len)) < 80


def test_a_short_list_is_shown_whole() -> None:
    assert show([0.1, 0.2, 0.3], None) == "0.1, 0.2, 0.3"
    assert show(list(range(20)), None).endswith("18, 19")


def test_a_thing_within_a_row_shows_its_first_facts_with_their_units_and_not_python() -> None:
    live = Live("ready", "cpu", 600 << 20, 0, 0, 0, 0, 0, 0.0, "10m", None)
    row = ModelRow("tiny", "loaded", 1_000_000, 600 << 20, "MIT", "transformers", live=live)
    said = render(ModelList([row]))
    assert "ready, cpu, 600.0 MiB" in said and "Live(" not in said
    assert len(max(said.splitlines(), key=len)) < 100
