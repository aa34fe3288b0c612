"""Responses that are kept: within bounds, whatever they are made of."""

from __future__ import annotations

from typing import Any

import pytest

from agentos.errors import NotFound
from agentos.interfaces.openai_response_store import LONGEST, Kept, ResponseStore
from agentos.types import Message


@pytest.mark.parametrize(("said", "turns"), [
    ({"metadata": {"note": "x" * 3_000_000}}, ()), ({"instructions": "x" * 3_000_000}, ()),
    ({}, tuple(Message("user", "") for _ in range(65_536))),
])
def test_all_that_is_kept_counts_and_the_oldest_goes(said: dict[str, Any], turns: tuple[Message, ...]) -> None:
    store = ResponseStore()
    kept = [Kept("ada", {"id": f"resp_{number}", **said}, turns) for number in range(8)]
    for one in kept:
        store.put(one)
    with pytest.raises(NotFound):
        store.get("resp_0", "ada")
    assert store.get("resp_7", "ada") is kept[-1]
    there = 0
    for one in kept:
        try:
            store.drop(one.said["id"], "ada")
            there += one.size
        except NotFound:
            continue
    assert 0 < there <= LONGEST
    store.put(kept[0])  # what was dropped counts no more
    assert store.get("resp_0", "ada") is kept[0]
