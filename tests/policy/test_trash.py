"""What was deleted comes back for a day, and nothing is lost on the way."""

import os
from dataclasses import replace

import pytest

from agentos.errors import DeniedError, Failed, NotFound, UserError
from agentos.policy.trash import TrashCan
from agentos.types import Caller, Undone

OSCAR, OTTO, ADA = Caller("oscar", "operator"), Caller("otto", "operator"), Caller("ada", "admin")


@pytest.fixture
def can(store, settings, clock) -> TrashCan:
    return TrashCan(store, settings, clock)


@pytest.fixture
def model(home):
    folder = home / "models" / "gpt2"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


async def test_what_was_deleted_comes_back_as_it_was(can, model, clock) -> None:
    put = can.put("model", "gpt2", model, "c1", "oscar")
    assert not model.exists() and put.until == clock.now + 24 * 3600
    assert await can.restore(put.undo_id, OSCAR) == Undone("model", "gpt2")
    assert (model / "model.safetensors").read_bytes() == b"weights"
    with pytest.raises(NotFound):
        await can.restore(put.undo_id, OSCAR)


async def test_it_can_be_undone_for_a_day_and_is_gone_after(can, model, home, clock) -> None:
    put = can.put("model", "gpt2", model, "c1", "oscar")
    clock.now += 24 * 3600 - 1
    assert can.purge(clock.now) == [] and len(can.listing()) == 1
    clock.now += 1
    with pytest.raises(NotFound):
        await can.restore(put.undo_id, OSCAR)
    assert [(gone.kind, gone.name) for gone in can.purge(clock.now)] == [("model", "gpt2")]
    assert list((home / "trash").iterdir()) == [] and can.purge(clock.now) == []


async def test_a_setting_says_for_how_long(store, settings, clock, model) -> None:
    can = TrashCan(store, replace(settings, undo_hours=0.5), clock)
    assert can.put("model", "gpt2", model, "c1", "oscar").until == clock.now + 1800


async def test_last_is_the_callers_own_newest(can, home, clock) -> None:
    for name, user in (("a", "oscar"), ("b", "oscar"), ("c", "otto")):
        (home / "models" / name).mkdir(parents=True)
        clock.now += 1
        can.put("model", name, home / "models" / name, f"c-{name}", user)
    assert (await can.restore("last", OSCAR)).name == "b"
    assert (await can.restore("last", OSCAR)).name == "a"
    for caller in (OSCAR, ADA):
        with pytest.raises(NotFound):
            await can.restore("last", caller)


async def test_only_who_deleted_it_or_an_administrator_brings_it_back(can, model) -> None:
    put = can.put("model", "gpt2", model, "c1", "oscar")
    with pytest.raises(DeniedError):
        await can.restore(put.undo_id, OTTO)
    assert (await can.restore(put.undo_id, ADA)).name == "gpt2"


async def test_restoring_over_an_existing_name_is_refused_and_loses_nothing(can, model) -> None:
    put = can.put("model", "gpt2", model, "c1", "oscar")
    model.mkdir()
    with pytest.raises(UserError, match="neither was touched"):
        await can.restore(put.undo_id, OSCAR)
    os.rmdir(model)
    await can.restore(put.undo_id, OSCAR)
    assert (model / "model.safetensors").read_bytes() == b"weights"


def test_the_same_call_puts_a_thing_away_once(can, model) -> None:
    first = can.put("model", "gpt2", model, "c1", "oscar")
    assert can.put("model", "gpt2", model, "c1", "oscar") == first
    with pytest.raises(Failed, match="not on disk"):
        can.put("model", "gpt2", model, "c2", "oscar")


def test_nothing_outside_home_is_touched(can, tmp_path, home) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (home / "models").mkdir(parents=True)
    (home / "link").symlink_to(outside)
    for folder in (outside, home / "models" / ".." / ".." / "outside", home, home / "link" / "x"):
        with pytest.raises(Failed):
            can.put("model", "x", folder, "c1", "oscar")
    assert outside.is_dir() and can.listing() == []


async def test_a_link_is_put_away_and_purged_as_a_link(can, tmp_path, home, clock) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (home / "models").mkdir(parents=True)
    (home / "models" / "link").symlink_to(outside)
    can.put("model", "link", home / "models" / "link", "c1", "oscar")
    can.purge(clock.now + 25 * 3600)
    assert (outside / "kept").exists() and list((home / "trash").iterdir()) == []


async def test_a_crash_between_row_and_rename_leaves_the_thing_where_it_was(can, store, model, clock) -> None:
    store.connection.execute(
        "insert into trash values ('u1', 'model', 'gpt2', 'models/gpt2', 'oscar', 'c1', ?, ?, null)",
        (clock.now, clock.now + 60),
    )
    assert can.listing() == []
    with pytest.raises(NotFound):
        await can.restore("last", OSCAR)
    put = can.put("model", "gpt2", model, "c1", "oscar")
    assert (await can.restore("last", OSCAR)).name == "gpt2" and put.undo_id != "u1"
