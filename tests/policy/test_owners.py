"""Who made a thing owns it, and using it changes nothing."""

from types import SimpleNamespace

import pytest

from agentos.policy.owners import Owners


@pytest.fixture
def owners(store, clock) -> Owners:
    return Owners(store, clock)


def test_who_pulled_a_model_owns_it_and_the_first_keeps_it(owners, table) -> None:
    owners.made(table["models.pull"], SimpleNamespace(model="m", fetched=True), "oscar")
    owners.made(table["models.pull"], SimpleNamespace(model="m", fetched=True), "otto")
    assert owners.of("Model", "m") == "oscar" and owners.of("Dataset", "m") is None


def test_using_a_model_makes_nobody_its_owner(owners, table) -> None:
    owners.made(table["models.pull"], SimpleNamespace(model="kept", fetched=False), "oscar")
    owners.made(table["models.load"], SimpleNamespace(model="kept"), "oscar")
    owners.made(table["models.show"], SimpleNamespace(model="kept"), "oscar")
    assert owners.of("Model", "kept") is None


def test_a_thing_that_is_gone_is_the_next_makers(owners) -> None:
    owners.record("Model", "m", "oscar")
    owners.forget("Model", "m")
    owners.record("Model", "m", "otto")
    assert owners.of("Model", "m") == "otto"
