"""What may be taken of each kind of memory."""

from __future__ import annotations

import pytest

from agentos.errors import UserError
from agentos.models.budget import HOST, Budget

GIB = 1 << 30


def test_the_machines_limit_counts_what_our_own_engines_hold() -> None:
    budget = Budget(lambda: 2 * GIB)
    budget.held = lambda: 1 * GIB
    assert budget.limit(HOST) == 3 * GIB - (512 << 20)


def test_a_setting_never_promises_more_than_the_machine_has() -> None:
    assert Budget(lambda: 2 * GIB, "8GiB").limit(HOST) == 2 * GIB
    assert Budget(lambda: 9 * GIB, "8GiB").limit(HOST) == 8 * GIB


def test_an_engine_may_come_to_hold_its_claim_and_all_that_is_free() -> None:
    budget = Budget(lambda: 64 * GIB, "8GiB")
    budget.claim("a", {HOST: GIB})
    budget.claim("b", {HOST: 2 * GIB})
    assert budget.most("a") == 6 * GIB and budget.most("b") == 7 * GIB and budget.most("nobody") is None
    budget.claim("c", {HOST: 6 * GIB})
    assert budget.most("a") == GIB


def test_each_card_has_a_limit_of_its_own_and_nine_tenths_without_a_setting() -> None:
    cards = [80 * GIB, 40 * GIB]
    assert [Budget(lambda: GIB, cards=cards).limit(f"gpu {n}") for n in (0, 1, 2)] == [72 * GIB, 36 * GIB, 0]
    told = Budget(lambda: GIB, gpu_setting="60GiB", cards=cards)
    assert [told.limit("gpu 0"), told.limit("gpu 1")] == [60 * GIB, 40 * GIB]
    told.claim("a", {HOST: 1, "gpu 1": 30 * GIB})
    assert told.short({"gpu 1": 11 * GIB, "gpu 0": GIB}) == {"gpu 1": GIB}


def test_a_setting_that_is_no_size_is_said() -> None:
    with pytest.raises(UserError, match="setting 'gpu_memory_budget'"):
        Budget(lambda: GIB, gpu_setting="plenty")
